"""frozen.backend under ONNX's own interface and a choice of ONNX's own tests."""

import numpy
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx.backend.test")

import onnx.backend.test  # noqa: E402
from onnx import helper  # noqa: E402

import frozen  # noqa: E402


def test_interface(cnn_onnx, images):
    backend = frozen.backend
    assert backend.supports_device("CPU") and not backend.supports_device("CUDA")
    proto = onnx.load(str(cnn_onnx))
    rep = backend.prepare(proto, "CPU")
    with frozen.Model(cnn_onnx) as model:
        expected = model.run({"input": images[:4]})["logits"].tobytes()
    for given in ([images[:4]], {"input": images[:4]}, images[:4]):
        assert rep.run(given)[0].tobytes() == expected
    assert backend.run_model(proto, [images[:4]]).logits.tobytes() == expected
    with pytest.raises(ValueError, match="CUDA"):
        backend.prepare(proto, "CUDA")


def test_run_node():
    a, b = numpy.float32([[1, 2], [3, 4]]), numpy.float32([[5, 6], [7, 8]])
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    assert (frozen.backend.run_node(node, [a, b])[0] == a @ b).all()
    info = [(numpy.float32, (2, 2))]
    assert (frozen.backend.run_node(node, {"a": a, "b": b}, outputs_info=info).y == a @ b).all()


CHOICE = ["test_relu", "test_add", "test_matmul_2d", "test_basic_conv_with_padding",
          "test_softmax_axis_1", "test_concat_2d_axis_0", "test_gather_0", "test_lstm_defaults",
          "test_maxpool_2d_default", "test_reduce_sum_default_axes_keepdims_example", "test_where",
          "test_split_equal_parts_1d", "test_transpose_default", "test_gemm_all_attributes"]

_suite = onnx.backend.test.BackendTest(frozen.backend, __name__)
for _name in CHOICE:
    _suite.include(f"^{_name}(_opset[0-9]+|_expanded)?_cpu$")
# ONNX before 1.13 compares results with a name that NumPy 1.24 has dropped.
_runs = hasattr(numpy, "object") or tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 13)
_cases = _suite.test_cases  # made anew at every access
for _case in _cases.values():
    # The suite marks what is not chosen as skipped; thousands of such lines would hide the others.
    for _name in [n for n in dir(_case) if getattr(getattr(_case, n), "__unittest_skip__", False)]:
        delattr(_case, _name)
if _runs:
    globals().update(_cases)
else:
    @pytest.mark.skip(reason=f"the test suite of onnx {onnx.__version__} needs an older NumPy")
    def test_suite_of_onnx():
        pass
