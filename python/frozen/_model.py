"""frozen.Model: one immutable model that any number of threads may run."""

from __future__ import annotations

import ctypes
import math
import os
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Iterable, Mapping, Optional, Protocol, Sequence, Union

import numpy

from . import _library, _types, _values
from ._custom import Custom, set_of
from ._errors import UsageError
from ._library import Path, check, core

MAGIC = b"\x89FROZEN"
COPIED = 1 << 12  # bytes of an input that is copied


class _Serialisable(Protocol):
    def SerializeToString(self) -> bytes: ...


Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, _Serialisable]
Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Value:
    """An input or output of a model.

    `dtype` is a NumPy name, "string", or of what is no tensor "sequence(float32)", "optional(...)",
    "map(int64, float32)"; such have the shape (None,). An entry of `shape` is a size, the name of an open dimension or None
    for one without a name; `shape` is None if not even the rank is known.
    """

    name: str
    dtype: str
    shape: Optional[tuple[Union[int, str, None], ...]]
    number: int  # ONNX's number of the element type


class Model:
    """A frozen model, or an ONNX model that is frozen in memory.

    SOURCE is a path, the bytes of a file, or an onnx.ModelProto; what it holds is told by its first
    bytes; "store:DIR:REF" is a model in a Store. THREADS is how many threads one run uses (0: as
    many as the host allows). EXPECT is the model id that must come out. PROTECTION is the level
    wanted, see `protection`. MAP leaves the weights in the file. KNOWN_ANSWER refuses a host that
    computes other bits than the file promises (AnswerError), and a file that holds no known answer
    (UnsupportedError). SHARE allows export_fd(). SIGNER, the file of a public Ed25519 key, refuses
    what that key has not signed (SignatureError); SIGNATURE is the file that sign() made, by
    default the model's path with ".sig". HASH_THREADS 2 opens a large file faster. CUSTOM are the
    operators that the caller brings along: CustomOp objects and paths of shared objects; a file
    that names others is refused (UnsupportedError). Any number of threads may call a model at
    once: each concurrent call gets a session of its own, and the interpreter's lock is not held
    while the library runs.
    """

    def __init__(self, source: Union[Source, _Descriptor], threads: int = 1,
                 expect: Optional[str] = None, protection: Optional[int] = None,
                 map: bool = False, *,
                 any_profile: bool = False, known_answer: bool = False, share: bool = False,
                 signer: Optional[Path] = None, signature: Optional[Path] = None,
                 hash_threads: int = 1, custom: Optional[Custom] = None) -> None:
        self._handle: Optional[int] = None
        self._custom = set_of(custom)  # outlives the model
        self._lock = threading.Lock()
        # Sessions that no call uses; without the lock, for pop() and append() are atomic.
        self._idle: list[_Caller] = []
        self._idle_receipts: list[_Caller] = []  # those that make receipts
        self._n_callers = 0  # idle or not
        self._users = 0  # calls under way that need no session
        self._closing = False
        self._threads = -1 if threads == 0 else int(threads)
        flags = (_library.OPEN_MAP if map else 0) | (
            _library.OPEN_ANY_PROFILE if any_profile else 0) | (
            _library.OPEN_KNOWN_ANSWER if known_answer else 0) | (
            _library.OPEN_SHARE if share else 0)
        options = _library.OpenOptions(
            ctypes.sizeof(_library.OpenOptions), expect.encode() if expect else None,
            protection or 0, flags, 0, hash_threads, 0,
            None if signer is None else _library.path_of(signer),
            None if signature is None else _library.path_of(signature),
            self._custom.handle if self._custom else None)
        self._handle = _open(source, options)
        self._inputs = self._values(core().fz_model_input_count, core().fz_model_input)
        self._outputs = self._values(core().fz_model_output_count, core().fz_model_output)
        self._input_names = [value.name for value in self._inputs]
        self._output_names = tuple(value.name for value in self._outputs)
        self._all_outputs = [(i, value.name) for i, value in enumerate(self._outputs)]

    @classmethod
    def from_fd(cls, fd: int, threads: int = 1, expect: Optional[str] = None,
                **options: Any) -> Model:
        """The frozen model that the descriptor FD refers to; FD stays the caller's.

        Of one that export_fd() gave in another process nothing is copied: the weights are hashed
        where they lie. OPTIONS are those of Model.
        """
        return cls(_Descriptor(fd), threads, expect, **options)

    def export_fd(self) -> int:
        """A new descriptor of the sealed memory, the caller's to close, for another process (by
        socket.send_fds() or inheritance) to open with from_fd(). The model must be opened with
        share=True. Nobody can write through it."""
        fd = ctypes.c_int(-1)
        with _Use(self) as handle:
            check(core().fz_model_export_fd(handle, ctypes.byref(fd)))
        return fd.value

    # ---- what the model is

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        return self._outputs

    @property
    def id(self) -> str:
        """SHA-256 of the frozen file in hex. UnverifiedError for a mapped model before verify()."""
        buffer = ctypes.create_string_buffer(65)
        with _Use(self) as handle:
            check(core().fz_model_id(handle, buffer))
        return buffer.value.decode()

    @property
    def profile(self) -> str:
        """The numerics profile that fixes the bits: "portable/1" or "blas/..."."""
        with _Use(self) as handle:
            text: bytes = core().fz_model_profile(handle)
        return text.decode()

    @property
    def protection(self) -> int:
        """How the memory is protected: 0 not, 1 by page, 2 sealed, 3 sealed for ever."""
        with _Use(self) as handle:
            level: int = core().fz_model_protection(handle)
        return level

    @property
    def stats(self) -> dict[str, int]:
        """file_size, weight_size, arena_size, macs, n_steps, n_constants."""
        stats = _library.ModelStats()
        with _Use(self) as handle:
            check(core().fz_model_stats(handle, ctypes.byref(stats)))
        return {name: getattr(stats, name) for name, *_ in _library.ModelStats._fields_}

    def text(self, key: str) -> Optional[str]:
        """The description KEY: "provenance", "passes", "metadata" or "operators"."""
        with _Use(self) as handle:
            text: Optional[bytes] = core().fz_model_text(handle, key.encode())
        return None if text is None else text.decode("utf-8", "replace")

    # ---- checks

    def verify(self, kat: bool = False) -> None:
        """Hashes the model's memory again; CorruptError if it changed. KAT: known_answer(), too."""
        with _Use(self) as handle:
            check(core().fz_model_verify(handle))
            if kat:
                check(core().fz_model_known_answer(handle))

    def known_answer(self) -> None:
        """Runs the file's known answer; AnswerError if this host computes other bits: it names the
        outputs. UnsupportedError if the file holds none."""
        with _Use(self) as handle:
            check(core().fz_model_known_answer(handle))

    def scrub(self, budget: int = 1 << 20) -> None:
        """Checks the next BUDGET bytes of the model's memory; CorruptError if they changed."""
        with _Use(self) as handle:
            check(core().fz_model_scrub(handle, budget))

    # ---- runs

    def run(self, inputs: Mapping[str, Any], outputs: Optional[Sequence[str]] = None,
            timeout: Optional[float] = None) -> dict[str, Any]:
        """Runs the model on INPUTS, an array for each input name; returns fresh arrays by name.

        Strings are arrays of dtype object, of NumPy's string types, or lists; sequences are lists,
        optionals values or None, maps dicts. OUTPUTS chooses which results are copied; without it
        all. A large array in C order is read where it lies, another is copied first; its dtype must
        be the input's. DeadlineError after TIMEOUT seconds.
        """
        return self._call(inputs, outputs, timeout, False)[0]

    def run_with_receipt(self, inputs: Mapping[str, Any],
                         outputs: Optional[Sequence[str]] = None,
                         timeout: Optional[float] = None) -> tuple[dict[str, Any], str]:
        """As run(), and the run's receipt: a line of JSON with the model id and the digests of all
        inputs and all outputs. Whoever has the model and the inputs can run them again and must get
        the same line. Log.append() takes it."""
        return self._call(inputs, outputs, timeout, True)

    def _call(self, inputs: Mapping[str, Any], outputs: Optional[Sequence[str]],
              timeout: Optional[float], receipt: bool) -> tuple[dict[str, Any], str]:
        """The results, and the receipt or an empty text."""
        wanted = self._all_outputs if outputs is None else self._choose(outputs)
        caller = self._take(receipt)
        try:
            owners = self._bind(inputs, caller)  # they keep their memory during the run
            if timeout is not None or caller.deadline:
                caller.limit(timeout)
            caller.run()
            del owners
            results = caller.fetch(wanted)
            return results, caller.receipt() if receipt else ""
        finally:
            self._give(caller)

    def _bind(self, feed: Mapping[str, Any], caller: _Caller) -> list[Any]:
        """Describes FEED in CALLER's slots; what owns the memory."""
        if len(feed) == len(self._input_names):
            try:
                return [slot.describe(feed[slot.name]) for slot in caller.slots]
            except KeyError:
                pass
        names = self._input_names
        unknown = [name for name in feed if name not in names]
        missing = [name for name in names if name not in feed]
        problem = f"unknown inputs {unknown}" if unknown else f"missing inputs {missing}"
        raise ValueError(f"{problem}; the model's inputs are {names}")

    def _choose(self, outputs: Iterable[str]) -> list[tuple[int, str]]:
        """The indices and names of the outputs that are asked for."""
        wanted = tuple(outputs)
        names = self._output_names
        if wanted == names:
            return self._all_outputs
        for name in wanted:
            if name not in names:
                raise ValueError(f"unknown output {name!r}; the model's outputs are {list(names)}")
        return [(names.index(name), name) for name in wanted]

    def _take(self, receipts: bool) -> _Caller:
        """An idle caller, else a new one."""
        try:
            caller = self._idle_receipts.pop() if receipts else self._idle.pop()
        except IndexError:
            with _Use(self) as handle:
                caller = _Caller(handle, self._threads, self._inputs, self._outputs, receipts)
                with self._lock:
                    self._n_callers += 1
        if self._closing:
            self._give(caller)
            raise UsageError("the model is closed")
        return caller

    def _give(self, caller: _Caller) -> None:
        (self._idle_receipts if caller.receipts else self._idle).append(caller)
        if self._closing:
            self._release()

    def _values(self, count: Any, describe: Any) -> tuple[Value, ...]:
        io = _library.Io()
        values = []
        for i in range(count(self._handle)):
            check(describe(self._handle, i, ctypes.byref(io)))
            values.append(Value(io.name.decode("utf-8", "replace"), _types.name_of(io.dtype),
                                _shape_of(io), io.dtype))
        return tuple(values)

    # ---- the end

    def close(self) -> None:
        """Releases the model; calls that are under way end first. A second call does nothing."""
        with self._lock:
            self._closing = True
        self._release()

    def _release(self) -> None:
        """Frees what is left once the model is closing and nobody uses it."""
        with self._lock:
            if not self._closing or self._users > 0 or self._handle is None:
                return
            callers = self._drain()
            if len(callers) < self._n_callers:  # who has one will give it back and come here
                for caller in callers:
                    (self._idle_receipts if caller.receipts else self._idle).append(caller)
                return
            handle, self._handle = self._handle, None
        for caller in callers:
            core().fz_session_close(caller.session)
        core().fz_model_close(handle)

    def _drain(self) -> list[_Caller]:
        """All idle callers, which are taken away one by one: others may take some meanwhile."""
        callers = []
        for idle in (self._idle, self._idle_receipts):
            try:
                while True:
                    callers.append(idle.pop())
            except IndexError:
                pass
        return callers

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def __repr__(self) -> str:
        inputs = ", ".join(f"{v.name}: {v.dtype}{list(v.shape or ())}" for v in self._inputs)
        state = "closed " if self._closing else ""
        return f"<{state}frozen.Model({inputs})>"


