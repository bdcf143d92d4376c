"""frozen.freeze() and its options."""

import hashlib

import numpy
import pytest

import frozen


def test_id_and_reproducibility(tmp_path, cnn_onnx):
    model_id = frozen.freeze(cnn_onnx, tmp_path / "a.fz")
    frozen.freeze(str(cnn_onnx), str(tmp_path / "b.fz"))
    frozen.freeze(cnn_onnx.read_bytes(), tmp_path / "c.fz")
    files = {(tmp_path / name).read_bytes() for name in ("a.fz", "b.fz", "c.fz")}
    assert len(files) == 1
    assert hashlib.sha256(files.pop()).hexdigest() == model_id


def test_dimensions(tmp_path, cnn_onnx, images):
    frozen.freeze(cnn_onnx, tmp_path / "m.fz", dims={"n": 3})
    with frozen.Model(tmp_path / "m.fz") as model:
        assert model.inputs[0].shape == (3, 1, 8, 8)
        assert model.stats["arena_size"] > 0 and model.stats["macs"] > 0
        with pytest.raises(frozen.ShapeError):
            model.run({"input": images[:2]})
        assert model.run({"input": images[:3]})["logits"].shape == (3, 10)


def test_original_is_kept(tmp_path, cnn_onnx):
    frozen.freeze(cnn_onnx, tmp_path / "m.fz", keep_onnx=True)
    assert cnn_onnx.read_bytes() in (tmp_path / "m.fz").read_bytes()


def test_options_change_the_id_but_hardly_the_answer(tmp_path, cnn_onnx, images):
    ids, answers = set(), []
    for i, options in enumerate([{}, {"winograd": False}]):
        ids.add(frozen.freeze(cnn_onnx, tmp_path / f"{i}.fz", **options))
        with frozen.Model(tmp_path / f"{i}.fz") as model:
            answers.append(model.run({"input": images})["logits"])
    assert len(ids) == 2
    spread = numpy.ptp(answers[0])
    assert numpy.abs(answers[0] - answers[1]).max() <= 1e-5 * spread


def test_literal_qdq(tmp_path, cnn_onnx, images, labels):
    source = cnn_onnx.with_name("digits_cnn.qdq.onnx")
    fused = frozen.freeze(source, tmp_path / "fused.fz")
    assert frozen.freeze(source, tmp_path / "m.fz", literal_qdq=True) != fused
    with frozen.Model(tmp_path / "m.fz") as model:
        scores = model.run({"input": images})["logits"]
    assert (scores.argmax(axis=1) == labels).sum() >= 494


def test_ranges_per_row_make_rows_independent(tmp_path, cnn_onnx, images):
    source = cnn_onnx.with_name("digits_cnn.dyn.onnx")
    tensor = frozen.freeze(source, tmp_path / "tensor.fz")
    assert frozen.freeze(source, tmp_path / "same.fz", dynamic_range="tensor") == tensor
    assert frozen.freeze(source, tmp_path / "rows.fz", dynamic_range="per-row") != tensor
    with frozen.Model(tmp_path / "rows.fz") as rows, frozen.Model(tmp_path / "tensor.fz") as one:
        assert "option dynamic-range-per-row" in rows.text("provenance")
        scores = rows.run({"input": images[:9]})["logits"]
        alone = [one.run({"input": images[i:i + 1]})["logits"] for i in range(9)]
        assert scores.tobytes() == numpy.concatenate(alone).tobytes()
        assert one.run({"input": images[:9]})["logits"].tobytes() != scores.tobytes()
    with pytest.raises(ValueError, match="per-row"):
        frozen.freeze(source, tmp_path / "m.fz", dynamic_range="row")
    with pytest.raises(ValueError, match="per-row"):
        frozen.freeze(b"", tmp_path / "m.fz", dynamic_range="row")


def test_failures_leave_no_file(tmp_path, cnn_onnx):
    with pytest.raises(frozen.FileError):
        frozen.freeze(tmp_path / "nowhere.onnx", tmp_path / "m.fz")
    with pytest.raises(frozen.FormatError):
        frozen.freeze(b"no model", tmp_path / "m.fz")
    with pytest.raises(frozen.UsageError):
        frozen.freeze(cnn_onnx, tmp_path / "m.fz", numerics="sloppy")
    with pytest.raises(frozen.Error):
        frozen.freeze(cnn_onnx, tmp_path / "m.fz", dims={"n": -1})
    assert list(tmp_path.iterdir()) == []


def test_all_faults_of_a_model_are_told(tmp_path, cnn_onnx):
    faulty = cnn_onnx.parents[1] / "faults" / "faulty.onnx"
    for call in (lambda: frozen.Model(faulty), lambda: frozen.freeze(faulty, tmp_path / "no.fz")):
        with pytest.raises(frozen.UnsupportedError) as caught:
            call()
        lines = str(caught.value).split("\n")
        assert lines[0] == "not supported, 8 cases:" and len(lines) == 9
        assert "com.example.Frobnicate of opset 1 (node 'first' and 1 more)" in lines[1]
