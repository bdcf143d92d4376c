"""Strings, sequences, optionals and maps: between Python's values and the library's descriptions.

A tensor of strings comes as an array of dtype object whose elements are str and is taken as that,
as an array of NumPy's string types or as a list. A sequence is a list, an optional the value or
None, a map a dict.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy

from . import _library, _types

SEQUENCE, OPTIONAL, MAP = 1, 2, 3
_PAIR = numpy.dtype([("text", numpy.uintp), ("size", numpy.uintp)])
_ITEM = ctypes.sizeof(_library.Tensor)


def is_plain(number: int) -> bool:
    """True for tensors of numbers, whose elements are the memory of an array."""
    return number < 256 and number != _types.STRING


def describe(value: Any, number: int, tensor: _library.Tensor, owners: list[Any]) -> None:
    """Lets TENSOR, of type NUMBER, describe VALUE; OWNERS gets what owns the memory."""
    tensor.dtype = number
    kind = _types.kind_of(number)
    if kind == SEQUENCE:
        _hold(list(value), number, tensor, owners)
    elif kind == OPTIONAL:
        _hold([] if value is None else [value], number, tensor, owners)
    elif kind == MAP:
        _describe_map(dict(value), number, tensor, owners)
    elif number == _types.STRING:
        _describe_strings(value, tensor, owners)
    else:
        _describe_array(value, number, tensor, owners)


def fetch(tensor: _library.Tensor) -> Any:
    """A copy of the value that TENSOR describes."""
    kind = _types.kind_of(tensor.dtype)
    if kind == MAP:
        keys, values = (fetch(item) for item in _items(tensor))
        return dict(zip(keys.tolist(), values.tolist()))
    if kind:
        values = [fetch(item) for item in _items(tensor)]
        return values if kind == SEQUENCE else (values[0] if values else None)
    if tensor.dtype == _types.STRING:
        return _fetch_strings(tensor)
    return _fetch_array(tensor)


def view(tensor: _library.Tensor) -> Any:
    """The array that TENSOR describes, where it lies; None if its elements are no numbers or lie
    several to a byte, or if there are none."""
    if not is_plain(tensor.dtype) or _types.bits_of(tensor.dtype) < 8 or not tensor.size:
        return None
    memory = (ctypes.c_uint8 * tensor.size).from_address(tensor.data)
    array = numpy.frombuffer(memory, _types.dtype_of(tensor.dtype))
    return array.reshape(tensor.dims[:tensor.rank])


def _items(tensor: _library.Tensor) -> Any:
    count = tensor.dims[0]
    return (_library.Tensor * count).from_address(tensor.data) if count else []


def _set_shape(tensor: _library.Tensor, shape: tuple[int, ...], size: int) -> None:
    if len(shape) > _library.RANK_MAX:
        raise ValueError(f"a tensor has more than {_library.RANK_MAX} dimensions")
    tensor.rank = len(shape)
    tensor.dims[:len(shape)] = shape
    tensor.size = size


def _hold(values: list[Any], number: int, tensor: _library.Tensor, owners: list[Any]) -> None:
    element = _types.element_of(number)
    items = (_library.Tensor * max(1, len(values)))()
    for value, item in zip(values, items):
        describe(value, element, item, owners)
    owners.append(items)
    _set_shape(tensor, (len(values),), len(values) * _ITEM)
    tensor.data = ctypes.addressof(items)


def _describe_map(values: dict[Any, Any], number: int, tensor: _library.Tensor,
                  owners: list[Any]) -> None:
    items = (_library.Tensor * 2)()
    parts = ((list(values), _types.key_of(number)),
             (list(values.values()), _types.element_of(number)))
    for (part, element), item in zip(parts, items):
        array = part if element == _types.STRING else numpy.array(part, _types.dtype_of(element))
        describe(array, element, item, owners)
    owners.append(items)
    _set_shape(tensor, (2,), 2 * _ITEM)
    tensor.data = ctypes.addressof(items)


def _describe_strings(value: Any, tensor: _library.Tensor, owners: list[Any]) -> None:
    array = value if isinstance(value, numpy.ndarray) else numpy.array(value, object)
    if array.dtype.kind not in "USOT" and array.size:
        raise TypeError(f"strings are needed, not elements of dtype {array.dtype}")
    texts = [_encoded(text) for text in array.reshape(-1).tolist()]
    block = numpy.frombuffer(b"".join(texts) or b"\0", numpy.uint8)
    pairs = numpy.empty(max(1, len(texts)), _PAIR)
    sizes = numpy.fromiter(map(len, texts), numpy.uintp, len(texts))
    pairs["size"][:len(texts)] = sizes
    ends = numpy.cumsum(sizes, dtype=numpy.uintp)
    pairs["text"][:len(texts)] = ends - sizes + numpy.uintp(block.ctypes.data)
    owners += [block, pairs]
    _set_shape(tensor, array.shape, len(texts) * _PAIR.itemsize)
    tensor.data = pairs.ctypes.data


def _encoded(text: Any) -> bytes:
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode("utf-8", "surrogateescape")
    raise TypeError(f"strings are needed, not {type(text).__name__}")


def _fetch_strings(tensor: _library.Tensor) -> Any:
    shape = tensor.dims[:tensor.rank]
    array = numpy.empty(shape, object)
    flat = array.reshape(-1)
    items = (_library.String * flat.size).from_address(tensor.data) if flat.size else []
    for i, item in enumerate(items):
        text = ctypes.string_at(item.text, item.size) if item.size else b""
        flat[i] = text.decode("utf-8", "surrogateescape")
    return array


def _describe_array(value: Any, number: int, tensor: _library.Tensor, owners: list[Any]) -> None:
    array = numpy.asarray(value)
    wanted = _types.dtype_of(number)
    if array.dtype != wanted:
        raise TypeError(f"a tensor must be of dtype {wanted}, not {array.dtype}")
    shape, bits = array.shape, _types.bits_of(number)
    if not array.flags.c_contiguous:
        array = numpy.array(array, order="C")
    if bits < 8:
        array = _types.packed(array, bits)
    owners.append(array)
    _set_shape(tensor, shape, array.nbytes)
    tensor.data = _types.address(array)


def _fetch_array(tensor: _library.Tensor) -> Any:
    shape = tensor.dims[:tensor.rank]
    bits = _types.bits_of(tensor.dtype)
    if bits < 8:
        raw = numpy.empty(tensor.size, numpy.uint8)
        ctypes.memmove(_types.address(raw), tensor.data, tensor.size)
        count = int(numpy.prod(shape, dtype=numpy.int64))
        return _types.unpacked(raw, count, tensor.dtype).reshape(shape)
    array = numpy.empty(shape, _types.dtype_of(tensor.dtype))
    if array.nbytes:
        ctypes.memmove(_types.address(array), tensor.data, array.nbytes)
    return array
