"""Finds the three C libraries and declares what the package calls in them.

Of these libfrozen-store, for signatures, logs and stores, may be missing. The libraries come from
the package's own folder (as a wheel carries them), else from where the system's loader looks.
`load()` names another place. No environment variable is read.
"""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import (POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64,
                    c_void_p)
from typing import Any, Optional, Union

from ._errors import Error, FileError, UsageError, error_of

Path = Union[str, "os.PathLike[str]"]
RANK_MAX = 12
CORE = "libfrozen.so.0"
FREEZE = "libfrozen-freeze.so.0"
STORE = "libfrozen-store.so.0"


class Tensor(ctypes.Structure):
    _fields_ = [
        ("dtype", c_int32),
        ("rank", c_int32),
        ("dims", c_int64 * RANK_MAX),
        ("data", c_void_p),
        ("size", c_size_t),
    ]


class String(ctypes.Structure):
    _fields_ = [("text", c_void_p), ("size", c_size_t)]


class Io(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("dims", c_int64 * RANK_MAX),
        ("dim_names", c_char_p * RANK_MAX),
    ]


class OpenOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("expect", c_char_p),
        ("protection", c_int32),
        ("flags", c_uint32),
        ("max_file_size", c_uint64),
        ("threads", c_int32),
        ("reserved", c_uint32),
        ("signer", c_char_p),
        ("signature", c_char_p),
        ("custom", c_void_p),
    ]


class SessionOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("threads", c_int32),
        ("flags", c_uint32),
        ("parallel", c_void_p),
        ("parallel_context", c_void_p),
        ("parallel_width", c_int32),
        ("reserved", c_uint32),
        ("max_arena_size", c_uint64),
    ]


class LogEntry(ctypes.Structure):
    _fields_ = [
        ("seq", c_uint64),
        ("time", c_char_p),
        ("receipt", c_char_p),
        ("model", c_char_p),
        ("input", c_char_p),
        ("output", c_char_p),
        ("profile", c_char_p),
        ("digest", c_char_p),
        ("is_signed", c_int32),
        ("reserved", c_int32),
    ]


LogVisit = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(LogEntry))


class LogOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("signer", c_char_p),
        ("head", c_char_p),
        ("visit", LogVisit),
        ("visit_context", c_void_p),
    ]


class StoreItem(ctypes.Structure):
    _fields_ = [
        ("id", c_char_p),
        ("tags", c_char_p),
        ("time", c_char_p),
        ("action", c_char_p),
        ("file_size", c_uint64),
        ("is_pinned", c_int32),
        ("reserved", c_int32),
    ]


StoreVisit = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(StoreItem))
StoreProblem = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)


PruneSample = ctypes.CFUNCTYPE(c_int, c_void_p, c_size_t, POINTER(Tensor), c_size_t)
PruneLine = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)


class PruneResult(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("macs_before", c_uint64),
        ("macs_after", c_uint64),
        ("weights_before", c_uint64),
        ("weights_after", c_uint64),
        ("zeros_after", c_uint64),
        ("n_samples", c_uint64),
        ("time_before", c_uint64),
        ("time_after", c_uint64),
    ]


class ModelStats(ctypes.Structure):
    _fields_ = [
        (name, c_uint64)
        for name in ("file_size", "weight_size", "arena_size", "macs", "n_steps", "n_constants")
    ]


class DimBinding(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_int64)]


class FixedInput(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_int64)]


Progress = ctypes.CFUNCTYPE(c_int, c_void_p, ctypes.c_double, c_char_p)


class QuantizeOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("kind", c_int32),
        ("calibration", c_int32),
        ("opset", c_int32),
        ("block_size", c_int32),
        ("samples", c_char_p),
        ("sample", c_void_p),
        ("sample_context", c_void_p),
        ("labels", c_char_p),
        ("max_drop", ctypes.c_double),
        ("min_sqnr", ctypes.c_double),
        ("percentile", ctypes.c_double),
        ("flags", c_uint64),
        ("exclude", POINTER(c_char_p)),
        ("n_exclude", c_size_t),
        ("only", POINTER(c_char_p)),
        ("n_only", c_size_t),
        ("op_types", POINTER(c_char_p)),
        ("n_op_types", c_size_t),
        ("fixed", POINTER(FixedInput)),
        ("n_fixed", c_size_t),
        ("report", c_char_p),
        ("json", c_char_p),
        ("threads", c_int32),
        ("reserved", c_uint32),
        ("progress", Progress),
        ("progress_context", c_void_p),
    ]


class FreezeOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("numerics", c_char_p),
        ("dims", POINTER(DimBinding)),
        ("n_dims", c_size_t),
        ("kat_inputs", c_void_p),
        ("n_kat_inputs", c_size_t),
        ("flags", c_uint64),
        ("kat_seed", c_uint64),
        ("progress", c_void_p),
        ("progress_context", c_void_p),
        ("max_file_size", c_uint64),
        ("max_nodes", c_uint64),
        ("max_depth", c_uint64),
        ("max_elements", c_uint64),
        ("max_memory", c_uint64),
        ("custom", c_void_p),
    ]


class PruneOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("structured", ctypes.c_double),
        ("sparse", c_char_p),
        ("exclude", POINTER(c_char_p)),
        ("n_exclude", c_size_t),
        ("calib", c_char_p),
        ("sample", PruneSample),
        ("sample_context", c_void_p),
        ("dims", POINTER(DimBinding)),
        ("n_dims", c_size_t),
        ("report", PruneLine),
        ("report_context", c_void_p),
        ("progress", c_void_p),
        ("progress_context", c_void_p),
        ("time", ctypes.c_double),
    ]


OPEN_MAP, OPEN_ANY_PROFILE, OPEN_KNOWN_ANSWER, OPEN_SHARE = 1, 2, 4, 8
SESSION_RECEIPTS = 1
KEEP_ONNX, NO_WINOGRAD, LITERAL_QDQ, NO_KAT, RANGE_PER_ROW = 1, 2, 4, 8, 16
SPARSE = 32

# name: (result, arguments)
_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "fz_last_error": (c_char_p, []),
    "fz_version": (c_char_p, []),
    "fz_type_name": (c_char_p, [c_int32]),
    "fz_type_bits": (c_int32, [c_int32]),
    "fz_type_kind": (c_int32, [c_int32]),
    "fz_type_element": (c_int32, [c_int32]),
    "fz_type_key": (c_int32, [c_int32]),
    "fz_custom_create": (c_int32, [c_void_p, c_size_t, POINTER(c_void_p)]),
    "fz_custom_close": (None, [c_void_p]),
    "fz_model_open": (c_int32, [c_char_p, POINTER(OpenOptions), POINTER(c_void_p)]),
    "fz_model_open_memory": (
        c_int32, [c_void_p, c_size_t, POINTER(OpenOptions), POINTER(c_void_p)]),
    "fz_model_open_fd": (c_int32, [c_int, POINTER(OpenOptions), POINTER(c_void_p)]),
    "fz_model_export_fd": (c_int32, [c_void_p, POINTER(c_int)]),
    "fz_model_close": (None, [c_void_p]),
    "fz_model_id": (c_int32, [c_void_p, c_char_p]),
    "fz_model_profile": (c_char_p, [c_void_p]),
    "fz_model_protection": (c_int32, [c_void_p]),
    "fz_model_verify": (c_int32, [c_void_p]),
    "fz_model_scrub": (c_int32, [c_void_p, c_size_t]),
    "fz_model_known_answer": (c_int32, [c_void_p]),
    "fz_model_input_count": (c_size_t, [c_void_p]),
    "fz_model_output_count": (c_size_t, [c_void_p]),
    "fz_model_input": (c_int32, [c_void_p, c_size_t, POINTER(Io)]),
    "fz_model_output": (c_int32, [c_void_p, c_size_t, POINTER(Io)]),
    "fz_model_stats": (c_int32, [c_void_p, POINTER(ModelStats)]),
    "fz_model_text": (c_char_p, [c_void_p, c_char_p]),
    "fz_session_create": (c_int32, [c_void_p, POINTER(SessionOptions), POINTER(c_void_p)]),
    "fz_session_close": (None, [c_void_p]),
    "fz_session_run": (
        c_int32, [c_void_p, POINTER(Tensor), c_size_t, POINTER(Tensor), c_size_t]),
    "fz_session_set_deadline": (c_int32, [c_void_p, c_uint64]),
    "fz_session_receipt": (c_int32, [c_void_p, c_char_p, c_size_t, POINTER(c_size_t)]),
}
_FREEZE_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "fz_quantize_file": (c_int32, [c_char_p, c_char_p, POINTER(QuantizeOptions), c_char_p]),
    "fz_freeze_file": (c_int32, [c_char_p, c_char_p, POINTER(FreezeOptions), c_char_p]),
    "fz_freeze_open": (
        c_int32,
        [c_char_p, POINTER(FreezeOptions), POINTER(OpenOptions), POINTER(c_void_p)]),
    "fz_freeze_open_memory": (
        c_int32,
        [c_void_p, c_size_t, POINTER(FreezeOptions), POINTER(OpenOptions), POINTER(c_void_p)]),
}
_FREEZE_PROTOTYPES["fz_prune_file"] = (
    c_int32, [c_char_p, c_char_p, POINTER(PruneOptions), POINTER(PruneResult)])
