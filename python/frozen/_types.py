"""Element types: between the library's numbers and NumPy's dtypes.

bfloat16, the float8 types and the types below 8 bits are those of the package ml_dtypes where it
is installed. Without it their elements are plain unsigned integers that hold the bits: uint16 for
bfloat16, uint8 for a float8 and, one element a byte, for the types of 4 and 2 bits.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy

try:
    import ml_dtypes as _extra
except ImportError:
    _extra = None

from . import _library

STRING = 8
_ONNX_NAMES = {"float32": "float", "float64": "double"}


@functools.lru_cache(maxsize=None)
def name_of(number: int) -> str:
    """The name of element type NUMBER as NumPy or ml_dtypes writes it."""
    text: bytes = _library.core().fz_type_name(number)
    name = text.decode()
    if name not in ("sequence", "optional", "map"):
        return name
    key = f"{name_of(key_of(number))}, " if key_of(number) else ""
    return f"{name}({key}{name_of(element_of(number))})"


@functools.lru_cache(maxsize=None)
def kind_of(number: int) -> int:
    """0 for tensors, else what _values.py knows."""
    kind: int = _library.core().fz_type_kind(number)
    return kind


@functools.lru_cache(maxsize=None)
def element_of(number: int) -> int:
    """The type of what a sequence, an optional or a map holds."""
    element: int = _library.core().fz_type_element(number)
    return element


@functools.lru_cache(maxsize=None)
def key_of(number: int) -> int:
    """The type of a map's keys, else 0."""
    key: int = _library.core().fz_type_key(number)
    return key


@functools.lru_cache(maxsize=None)
def bits_of(number: int) -> int:
    bits: int = _library.core().fz_type_bits(number)
    return bits


@functools.lru_cache(maxsize=None)
def dtype_of(number: int) -> numpy.dtype[Any]:
    """The dtype in which arrays of element type NUMBER come and go."""
    name = name_of(number)
    if _extra is not None and hasattr(_extra, name):
        return numpy.dtype(getattr(_extra, name))
    try:
        return numpy.dtype(name)
    except TypeError:
        pass
    bits = bits_of(number)
    if bits == 0:
        raise TypeError(f"tensors of {name} have no NumPy form")
    return numpy.dtype(numpy.uint16 if bits == 16 else numpy.uint8)


def tensor_type(number: int) -> str:
    """The type as ONNX Runtime writes it: "tensor(float)", "seq(map(int64,tensor(float)))"."""
    if kind_of(number):
        inner = tensor_type(element_of(number))
        key = f"{name_of(key_of(number))}," if key_of(number) else ""
        return f"{('seq', 'optional', 'map')[kind_of(number) - 1]}({key}{inner})"
    name = name_of(number)
    return f"tensor({_ONNX_NAMES.get(name, name.replace('_', ''))})"


def packed(array: numpy.ndarray[Any, Any], bits: int) -> numpy.ndarray[Any, Any]:
    """The elements of ARRAY, one a byte, as the library has them: first element in the low bits."""
    per_byte = 8 // bits
    flat = array.reshape(-1).view(numpy.uint8) & ((1 << bits) - 1)
    flat = numpy.pad(flat, (0, -flat.size % per_byte)).reshape(-1, per_byte)
    shifts = numpy.arange(per_byte, dtype=numpy.uint8) * bits
    whole: numpy.ndarray[Any, Any] = numpy.bitwise_or.reduce(flat << shifts, axis=1)
    return whole.astype(numpy.uint8)


def unpacked(data: numpy.ndarray[Any, Any], count: int, number: int) -> numpy.ndarray[Any, Any]:
    """COUNT elements of type NUMBER, one a byte, from the library's packed DATA."""
    bits = bits_of(number)
    shifts = numpy.arange(8 // bits, dtype=numpy.uint8) * bits
    flat: numpy.ndarray[Any, Any] = (data[:, None] >> shifts) & ((1 << bits) - 1)
    flat = flat.reshape(-1)[:count]
    if name_of(number).startswith("int"):
        sign = 1 << (bits - 1)
        flat = (flat ^ sign) - sign
    return flat.astype(numpy.uint8).view(dtype_of(number))


def address(array: numpy.ndarray[Any, Any]) -> int:
    """Where the elements lie; quicker than array.ctypes.data."""
    where: int = array.__array_interface__["data"][0]
    return where
