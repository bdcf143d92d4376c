"""Operators that the caller brings along: NumPy functions, ctypes callbacks, shared objects.

A frozen file names each of them by version and digest, so that it can't run with another
implementation unnoticed. That an operator gives the same bits everywhere is its author's promise;
NumPy functions differ between machines unless they keep to exact operations.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import (CFUNCTYPE, POINTER, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32,
                    c_void_p)
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

import numpy

from . import _library, _types, _values
from ._errors import Error, FileError
from ._library import Path, check, core

_KINDS = {"int": 1, "float": 2, "string": 3, "tensor": 4, "ints": 5, "floats": 6, "strings": 7}
_LATE_SHAPE = 1
_E_TYPE, _E_SHAPE, _E_VALUE, _E_NOMEM = 9, 8, 14, 2
_TENSOR = POINTER(_library.Tensor)


class _Attr(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("kind", c_int32), ("required", c_int32)]


class CustomCall(ctypes.Structure):
    """fz_custom_call_t of custom.h: what a ctypes callback is given."""


CustomCall._fields_ = [
    ("size", c_size_t),
    ("inputs", POINTER(_TENSOR)),
    ("outputs", POINTER(_TENSOR)),
    ("attributes", POINTER(_TENSOR)),
    ("scratch", c_void_p),
    ("threads", c_int32),
    ("reserved", c_uint32),
    ("error", CFUNCTYPE(c_int32, c_void_p, c_int32, c_char_p)),
    ("resize", CFUNCTYPE(c_int32, c_void_p, c_uint32, c_int32, POINTER(c_int64))),
    ("allocate", CFUNCTYPE(c_void_p, c_void_p, c_size_t)),
    ("parallel", c_void_p),
]

# The types of ctypes callbacks: infer and run take a context, which is NULL, and a CustomCall.
CustomCallback = CFUNCTYPE(c_int32, c_void_p, POINTER(CustomCall))


class _Op(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("domain", c_char_p),
        ("name", c_char_p),
        ("opset", c_int32),
        ("version", c_int32),
        ("digest", c_uint8 * 32),
        ("min_inputs", c_int32),
        ("max_inputs", c_int32),
        ("min_outputs", c_int32),
        ("max_outputs", c_int32),
        ("attributes", POINTER(_Attr)),
        ("n_attributes", c_size_t),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("infer", CustomCallback),
        ("scratch", c_void_p),
        ("run", CustomCallback),
        ("context", c_void_p),
    ]


@dataclass(frozen=True)
class Spec:
    """Type and shape of a value while shapes are inferred.

    `dtype` is a NumPy name or "string". `shape` is None if not even the rank is known. A negative
    size is open; equal ones below -1 are equal sizes, and may be passed on.
    """

    dtype: str
    shape: Optional[tuple[int, ...]]


class CustomOp:
    """The operator NAME of DOMAIN, for `custom=` of freeze() and Model.

    RUN gets an array for each input (None for an absent one), and the attributes by name, and
    returns an array, or a tuple of one for each output. INFER gets a Spec for each input and the
    attributes, and returns a Spec, or a tuple; without it outputs have the first input's type and
    shape. With LATE_SHAPE, INFER may leave sizes open that only RUN knows. Both may be ctypes
    functions of type CustomCallback instead, which get the C library's own arguments.

    DIGEST, 32 bytes or 64 hex digits, and VERSION name the implementation: change both with any
    bit of a result. INPUTS and OUTPUTS are numbers, or pairs of the least and the greatest one.
    ATTRIBUTES are kinds by name, "int", "float", "string", "tensor", "ints", "floats" or
    "strings"; a node must have those that are in REQUIRED. OPSET is the first version of DOMAIN
    whose nodes the operator serves. RUN must keep no array that it is given.
    """

    def __init__(self, domain: str, name: str, run: Callable[..., Any], *,
                 digest: Union[bytes, str], version: int = 1, opset: int = 1,
                 inputs: Union[int, tuple[int, int]] = 1, outputs: Union[int, tuple[int, int]] = 1,
                 attributes: Optional[Mapping[str, str]] = None, required: Iterable[str] = (),
                 infer: Optional[Callable[..., Any]] = None, late_shape: bool = False) -> None:
        self.domain, self.name, self.version = domain, name, version
        self._kinds = dict(attributes or {})
        self._late = late_shape
        must = set(required)
        raw = bytes.fromhex(digest) if isinstance(digest, str) else bytes(digest)
        unknown = [kind for kind in self._kinds.values() if kind not in _KINDS]
        if len(raw) != 32:
            raise ValueError("a digest is 32 bytes, or 64 hex digits")
        if unknown or not must <= self._kinds.keys():
            raise ValueError(f"unknown kinds of attributes {unknown}; they are {list(_KINDS)}"
                             if unknown else "required names what is no attribute")
        pairs = [n if isinstance(n, tuple) else (n, n) for n in (inputs, outputs)]
        self._n_inputs, self._n_outputs = pairs[0][1], pairs[1][1]
        attrs = [_Attr(key.encode(), _KINDS[kind], key in must)
                 for key, kind in self._kinds.items()]
        self._op = _Op(ctypes.sizeof(_Op), domain.encode(), name.encode(), opset, version,
                       (c_uint8 * 32)(*raw), *pairs[0], *pairs[1],
                       (_Attr * max(1, len(attrs)))(*attrs), len(attrs),
                       _LATE_SHAPE if late_shape else 0)
        self._op.run = _callback(run, self._run)
        if infer is not None:
            self._op.infer = _callback(infer, self._infer)
        self._run_function, self._infer_function = run, infer

    def _attributes(self, call: CustomCall) -> dict[str, Any]:
        """Those that the node has: Python's numbers, texts and lists, and arrays."""
        found = {}
        for i, (name, kind) in enumerate(self._kinds.items()):
            if call.attributes[i]:
                value = _values.fetch(call.attributes[i][0])
                found[name] = value if kind == "tensor" else value.tolist()
        return found

    def _infer(self, call: CustomCall) -> None:
        specs = [_spec_of(call.inputs[i]) for i in range(self._n_inputs)]
        assert self._infer_function is not None
        given = _as_tuple(self._infer_function(*specs, **self._attributes(call)))
        for i, spec in enumerate(given[:self._n_outputs]):
            if call.outputs[i]:
                _set_spec(call.outputs[i][0], spec)

    def _run(self, call: CustomCall) -> None:
        arrays = [_values.fetch(call.inputs[i][0]) if call.inputs[i] else None
                  for i in range(self._n_inputs)]
        given = _as_tuple(self._run_function(*arrays, **self._attributes(call)))
        for i in range(self._n_outputs):
            if call.outputs[i]:
                if i >= len(given):
                    raise ValueError(f"run gave {len(given)} outputs, output {i} is read")
                self._deliver(call, i, given[i])

    def _deliver(self, call: CustomCall, i: int, value: Any) -> None:
        tensor, source, owners = call.outputs[i][0], _library.Tensor(), []
        _values.describe(value, tensor.dtype, source, owners)
        shape = source.dims[:source.rank]
        if self._late and (tensor.rank < 0 or any(d < 0 for d in tensor.dims[:tensor.rank])):
            if call.resize(ctypes.addressof(call), i, source.rank, source.dims) != 0:
                raise MemoryError(f"output {i} of shape {shape} has no memory")
            tensor = call.outputs[i][0]
        if shape != tensor.dims[:tensor.rank]:
            raise ValueError(f"output {i} has the shape {shape}, "
                             f"inferred was {tensor.dims[:tensor.rank]}")
        if tensor.dtype == _types.STRING:
            _keep_texts(call, source)
        if tensor.size:
            ctypes.memmove(tensor.data, source.data, tensor.size)


