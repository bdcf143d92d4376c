"""frozen.quantize(): kinds, forms of samples, progress, errors."""

import json

import numpy
import pytest

import frozen
from conftest import DIGITS


@pytest.fixture(scope="module")
def calibration():
    return numpy.load(DIGITS / "calib_x.npy")[:128]


def right(path, images, labels):
    with frozen.Model(path) as model:
        (scores,) = model.run({"input": images}).values()
    return int((scores.argmax(axis=1) == labels).sum())


@pytest.mark.parametrize("kind", ["static", "dynamic", "int8", "int4", "fp16"])
def test_kinds_keep_the_answers(tmp_path, cnn_onnx, calibration, images, labels, kind):
    path = tmp_path / "m.fz"
    samples = ({"input": x[None]} for x in calibration)
    digest = frozen.quantize(cnn_onnx, path, kind, None if kind == "fp16" else samples)
    with frozen.Model(path, expect=digest):
        pass
    assert right(path, images, labels) >= 493


class Reader:
    """What ONNX Runtime calls a CalibrationDataReader."""

    def __init__(self, arrays):
        self.rest = iter(arrays)

    def get_next(self):
        array = next(self.rest, None)
        return None if array is None else {"input": array[None]}


def test_forms_of_samples_give_the_same_bytes(tmp_path, cnn_onnx, calibration):
    folder = tmp_path / "calib"
    folder.mkdir()
    numpy.save(folder / "input.npy", calibration)
    numpy.savez(tmp_path / "calib.npz", input=calibration)
    forms = [folder, str(tmp_path / "calib.npz"), Reader(calibration),
             [{"input": x[None]} for x in calibration]]
    digests = {frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "static", form) for form in forms}
    digests.add(frozen.quantize(cnn_onnx.read_bytes(), tmp_path / "m.onnx", "static", folder))
    assert len(digests) == 1


def test_budget_report_and_progress(tmp_path, calibration):
    phases = []
    frozen.quantize(DIGITS / "digits_vit.onnx", tmp_path / "m.onnx", "static",
                    [{"input": calibration}], min_sqnr=45, json=tmp_path / "m.json",
                    report=tmp_path / "m.html", progress=lambda done, phase: phases.append(phase))
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["sqnr"] >= 45
    assert "sensitivity" in phases and "write" in phases
    assert "<svg" in (tmp_path / "m.html").read_text()


def test_what_progress_raises_ends_the_work(tmp_path, cnn_onnx):
    class Stop(Exception):
        pass

    def progress(_done, _phase):
        raise Stop

    with pytest.raises(Stop):
        frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "dynamic", progress=progress)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("samples, error", [
    (None, frozen.UsageError),
    ([], frozen.InputValueError),
    ([{"input": numpy.zeros((1, 1, 8, 9), numpy.float32)}], frozen.ShapeError),
    ([{"input": numpy.zeros((1, 1, 8, 8), numpy.float64)}], frozen.ElementTypeError),
    ([{"x": numpy.zeros((1, 1, 8, 8), numpy.float32)}], frozen.Error),
    ([{"input": numpy.full((1, 1, 8, 8), numpy.nan, numpy.float32)}], frozen.InputValueError),
])
def test_bad_samples(tmp_path, cnn_onnx, samples, error):
    with pytest.raises(error):
        frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "static", samples)
    assert not list(tmp_path.iterdir())


def test_bad_arguments(tmp_path, cnn_onnx):
    with pytest.raises(ValueError, match="kind is one of"):
        frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "int3")
    with pytest.raises(ValueError, match="method is one of"):
        frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "static", method="best")
    with pytest.raises(TypeError, match="list of names"):
        frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "dynamic", exclude="node")
    with pytest.raises(ValueError, match="has the inputs"):
        frozen.quantize(cnn_onnx, tmp_path / "m.onnx", "static", [{"input": 0}, {"other": 0}])
