"""frozen.Model: what it says of itself, what it computes, how it fails, and its threads."""

import gc
import hashlib
import os
import pathlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import frozen


@pytest.fixture
def model(cnn):
    with frozen.Model(cnn) as model:
        yield model


def test_description(model, cnn):
    assert model.inputs == (frozen.Value("input", "float32", ("n", 1, 8, 8), 1),)
    assert model.outputs[0].name == "logits" and model.outputs[0].shape == ("n", 10)
    assert model.id == hashlib.sha256(cnn.read_bytes()).hexdigest()
    assert model.profile == "portable/1"
    assert model.protection in (1, 2)
    assert model.stats["file_size"] == cnn.stat().st_size
    assert "portable" in model.text("provenance")
    assert model.text("nonsense") is None
    assert frozen.library_version() == frozen.__version__


def test_checks(model):
    model.verify()
    model.verify(kat=True)
    model.known_answer()
    assert model.text("known-answer") == "seed"
    for _ in range(3):
        model.scrub(1 << 16)


def test_known_answer_is_asked_for_when_opened(tmp_path, cnn, cnn_onnx, images):
    with frozen.Model(cnn, known_answer=True) as checked, frozen.Model(cnn) as model:
        assert (checked.run({"input": images[:3]})["logits"].tobytes()
                == model.run({"input": images[:3]})["logits"].tobytes())
    frozen.freeze(cnn_onnx, tmp_path / "mute.fz", kat=False)
    with frozen.Model(tmp_path / "mute.fz") as mute:
        mute.verify()
        assert mute.text("known-answer") is None
        with pytest.raises(frozen.UnsupportedError, match="no known answer"):
            mute.verify(kat=True)
    with pytest.raises(frozen.UnsupportedError, match="no known answer"):
        frozen.Model(tmp_path / "mute.fz", known_answer=True)


def test_every_kind_of_source_gives_the_same_model(cnn, cnn_onnx, images):
    sources = [cnn, str(cnn), cnn.read_bytes(), bytearray(cnn.read_bytes()),
               memoryview(cnn.read_bytes()), cnn_onnx, str(cnn_onnx), cnn_onnx.read_bytes()]
    answers = set()
    for source in sources:
        with frozen.Model(source) as model:
            answers.add((model.id, model.run({"input": images[:5]})["logits"].tobytes()))
    assert len(answers) == 1


def test_mapped_model_has_no_id_before_it_is_verified(cnn, images):
    with frozen.Model(cnn, map=True) as mapped, frozen.Model(cnn) as sealed:
        with pytest.raises(frozen.UnverifiedError):
            mapped.id
        bits = mapped.run({"input": images[:3]})["logits"].tobytes()
        assert bits == sealed.run({"input": images[:3]})["logits"].tobytes()
        mapped.verify()
        assert mapped.id == sealed.id


def test_expected_id(cnn, cnn_onnx):
    right = hashlib.sha256(cnn.read_bytes()).hexdigest()
    for source in (cnn, cnn.read_bytes(), cnn_onnx, cnn_onnx.read_bytes()):
        frozen.Model(source, expect=right).close()
        with pytest.raises(frozen.DigestError):
            frozen.Model(source, expect="0" * 64)


def test_protection_level(cnn):
    with frozen.Model(cnn, protection=frozen.Model(cnn).protection) as model:
        assert model.protection >= 1
    with pytest.raises(frozen.UsageError):
        frozen.Model(cnn, protection=7)


def test_outputs_are_fresh_copies(model, images):
    first = model.run({"input": images[:4]})["logits"]
    kept = first.copy()
    second = model.run({"input": images[4:8]})["logits"]
    assert first.flags.owndata and first.flags.writeable
    assert not numpy.shares_memory(first, second)
    assert first.tobytes() == kept.tobytes()


