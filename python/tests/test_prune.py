"""frozen.prune(): what comes out is smaller, runs, and is the same every time."""
import os

import frozen
import numpy
import pytest

DIGITS = os.path.join(os.path.dirname(__file__), "../../tests/data/digits")
CNN = os.path.join(DIGITS, "digits_cnn.onnx")


def samples(n: int = 64) -> list:
    images = numpy.load(os.path.join(DIGITS, "calib_x.npy"))[:n]
    return [{"input": image[None]} for image in images]


def right(path: object) -> int:
    images = numpy.load(os.path.join(DIGITS, "test_x.npy"))
    labels = numpy.load(os.path.join(DIGITS, "test_y.npy"))
    with frozen.Model(path) as model:
        scores = model.run({"input": images})["logits"]
    return int((scores.argmax(axis=1) == labels).sum())


def test_structured(tmp_path):
    small, again = tmp_path / "small.onnx", tmp_path / "again.onnx"
    result = frozen.prune(CNN, small, structured=0.3, calib=samples())
    assert result.macs_after <= 0.7 * result.macs_before
    assert result.weights_after < result.weights_before
    assert result.n_samples == 64
    assert any("stay" in line for line in result.report)
    assert os.path.getsize(small) < os.path.getsize(CNN)
    assert right(small) > 450
    frozen.prune(CNN, again, structured=0.3, calib=samples())
    assert small.read_bytes() == again.read_bytes()


def test_paths_and_iterables_agree(tmp_path):
    folder = tmp_path / "calib"
    folder.mkdir()
    numpy.save(folder / "input.npy", numpy.concatenate([s["input"] for s in samples(8)]))
    frozen.prune(CNN, tmp_path / "a.onnx", structured=0.2, calib=folder)
    frozen.prune(CNN, tmp_path / "b.onnx", structured=0.2, calib=iter(samples(8)))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_sparse(tmp_path):
    vit = os.path.join(DIGITS, "digits_vit.onnx")
    result = frozen.prune(vit, tmp_path / "sparse.fz", sparse="block:0.5", calib=samples())
    assert result.zeros_after > 0.3 * result.weights_after
    assert any("stored packed" in line for line in result.report)
    assert right(tmp_path / "sparse.fz") > 450


def test_refusals(tmp_path):
    out = tmp_path / "out.onnx"
    with pytest.raises(ValueError, match="no 'input'"):
        frozen.prune(CNN, out, structured=0.5, calib=[{"image": samples(1)[0]["input"]}])
    with pytest.raises(frozen.UsageError, match="no node 'nothing'"):
        frozen.prune(CNN, out, structured=0.5, exclude=["nothing"])
    with pytest.raises(frozen.ShapeError):
        frozen.prune(CNN, out, structured=0.5,
                     calib=[{"input": numpy.zeros((1, 1, 7, 8), numpy.float32)}])
    with pytest.raises(frozen.InputValueError):
        bad = {"input": numpy.full((1, 1, 8, 8), numpy.nan, numpy.float32)}
        frozen.prune(CNN, out, structured=0.5, calib=[bad])
    assert not out.exists()
