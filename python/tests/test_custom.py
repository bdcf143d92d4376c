"""Custom operators: NumPy functions, C functions of ctypes, shared objects."""

import ctypes
import pathlib
import shutil
import subprocess

import numpy
import pytest

import frozen

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEST = ROOT / "tests" / "data" / "custom" / "digits_best.onnx"
DIGEST = bytes(range(32))


def infer_best(scores, margin=0.0):
    return frozen.Spec("int64", None if scores.shape is None else scores.shape[:1])


def run_best(scores, margin=0.0):
    return numpy.argmax(scores, axis=1).astype(numpy.int64)


def best(run=run_best, infer=infer_best, digest=DIGEST, **more):
    return frozen.CustomOp("com.example", "Best", run, digest=digest, infer=infer,
                           attributes={"margin": "float"}, **more)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("custom") / "best.fz"
    frozen.freeze(BEST, path, custom=[best()])
    return path


def test_numpy(file, images, labels):
    with frozen.Model(file, custom=[best()]) as model:
        digits = model.run({"input": images})["best"]
        assert digits.dtype == numpy.int64
        assert (digits == labels).mean() > 0.95
        model.verify(kat=True)
        assert "com.example.Best 1 1" in model.text("operators")
    with frozen.Model(BEST, custom=best()) as model:
        assert (model.run({"input": images})["best"] == digits).all()
    session = frozen.InferenceSession(str(BEST), custom=[best()])
    assert (session.run(None, {"input": images})[0] == digits).all()


def test_other_implementations(file):
    with pytest.raises(frozen.UnsupportedError, match="com.example.Best .* not registered"):
        frozen.Model(file)
    with pytest.raises(frozen.UnsupportedError, match="registered in version 2 sha256:000102"):
        frozen.Model(file, custom=[best(version=2)])
    with pytest.raises(frozen.UnsupportedError, match="registered in version 1 sha256:ff"):
        frozen.Model(file, custom=[best(digest="ff" * 32)])
    with pytest.raises(frozen.UnsupportedError, match="com.example.Best of opset 1"):
        frozen.Model(BEST)


def test_refused_tables():
    with pytest.raises(ValueError, match="32 bytes"):
        best(digest=b"short")
    with pytest.raises(ValueError, match="kinds"):
        frozen.CustomOp("d", "N", run_best, digest=DIGEST, attributes={"a": "complex"})
    with pytest.raises(ValueError, match="required"):
        frozen.CustomOp("d", "N", run_best, digest=DIGEST, required=["a"])
    with pytest.raises(frozen.UsageError, match="Conv"):
        frozen.Model(BEST, custom=[frozen.CustomOp("", "Conv", run_best, digest=DIGEST)])


def failing(scores, margin):
    if scores.shape[0] > 1:
        raise ZeroDivisionError("the moon is full")
    return run_best(scores)


def test_exceptions(images):
    model = frozen.Model(BEST, custom=[best(failing)])
    with pytest.raises(frozen.InputValueError,
                       match=r"node 'best' \(Best\): ZeroDivisionError: the moon is full"):
        model.run({"input": images[:2]})
    assert model.run({"input": images[:1]})["best"].shape == (1,)

    def wrong_shape(scores, margin):
        return numpy.zeros(scores.shape[0] + 1, numpy.int64)

    model = frozen.Model(BEST, custom=[best(wrong_shape)])
    with pytest.raises(frozen.InputValueError, match="the shape"):
        model.run({"input": images[:2]})
    model = frozen.Model(BEST, custom=[best(lambda scores, margin: scores)])
    with pytest.raises(frozen.ElementTypeError, match="int64"):
        model.run({"input": images[:2]})


def model_of(node, inputs, outputs):
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    infos = [[h.make_tensor_value_info(name, number, shape) for name, number, shape in values]
             for values in (inputs, outputs)]
    return h.make_model(h.make_graph([node], "g", *infos), ir_version=8,
                        opset_imports=[h.make_opsetid("", 17), h.make_opsetid("com.test", 1)])


