"""frozen: ONNX models that can't change and give the same output bits on every CPU.

    import frozen
    frozen.freeze("model.onnx", "model.fz")
    with frozen.Model("model.fz") as model:
        outputs = model.run({"x": array})

`frozen.quantize` makes a float ONNX model a light one, with its accuracy measured; `frozen.prune`
makes it smaller. `frozen.keygen`, `sign` and `bundle_sign` sign models, `frozen.Log` keeps receipts of runs and
`frozen.Store` models. `frozen.InferenceSession` is a drop-in for ONNX Runtime's; `frozen.backend`
(which needs the package onnx) is an onnx.backend.base.Backend.
"""

from __future__ import annotations

import importlib
from typing import Any

from ._custom import CustomCall, CustomCallback, CustomOp, Spec
from ._errors import (AnswerError, CancelledError, CorruptError, DeadlineError, DigestError,
                      ElementTypeError, Error, FileError, FormatError, InputValueError,
                      InternalError, LimitError, NoMemoryError, ProfileError, ShapeError,
                      SignatureError, SystemRefusedError, UnsupportedError, UnverifiedError,
                      UsageError)
from ._freeze import freeze
from ._inference_session import (GraphOptimizationLevel, InferenceSession, ModelMetadata, NodeArg,
                                 SessionOptions, get_available_providers, get_device)
from ._library import core as _core
from ._library import load
from ._log import Audit, Log, LogEntry
from ._model import Model, Value
from ._prune import PruneResult, prune
from ._quantize import quantize
from ._sign import bundle_sign, bundle_verify, keygen, sign
from ._store import Removed, Store, StoreChange, StoreItem

__version__ = "0.1.0"

__all__ = [
    "AnswerError", "Audit", "CancelledError", "CorruptError", "CustomCall", "CustomCallback",
    "CustomOp", "DeadlineError", "DigestError",
    "ElementTypeError", "Error", "FileError", "FormatError", "GraphOptimizationLevel",
    "InferenceSession", "InputValueError", "InternalError", "LimitError", "Log", "LogEntry",
    "Model", "ModelMetadata", "NoMemoryError", "NodeArg", "ProfileError", "PruneResult", "Removed",
    "SessionOptions", "ShapeError", "SignatureError", "Spec", "Store", "StoreChange", "StoreItem",
    "SystemRefusedError", "UnsupportedError", "UnverifiedError", "UsageError",
    "Value", "bundle_sign", "bundle_verify", "freeze", "get_available_providers", "get_device",
    "keygen", "library_version", "load", "prune", "quantize", "sign",
]


def library_version() -> str:
    """The version of the C library that runs."""
    version: bytes = _core().fz_version()
    return version.decode()


def __getattr__(name: str) -> Any:
    """Imports frozen.backend when it is first asked for, so that frozen itself needs no onnx."""
    if name == "backend":
        return importlib.import_module(".backend", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