def _callback(function: Callable[..., Any], body: Callable[[CustomCall], None]) -> Any:
    """FUNCTION itself if it is one of C's, else BODY with its exceptions told to the library."""
    if isinstance(function, CustomCallback):
        return function

    def guarded(_: Any, call: Any) -> int:
        try:
            body(call[0])
            return 0
        except BaseException as error:  # nothing may leave through C
            text = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
            status: int = call[0].error(ctypes.addressof(call[0]), _status_of(error), text)
            return status

    return CustomCallback(guarded)


def _status_of(error: BaseException) -> int:
    if isinstance(error, Error):
        return error.status
    return {TypeError: _E_TYPE, MemoryError: _E_NOMEM}.get(type(error), _E_VALUE)


def _as_tuple(given: Any) -> Sequence[Any]:
    return given if isinstance(given, tuple) else (given,)


def _spec_of(pointer: Any) -> Optional[Spec]:
    if not pointer:
        return None
    t = pointer[0]
    return Spec(_types.name_of(t.dtype), tuple(t.dims[:t.rank]) if t.rank >= 0 else None)


def _number_of(dtype: Any) -> int:
    name = dtype if isinstance(dtype, str) else numpy.dtype(dtype).name
    for number in range(1, 27):
        if _types.name_of(number) == name:
            return number
    raise TypeError(f"{name!r} is no element type")