class _Slot:
    """Where a caller describes its array for one input."""

    __slots__ = ("name", "_number", "_tensor", "_plain", "_dtype", "_bits", "_shape", "_copy")

    def __init__(self, value: Value, tensor: _library.Tensor) -> None:
        self.name = value.name
        self._number = value.number
        self._tensor = tensor
        self._plain = _values.is_plain(value.number)
        self._dtype = _types.dtype_of(value.number) if self._plain else None
        self._bits = _types.bits_of(value.number)
        self._shape: Optional[tuple[int, ...]] = None  # what the tensor says already
        self._copy: Optional[Array] = None  # of that shape: where a small array is copied to
        tensor.dtype = value.number

    def describe(self, given: Any) -> Any:
        """What owns the memory of GIVEN: an array, a list of owners, or None for a copy."""
        if not self._plain:
            return self._describe_value(given)
        array = given if type(given) is numpy.ndarray else numpy.asarray(given)
        if array.dtype is not self._dtype and array.dtype != self._dtype:
            raise TypeError(f"input {self.name!r} must be of dtype {self._dtype}, "
                            f"not {array.dtype}")
        if array.shape != self._shape:
            self._set_shape(array.shape)
        if self._copy is None:
            return self._describe_array(array)
        self._copy[...] = array
        return None

    def _describe_value(self, given: Any) -> list[Any]:
        owners: list[Any] = []
        try:
            _values.describe(given, self._number, self._tensor, owners)
        except (TypeError, ValueError) as error:
            raise type(error)(f"input {self.name!r}: {error}") from None
        return owners

    def _describe_array(self, array: Array) -> Array:
        if not array.flags.c_contiguous:
            array = numpy.array(array, order="C")
        if self._bits < 8:
            array = _types.packed(array, self._bits)
        self._tensor.size = array.nbytes
        self._tensor.data = _types.address(array)
        return array

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        """To find where an array lies takes longer than to copy a small one."""
        if len(shape) > _library.RANK_MAX:
            raise ValueError(
                f"input {self.name!r} has more than {_library.RANK_MAX} dimensions")
        self._tensor.rank = len(shape)
        self._tensor.dims[:len(shape)] = shape
        self._shape = shape
        self._copy = None
        if self._bits >= 8 and math.prod(shape) * self._bits <= 8 * COPIED:
            self._copy = numpy.empty(shape, self._dtype)
            self._tensor.size = self._copy.nbytes
            self._tensor.data = _types.address(self._copy)