def test_large_contiguous_inputs_are_read_where_they_lie(model, images):
    for batch, copied in ((images, False), (images[3:90], False), (images[::2], True)):
        tensor = frozen._library.Tensor()
        array = frozen._model._Slot(model.inputs[0], tensor).describe(batch)
        assert tensor.data == array.ctypes.data
        assert (tensor.data != batch.ctypes.data) == copied


def test_shapes_may_change_from_run_to_run(model, images):
    expected = model.run({"input": images})["logits"]
    for n in (1, 3, len(images), 1, 90, 3, 0, 1):
        for batch in (images[:n], numpy.asfortranarray(images[:n])):
            got = model.run({"input": batch})["logits"]
            assert got.shape == (n, 10) and got.tobytes() == expected[:n].tobytes()


def test_a_name_too_many_or_too_few(model, images):
    for feed in ({}, {"x": images}, {"input": images, "x": images}):
        with pytest.raises(ValueError, match="inputs"):
            model.run(feed)


def test_inputs_stay_as_they_are_and_need_no_order(model, images):
    batch = images[:6].copy()
    batch.flags.writeable = False
    expected = model.run({"input": batch})["logits"].tobytes()
    turned = numpy.asfortranarray(batch)
    assert model.run({"input": turned})["logits"].tobytes() == expected
    assert model.run({"input": images[:12:2]})["logits"].shape == (6, 10)
    assert batch.tobytes() == images[:6].tobytes()


def test_batches_of_one_equal_rows_of_a_batch(model, images):
    whole = model.run({"input": images[:8]})["logits"]
    for i in range(8):
        assert model.run({"input": images[i:i + 1]})["logits"][0].tobytes() == whole[i].tobytes()


def test_empty_batch(model, images):
    assert model.run({"input": images[:0]})["logits"].shape == (0, 10)


def test_chosen_outputs(model, images):
    assert list(model.run({"input": images[:1]}, ["logits"])) == ["logits"]
    assert model.run({"input": images[:1]}, []) == {}
    with pytest.raises(ValueError, match="unknown output 'x'.*logits"):
        model.run({"input": images[:1]}, ["x"])


@pytest.mark.parametrize("change, error, text", [
    (lambda x: {}, ValueError, "missing inputs.*input"),
    (lambda x: {"input": x, "extra": x}, ValueError, "unknown inputs.*extra"),
    (lambda x: {"input": x.astype(numpy.float64)}, TypeError, "float32, not float64"),
    (lambda x: {"input": x.astype(">f4")}, TypeError, "float32"),
    (lambda x: {"input": x.astype(object)}, TypeError, "object"),
    (lambda x: {"input": x[0]}, frozen.ShapeError, "input"),
    (lambda x: {"input": x[:, :, :7]}, frozen.ShapeError, "input"),
    (lambda x: {"input": x.reshape((1,) * 9 + x.shape)}, ValueError, "dimensions"),
])
def test_wrong_inputs(model, images, change, error, text):
    with pytest.raises(error, match=text):
        model.run(change(images[:2]))
    assert model.run({"input": images[:2]})["logits"].shape == (2, 10)


def test_deadline(model, images):
    many = numpy.concatenate([images] * 40)
    with pytest.raises(frozen.DeadlineError) as caught:
        model.run({"input": many}, timeout=1e-6)
    assert isinstance(caught.value, TimeoutError)
    assert model.run({"input": images[:2]})["logits"].shape == (2, 10)