_STORE_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "fz_key_generate": (c_int32, [c_int32, c_char_p, c_char_p]),
    "fz_sign": (c_int32, [c_char_p, c_char_p, c_char_p]),
    "fz_bundle_sign": (c_int32, [c_char_p, c_char_p, c_char_p]),
    "fz_bundle_verify": (c_int32, [c_char_p, c_char_p, c_char_p]),
    "fz_log_append": (c_int32, [c_char_p, c_char_p, c_char_p, c_char_p]),
    "fz_log_audit": (c_int32, [c_char_p, POINTER(LogOptions), POINTER(c_uint64), c_char_p]),
    "fz_store_init": (c_int32, [c_char_p]),
    "fz_store_put": (c_int32, [c_char_p, c_char_p, c_char_p, c_char_p]),
    "fz_store_get": (c_int32, [c_char_p, c_char_p, c_char_p]),
    "fz_store_resolve": (c_int32, [c_char_p, c_char_p, c_char_p, c_char_p, c_size_t]),
    "fz_store_tag": (c_int32, [c_char_p, c_char_p, c_char_p]),
    "fz_store_rollback": (c_int32, [c_char_p, c_char_p, c_char_p]),
    "fz_store_pin": (c_int32, [c_char_p, c_char_p, c_int32]),
    "fz_store_list": (c_int32, [c_char_p, StoreVisit, c_void_p]),
    "fz_store_history": (c_int32, [c_char_p, c_char_p, StoreVisit, c_void_p]),
    "fz_store_gc": (c_int32, [c_char_p, c_uint32, POINTER(c_uint64), POINTER(c_uint64)]),
    "fz_store_fsck": (c_int32, [c_char_p, StoreProblem, c_void_p, POINTER(c_uint64)]),
}

_lock = threading.RLock()
_folder: Optional[str] = None  # where load() said that the libraries lie
_core: Optional[ctypes.CDLL] = None
_freeze: Optional[ctypes.CDLL] = None
_store: Optional[ctypes.CDLL] = None


def load(path: Path) -> None:
    """Takes the libraries from PATH: their folder, or the file libfrozen.so in it.

    To be called before anything else of the package; a second call for another folder is refused,
    for models of the first library may be in use.
    """
    global _folder
    place = os.path.abspath(os.fspath(path))
    folder = place if os.path.isdir(place) else os.path.dirname(place)
    with _lock:
        if _core is not None and folder != _folder:
            raise UsageError("the library is loaded already: call frozen.load() first of all")
        previous, _folder = _folder, folder
        try:
            core()
        except Error:
            _folder = previous
            raise


def core() -> ctypes.CDLL:
    """libfrozen, loaded at the first call."""
    global _core
    if _core is None:
        with _lock:
            if _core is None:
                _core = _open(CORE, _PROTOTYPES)
    return _core


def freezer() -> ctypes.CDLL:
    """libfrozen-freeze, loaded at the first call; it finds libfrozen loaded by its name."""
    global _freeze
    if _freeze is None:
        with _lock:
            core()
            if _freeze is None:
                _freeze = _open(FREEZE, _FREEZE_PROTOTYPES)
    return _freeze


def store() -> ctypes.CDLL:
    """libfrozen-store, loaded at the first call; FileError where it was not built."""
    global _store
    if _store is None:
        with _lock:
            core()
            if _store is None:
                _store = _open(STORE, _STORE_PROTOTYPES)
    return _store


def path_of(path: Path) -> bytes:
    """PATH as the libraries take it."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("a path can't hold a zero byte")
    return name


def check(status: int) -> None:
    """Raises the exception of STATUS with the library's message for this thread."""
    if status != 0:
        raise error_of(status, (core().fz_last_error() or b"").decode("utf-8", "replace"))


def _open(name: str, prototypes: dict[str, tuple[Any, list[Any]]]) -> ctypes.CDLL:
    library = _first(name)
    for function, (result, arguments) in prototypes.items():
        entry = getattr(library, function)
        entry.restype, entry.argtypes = result, arguments
    return library


def _first(name: str) -> ctypes.CDLL:
    bundled = os.path.dirname(os.path.abspath(__file__))
    folder = _folder or (bundled if os.path.exists(os.path.join(bundled, name)) else None)
    path = os.path.join(folder, name) if folder else name
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        what = "libfrozen" if name != STORE else (
            "libfrozen-store, which needs libcrypto and jansson")
        raise FileError(f"{name} can't be loaded ({error}): install {what}, or say where it is "
                        "with frozen.load(folder)") from None