class _Caller:
    """A session with the descriptions of its inputs and outputs, for one call at a time."""

    __slots__ = ("session", "slots", "deadline", "receipts", "_results", "_image", "_blank",
                 "_known", "_views", "_arguments", "_run")

    def __init__(self, model: int, threads: int, inputs: Sequence[Value],
                 outputs: Sequence[Value], receipts: bool) -> None:
        tensors = (_library.Tensor * max(1, len(inputs)))()
        self._results = (_library.Tensor * max(1, len(outputs)))()
        self.slots = [_Slot(value, tensor) for value, tensor in zip(inputs, tensors)]
        # The results' descriptions as bytes. Blank ones let the library keep the results in the
        # session's memory; while they come back as they are known, _views are the results.
        self._image = memoryview(self._results).cast("B")
        self._blank = bytes(self._image)
        self._known = b""
        self._views: list[Optional[Array]] = []
        self.deadline = 0
        self.receipts = receipts
        options = _library.SessionOptions(ctypes.sizeof(_library.SessionOptions), threads,
                                          _library.SESSION_RECEIPTS if receipts else 0)
        session = ctypes.c_void_p()
        check(core().fz_session_create(model, ctypes.byref(options), ctypes.byref(session)))
        self.session = session
        # Without a list of types each argument must have its own, and a call is quicker.
        self._run = core()["fz_session_run"]
        self._arguments = (session, tensors, ctypes.c_size_t(len(inputs)), self._results,
                           ctypes.c_size_t(len(outputs)))

    def limit(self, timeout: Optional[float]) -> None:
        """Sets the deadline of the next run in seconds."""
        self.deadline = 0 if timeout is None else max(1, int(timeout * 1e6))
        check(core().fz_session_set_deadline(self.session, self.deadline))

    def run(self) -> None:
        self._image[:] = self._blank
        status = self._run(*self._arguments)
        if status:
            check(status)

    def fetch(self, wanted: list[tuple[int, str]]) -> dict[str, Any]:
        """Copies of the results WANTED, indices and names."""
        image = self._image.tobytes()
        if image != self._known:
            self._views = [_values.view(result) for result in self._results]
            self._known = image
        results = {}
        for i, name in wanted:
            view = self._views[i]
            results[name] = _values.fetch(self._results[i]) if view is None else view.copy()
        return results

    def receipt(self) -> str:
        """Of the last run."""
        size = ctypes.c_size_t(512)
        text = ctypes.create_string_buffer(size.value)
        if core().fz_session_receipt(self.session, text, size.value, ctypes.byref(size)) != 0:
            text = ctypes.create_string_buffer(max(1, size.value))  # a longer one, or an error
            check(core().fz_session_receipt(self.session, text, size.value, ctypes.byref(size)))
        return text.value.decode()


