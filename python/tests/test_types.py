"""Element types on their way from NumPy and back."""

import subprocess
import sys

import numpy
import pytest

import frozen
from frozen import _types

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

PLAIN = ["float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
         "uint64", "bool"]


def identity(element_type, opset=21):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", element_type, ["n", 3])],
        [helper.make_tensor_value_info("y", element_type, ["n", 3])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_types(name):
    element_type = getattr(TensorProto, {"float64": "DOUBLE"}.get(name, name.upper()))
    x = numpy.arange(6).reshape(2, 3).astype(name)
    with frozen.Model(identity(element_type, 13)) as model:
        assert model.inputs[0].dtype == name
        y = model.run({"x": x})["y"]
    assert y.dtype == x.dtype and y.tobytes() == x.tobytes()


def test_bfloat16():
    x = numpy.array([[0x3F80, 0xC000, 0x7FC0]], numpy.uint16)
    with frozen.Model(identity(TensorProto.BFLOAT16, 13)) as model:
        dtype = _types.dtype_of(model.inputs[0].number)
        assert model.inputs[0].dtype == "bfloat16"
        y = model.run({"x": x.view(dtype)})["y"]
        assert y.dtype == dtype and y.tobytes() == x.tobytes()


def test_bfloat16_without_ml_dtypes():
    code = ("import sys; sys.modules['ml_dtypes'] = None\n"
            "from frozen import _types, _library\n"
            "_library.core = lambda: type('L', (), {'fz_type_name': lambda n: b'bfloat16',"
            " 'fz_type_bits': lambda n: 16})\n"
            "print(_types.dtype_of(16))")
    path = _types.__file__.rsplit("/frozen/", 1)[0]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=path)
    assert result.stdout == "uint16\n", result.stderr


@pytest.mark.parametrize("number", [21, 22, 25, 26])  # uint4 int4 uint2 int2
def test_packing(number):
    bits, signed = _types.bits_of(number), number in (22, 26)
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    values = numpy.arange(low, high).astype(numpy.int8)
    values = numpy.concatenate([values, values[:1]])  # a count that does not fill its last byte
    raw = _types.packed(values, bits)
    assert raw.size == -(-values.size * bits // 8)
    assert raw[0] & ((1 << bits) - 1) == values[0] & ((1 << bits) - 1)
    back = _types.unpacked(raw, values.size, number)
    assert back.view(numpy.uint8).tobytes() == values.view(numpy.uint8).tobytes()


def test_int4_through_a_model():
    if not hasattr(TensorProto, "INT4"):
        pytest.skip("this onnx has no int4")
    dtype = _types.dtype_of(TensorProto.INT4)
    x = numpy.array([[-8, -1, 7], [0, 3, -5], [1, 2, 4]], numpy.int8).astype(dtype)
    with frozen.Model(identity(TensorProto.INT4)) as model:
        y = model.run({"x": x})["y"]
    assert y.dtype == dtype and (y.astype(numpy.int8) == x.astype(numpy.int8)).all()


def test_scalars_and_several_outputs():
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"]),
         helper.make_node("Sub", ["a", "b"], ["less"])],
        "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in "ab"],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in ("sum", "less")])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with frozen.Model(proto) as model:
        out = model.run({"b": numpy.float32(2), "a": numpy.array(5, numpy.float32)})
        assert list(out) == ["sum", "less"] and out["sum"].shape == ()
        assert out["sum"] == 7 and out["less"] == 3
        assert list(model.run({"a": numpy.float32(1), "b": numpy.float32(1)}, ["less"])) == ["less"]
