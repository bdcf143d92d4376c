"""Models of one node, and what it means that two results agree."""

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import frozen

RANGE = 1e-5  # of a float output's range


def model(op, inputs, outputs, constants=(), domain="com.microsoft", version=21, **attributes):
    """A model of one node. INPUTS: arrays by name, in order, None for an absent one; those named in
    CONSTANTS are initializers. OUTPUTS: names, "" for an absent one."""
    node = helper.make_node(op, [name if value is not None else "" for name, value in inputs.items()],
                            outputs, domain=domain, **attributes)
    def info(name, value):
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        return helper.make_tensor_value_info(name, kind, value.shape)
    graph = helper.make_graph(
        [node], "one",
        [info(n, v) for n, v in inputs.items() if v is not None and n not in constants],
        [helper.make_empty_tensor_value_info(name) for name in outputs if name],
        [numpy_helper.from_array(v, n) for n, v in inputs.items() if n in constants])
    imports = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def run_both(proto, feeds):
    """The outputs of ONNX Runtime and of the library, unoptimised models both."""
    data = proto.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    theirs = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"]).run(None, feeds)
    with frozen.Model(data) as ours:
        return theirs, ours.run(feeds)


def assert_agree(theirs, ours, unit=0, tolerance=RANGE):
    """Floats within TOLERANCE of the range, integers within UNIT."""
    ours = list(ours.values()) if isinstance(ours, dict) else list(ours)
    assert len(theirs) == len(ours)
    for want, got in zip(theirs, ours):
        want, got = numpy.asarray(want), numpy.asarray(got)
        assert want.dtype == got.dtype and want.shape == got.shape
        if want.size == 0:
            continue
        if want.dtype.kind != "f":
            assert numpy.abs(want.astype(numpy.int64) - got.astype(numpy.int64)).max() <= unit
            continue
        width = max(numpy.abs(want).max(), want.max() - want.min())
        assert numpy.abs(want.astype(float) - got.astype(float)).max() <= tolerance * width


def check(op, inputs, outputs=("y",), constants=(), unit=0, tolerance=RANGE, **attributes):
    proto = model(op, inputs, list(outputs), constants, **attributes)
    feeds = {n: v for n, v in inputs.items() if v is not None and n not in constants}
    theirs, ours = run_both(proto, feeds)
    assert_agree(theirs, ours, unit, tolerance)
    return theirs