class _Use:
    """Keeps the model's handle valid for one call."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __enter__(self) -> int:
        model = self._model
        with model._lock:
            if model._closing or model._handle is None:
                raise UsageError("the model is closed")
            model._users += 1
            return model._handle

    def __exit__(self, *_: object) -> None:
        model = self._model
        with model._lock:
            model._users -= 1
            last = model._closing
        if last:
            model._release()


def memory_of(source: Union[bytes, bytearray, memoryview]) -> Array:
    """SOURCE's bytes as an array, where they lie."""
    view = memoryview(source)
    if not view.c_contiguous:
        raise ValueError("the model's bytes must be contiguous")
    return numpy.frombuffer(view.cast("B"), dtype=numpy.uint8)


def content_of(source: Source) -> Union[bytes, bytearray, memoryview, None]:
    """The bytes of a model that lies in memory, None for a path."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return source
    if hasattr(source, "SerializeToString"):
        return source.SerializeToString()
    return None


class _Descriptor:
    """A source that is an open file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd


def _open(source: Union[Source, _Descriptor], options: _library.OpenOptions) -> int:
    model = ctypes.c_void_p()
    out, opts = ctypes.byref(model), ctypes.byref(options)
    if isinstance(source, _Descriptor):
        check(core().fz_model_open_fd(source.fd, opts, out))
        assert model.value is not None
        return model.value
    content = content_of(source)
    if content is None:
        path = _library.path_of(_in_store(source, options))
        if _begins_frozen(path):
            check(core().fz_model_open(path, opts, out))
        else:
            check(_library.freezer().fz_freeze_open(path, _frozen_with(options), opts, out))
    else:
        data = memory_of(content)
        if data[:len(MAGIC)].tobytes() == MAGIC:
            check(core().fz_model_open_memory(data.ctypes.data, data.size, opts, out))
        else:
            check(_library.freezer().fz_freeze_open_memory(
                data.ctypes.data, data.size, _frozen_with(options), opts, out))
    assert model.value is not None
    return model.value


def _frozen_with(options: _library.OpenOptions) -> Any:
    """How an ONNX model is frozen that is opened with OPTIONS."""
    freeze = _library.FreezeOptions(ctypes.sizeof(_library.FreezeOptions))
    freeze.custom = options.custom
    return ctypes.byref(freeze)


def _in_store(source: Any, options: _library.OpenOptions) -> Any:
    """The blob of "store:DIR:REF", whose id OPTIONS then expect; SOURCE itself of other paths."""
    if not isinstance(source, str) or not source.startswith("store:"):
        return source
    from . import _store  # which needs Model
    model_id, path = _store.resolve(source)
    if not options.flags & _library.OPEN_MAP:  # a mapped model has no id yet
        options.expect = options.expect or model_id.encode()
    return path


def _begins_frozen(path: bytes) -> bool:
    """True also for a file that can't be read: libfrozen says why."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return True


def _shape_of(io: _library.Io) -> Optional[tuple[Union[int, str, None], ...]]:
    if io.rank < 0:
        return None
    dims: list[Union[int, str, None]] = []
    for i in range(io.rank):
        name = (io.dim_names[i] or b"").decode("utf-8", "replace")
        dims.append(io.dims[i] if io.dims[i] >= 0 else name or None)
    return tuple(dims)