def test_every_kind_of_attribute():
    onnx = pytest.importorskip("onnx")
    seen = {}

    def run(x, y, **attributes):
        seen.update(attributes)
        assert y is None
        return x

    kinds = {"i": "int", "f": "float", "s": "string", "t": "tensor", "is": "ints", "fs": "floats",
             "ss": "strings", "absent": "int"}
    op = frozen.CustomOp("com.test", "Kinds", run, digest=DIGEST, inputs=(1, 2), attributes=kinds,
                         required=["i"])
    table = numpy.arange(4, dtype=numpy.int8).reshape(2, 2)
    node = onnx.helper.make_node(
        "Kinds", ["x"], ["y"], domain="com.test", i=-3, f=0.5, s="text", fs=[1.5, 2.0],
        t=onnx.numpy_helper.from_array(table), ss=["a", "bc"], **{"is": [1, 2]})
    x = numpy.float32([[1, 2]])
    model = frozen.Model(model_of(node, [("x", 1, ["n", 2])], [("y", 1, ["n", 2])]), custom=[op])
    assert (model.run({"x": x})["y"] == x).all()
    assert (seen.pop("t") == table).all()
    assert seen == {"i": -3, "f": 0.5, "s": "text", "is": [1, 2], "fs": [1.5, 2.0],
                    "ss": ["a", "bc"]}


def test_strings_whose_number_only_run_knows():
    onnx = pytest.importorskip("onnx")

    def infer(text):
        return frozen.Spec("string", (-1,)), frozen.Spec("int64", (None,))

    def run(text):
        words = " ".join(text.tolist()).split()
        return numpy.array(words, object), numpy.array([len(w) for w in words], numpy.int64)

    op = frozen.CustomOp("com.test", "Words", run, digest=DIGEST, outputs=2, infer=infer,
                         late_shape=True)
    node = onnx.helper.make_node("Words", ["x"], ["y", "sizes"], domain="com.test")
    proto = model_of(node, [("x", 8, ["n"])], [("y", 8, ["m"]), ("sizes", 7, ["m"])])
    with frozen.Model(proto, custom=[op]) as model:
        for text in (["a bc", "def"], [""], ["one two three four"]):
            out = model.run({"x": text})
            assert out["y"].tolist() == " ".join(text).split()
            assert out["sizes"].tolist() == [len(w) for w in out["y"]]


def test_c_functions(images):
    """Callbacks with C's own signature; here they are Python again, called through ctypes."""
    @frozen.CustomCallback
    def infer(_, call):
        call[0].outputs[0][0].dtype = 7
        call[0].outputs[0][0].rank = 1
        call[0].outputs[0][0].dims[0] = call[0].inputs[0][0].dims[0]
        return 0

    @frozen.CustomCallback
    def run(_, call):
        count = call[0].outputs[0][0].dims[0]
        ctypes.memset(call[0].outputs[0][0].data, 0, 8 * count)
        return 0

    model = frozen.Model(BEST, custom=[best(run, infer)])
    assert model.run({"input": images[:3]})["best"].tolist() == [0, 0, 0]


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_shared_object(tmp_path, images, file):
    library = tmp_path / "best.so"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT / 'include'}",
                    str(ROOT / "examples" / "custom" / "best.c"), "-o", str(library)], check=True)
    frozen.freeze(BEST, tmp_path / "best.fz", custom=[library])
    with frozen.Model(tmp_path / "best.fz", custom=[library]) as model, \
            frozen.Model(file, custom=[best()]) as other:
        assert model.id != other.id
        assert (model.run({"input": images})["best"] == other.run({"input": images})["best"]).all()
    with pytest.raises(frozen.FileError, match="no shared object"):
        frozen.Model(BEST, custom=[tmp_path / "nothing.so"])
