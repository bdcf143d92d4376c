"""The cases of the installed onnx package: a model, its inputs, the outputs expected of it.

Node cases are made by the package in memory; model cases are folders of its data. The light models
have one input each, which the package defines by a formula.
"""

import pathlib
import warnings

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test import loader

HERE = pathlib.Path(__file__).resolve().parent
KINDS = ["node", "simple", "pytorch-converted", "pytorch-operator", "real"]


def listed(name):
    """The names in file NAME of this folder and what it says of each."""
    lines = (HERE / name).read_text().splitlines()
    pairs = (line.partition(": ")[::2] for line in lines if line and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in pairs}


def load():
    """All cases by "kind/name", in the order of their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, while the package computes what it expects
        cases = {f"{kind}/{case.name}": case
                 for kind in KINDS for case in loader.load_model_tests(kind=kind)}
    return dict(sorted(cases.items()))


def model_of(case):
    if case.model is not None:
        return case.model
    return onnx.load(_light(case) if case.url else pathlib.Path(case.model_dir) / "model.onnx")


def data_of(case, model):
    """Pairs of inputs and expected outputs."""
    if case.model is not None:
        return [([_array(value) for value in inputs], [_array(value) for value in outputs])
                for inputs, outputs in case.data_sets]
    if case.url:
        return [_light_data(case, model)]
    sets = sorted(pathlib.Path(case.model_dir).glob("test_data_set*"))
    return [(_values(folder, "input", model.graph.input),
             _values(folder, "output", model.graph.output)) for folder in sets]


def _array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _light(case):
    return pathlib.Path(onnx.__file__).parent.parent / case.url


def _light_data(case, model):
    constants = {value.name for value in model.graph.initializer}
    inputs = []
    for value in model.graph.input:
        if value.name not in constants:
            shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            n = numpy.prod(shape)
            inputs.append((numpy.arange(n).reshape(shape) / n).astype(numpy.float32))
    prefix = str(_light(case))[:-len(".onnx")]
    outputs = [_tensor(f"{prefix}_output_{i}.pb") for i in range(len(model.graph.output))]
    return inputs, outputs


def _tensor(path):
    return numpy_helper.to_array(onnx.TensorProto.FromString(pathlib.Path(path).read_bytes()))


def _values(folder, what, declared):
    count = len(list(folder.glob(f"{what}_*.pb")))
    return [_value(folder / f"{what}_{i}.pb", declared[i].type) for i in range(count)]


def _value(path, declared):
    data = path.read_bytes()
    if declared.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if declared.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return _tensor(path)