def test_errors_carry_status_and_sentence(tmp_path, cnn):
    with pytest.raises(frozen.FileError, match="nowhere.fz") as caught:
        frozen.Model(tmp_path / "nowhere.fz")
    assert caught.value.status == 3 and caught.value.name == "FZ_E_IO"
    assert isinstance(caught.value, frozen.Error) and isinstance(caught.value, OSError)
    damaged = bytearray(cnn.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(frozen.FormatError):
        frozen.Model(damaged)
    for junk in (b"", b"\x89FROZEN", b"no model at all", b"\x08\x08"):
        with pytest.raises(frozen.Error):
            frozen.Model(junk)
    with pytest.raises(TypeError):
        frozen.Model(17)
    with pytest.raises(ValueError):
        frozen.Model("a\0b")


def test_statuses_match_the_header():
    header = pathlib.Path(__file__).parents[2] / "include" / "frozen" / "frozen.h"
    lines = [line.split() for line in header.read_text().splitlines() if "    FZ_E_" in line]
    numbers = {words[0]: int(words[2].rstrip(",")) for words in lines if words[1] == "="}
    assert {c.name: c.status for c in frozen.Error.__subclasses__()} == numbers


def test_closed_model(cnn, images):
    model = frozen.Model(cnn)
    model.close()
    model.close()
    with pytest.raises(frozen.UsageError, match="closed"):
        model.run({"input": images[:1]})
    with pytest.raises(frozen.UsageError, match="closed"):
        model.id
    assert "closed" in repr(model)


def test_models_are_released(cnn, images):
    """A file of the model's memory would be seen among the mappings of the process."""
    def mappings():
        return sum("memfd" in line for line in open("/proc/self/maps"))
    gc.collect()
    before = mappings()
    for _ in range(20):
        frozen.Model(cnn).run({"input": images[:1]})
    gc.collect()
    assert mappings() <= before + 1


@pytest.mark.parametrize("threads", [1, 2, 3, 0])
def test_thread_count_changes_no_bit(cnn, images, threads):
    with frozen.Model(cnn) as one, frozen.Model(cnn, threads=threads) as many:
        expected = one.run({"input": images})["logits"].tobytes()
        assert many.run({"input": images})["logits"].tobytes() == expected


def test_concurrent_callers(cnn, images):
    with frozen.Model(cnn) as model:
        expected = [model.run({"input": images[i:i + 7]})["logits"].tobytes() for i in range(40)]

        def call(i):
            return model.run({"input": images[i % 40:i % 40 + 7]})["logits"].tobytes()

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(call, range(400)))
        assert all(result == expected[i % 40] for i, result in enumerate(results))
        assert 1 <= len(model._idle) <= 8


def test_lock_of_the_interpreter_is_released(cnn, images):
    """Another thread of Python goes on while a run lasts."""
    many = numpy.concatenate([images] * 100)
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    with frozen.Model(cnn) as model:
        model.run({"input": many})
        old = sys.getswitchinterval()
        sys.setswitchinterval(1e-4)
        thread = threading.Thread(target=count)
        thread.start()
        before = counted[0]
        for _ in range(3):
            model.run({"input": many})
        during = counted[0] - before
        done.set()
        thread.join()
        sys.setswitchinterval(old)
    assert during > 1000


def test_closing_while_others_run(cnn, images):
    model = frozen.Model(cnn)
    expected = model.run({"input": images})["logits"].tobytes()
    outcomes = []

    def call():
        try:
            while True:
                outcomes.append(model.run({"input": images})["logits"].tobytes() == expected)
        except frozen.UsageError:
            outcomes.append(True)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(outcomes) < 8:
        pass
    model.close()
    for thread in threads:
        thread.join(30)
    assert all(outcomes) and model._handle is None and not model._idle


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork(cnn, images):
    with frozen.Model(cnn, threads=2) as model:
        expected = model.run({"input": images})["logits"].tobytes()
        child = os.fork()
        if child == 0:
            same = model.run({"input": images})["logits"].tobytes() == expected
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_importing_needs_no_onnx():
    code = ("import sys; sys.modules['onnx'] = None\n"
            f"sys.path.insert(0, {str(pathlib.Path(frozen.__file__).parents[1])!r})\n"
            "import frozen\n"
            "try: frozen.backend\nexcept ImportError: print('fine')")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "fine\n", result.stderr


def test_loading_twice_is_refused(tmp_path, cnn):
    frozen.Model(cnn).close()
    with pytest.raises(frozen.Error):
        frozen.load(tmp_path)