def _set_spec(tensor: _library.Tensor, spec: Spec) -> None:
    tensor.dtype = _number_of(spec.dtype)
    tensor.rank = -1 if spec.shape is None else len(spec.shape)
    if spec.shape is not None:
        if len(spec.shape) > _library.RANK_MAX:
            raise ValueError(f"a tensor has more than {_library.RANK_MAX} dimensions")
        tensor.dims[:len(spec.shape)] = [-1 if d is None else d for d in spec.shape]


def _keep_texts(call: CustomCall, tensor: _library.Tensor) -> None:
    """Moves the texts of TENSOR to memory that lasts as long as the run."""
    count = tensor.size // ctypes.sizeof(_library.String)
    items = (_library.String * count).from_address(tensor.data) if count else []
    for item in items:
        if item.size:
            room = call.allocate(ctypes.addressof(call), item.size)
            if not room:
                raise MemoryError("no memory for a text")
            ctypes.memmove(room, item.text, item.size)
            item.text = room


# ---- sets

Custom = Iterable[Union[CustomOp, Path]]


class CustomSet:
    """The library's set of CUSTOM, and all that its callbacks need. Must outlive its models."""

    def __init__(self, custom: Custom) -> None:
        self.handle = c_void_p()
        self._owners: list[Any] = []
        pointers: list[Any] = []
        for item in custom:
            pointers += [ctypes.pointer(item._op)] if isinstance(item, CustomOp) \
                else self._tables_of(item)
            self._owners.append(item)
        array = (POINTER(_Op) * max(1, len(pointers)))(*pointers)
        check(core().fz_custom_create(array, len(pointers), ctypes.byref(self.handle)))

    def _tables_of(self, path: Path) -> list[Any]:
        """Those of a shared object, by its function frozen_custom_ops()."""
        try:
            library = ctypes.CDLL(os.path.abspath(os.fspath(path)))
            give = library.frozen_custom_ops
        except (OSError, AttributeError) as error:
            raise FileError(f"{os.fspath(path)!r} is no shared object with custom operators: "
                            f"{error}") from None
        give.restype, give.argtypes = POINTER(POINTER(_Op)), [POINTER(c_size_t)]
        n = c_size_t()
        tables = give(ctypes.byref(n))
        self._owners.append(library)
        return [tables[i] for i in range(n.value)]

    def __del__(self) -> None:
        if self.handle:
            core().fz_custom_close(self.handle)


def set_of(custom: Optional[Custom]) -> Optional[CustomSet]:
    if custom is None:
        return None
    if isinstance(custom, (str, bytes, os.PathLike, CustomOp)):
        custom = [custom]  # type: ignore[list-item]
    return CustomSet(custom)
