"""frozen.quantize(): a float ONNX model becomes one of 8 or 4 bits."""

from __future__ import annotations

import ctypes
import os
import tempfile
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

import numpy

from . import _library
from ._library import check
from ._model import Source, content_of

_KINDS = {"static": 1, "dynamic": 2, "int8": 3, "int4": 4, "fp16": 5}
_METHODS = {"minmax": 1, "percentile": 2, "entropy": 3, "mse": 4}

Path = Union[str, "os.PathLike[str]"]
Samples = Union[Path, Iterable[Mapping[str, Any]]]


def quantize(src: Source, dst: Path, kind: str = "static", samples: Optional[Samples] = None, *,
             labels: Optional[Any] = None, max_drop: float = 0.0, min_sqnr: float = 0.0,
             method: str = "mse", percentile: float = 0.0, opset: int = 0, block: int = 0,
             symmetric: bool = False, bias_correction: bool = True, equalise: bool = True,
             smooth: bool = False, error_feedback: bool = True, per_row: bool = False,
             exclude: Sequence[str] = (), only: Sequence[str] = (), op_types: Sequence[str] = (),
             fixed: Optional[Mapping[str, int]] = None, report: Optional[Path] = None,
             json: Optional[Path] = None, threads: int = 0,
             progress: Optional[Callable[[float, str], Any]] = None) -> str:
    """Writes the float ONNX model SRC (a path, bytes or an onnx.ModelProto) quantised to DST, which
    ends in .onnx or .fz. Returns the SHA-256 of DST.

    KIND is "static" (weights and activations; needs SAMPLES), "dynamic", "int8" or "int4" (weights
    only), or "fp16" (weights stored in half precision). SAMPLES is a path, as the header quantize.h
    has it, or an iterable of dicts of arrays by input name, or an object whose get_next() gives them
    and then None; one dict at a time is in memory. LABELS are integers, or a path to a .npy of them.
    With MAX_DROP (a share of the right answers) or MIN_SQNR (dB) the most sensitive layers stay
    float. PROGRESS gets the share done and a phase; what it raises ends the work.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind is one of {', '.join(_KINDS)}, not {kind!r}")
    if method not in _METHODS:
        raise ValueError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    options = _library.QuantizeOptions(ctypes.sizeof(_library.QuantizeOptions))
    options.kind, options.calibration = _KINDS[kind], _METHODS[method]
    options.opset, options.block_size, options.threads = opset, block, threads
    options.max_drop, options.min_sqnr, options.percentile = max_drop, min_sqnr, percentile
    options.flags = (symmetric | (not bias_correction) << 1 | (not equalise) << 2 | smooth << 3
                     | (not error_feedback) << 4 | per_row << 5)
    for field, names in (("exclude", exclude), ("only", only), ("op_types", op_types)):
        _set_names(options, field, names)
    pairs = [_library.FixedInput(name.encode(), value) for name, value in (fixed or {}).items()]
    options.fixed = (_library.FixedInput * max(1, len(pairs)))(*pairs)
    options.n_fixed = len(pairs)
    options.report = os.fsencode(report) if report is not None else None
    options.json = os.fsencode(json) if json is not None else None
    with tempfile.TemporaryDirectory() as work:
        options.samples = _samples_path(samples, work)
        options.labels = _labels_path(labels, work)
        return _run(_source_path(src, work), os.fsencode(dst), options, progress)


def _set_names(options: _library.QuantizeOptions, field: str, names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise TypeError(f"{field} is a list of names, not one name")
    items = [name.encode() for name in names]
    setattr(options, field, (ctypes.c_char_p * max(1, len(items)))(*items))
    setattr(options, "n_" + field, len(items))


def _run(src: bytes, dst: bytes, options: _library.QuantizeOptions,
         progress: Optional[Callable[[float, str], Any]]) -> str:
    raised: list[BaseException] = []

    def call(_context: Any, done: float, phase: bytes) -> int:
        try:
            if progress is not None:
                progress(done, phase.decode())
            return 0
        except BaseException as error:  # carried over the C frames, raised below
            raised.append(error)
            return 1

    options.progress = _library.Progress(call)
    digest = ctypes.create_string_buffer(65)
    status = _library.freezer().fz_quantize_file(src, dst, ctypes.byref(options), digest)
    if raised:
        raise raised[0]
    check(status)
    return digest.value.decode()


def _source_path(src: Source, work: str) -> bytes:
    content = content_of(src)
    if content is None:
        return os.fsencode(src)  # type: ignore[arg-type]
    path = os.path.join(work, "model.onnx")
    with open(path, "wb") as file:
        file.write(content)
    return os.fsencode(path)


def _labels_path(labels: Any, work: str) -> Optional[bytes]:
    if labels is None or isinstance(labels, (str, bytes, os.PathLike)):
        return None if labels is None else os.fsencode(labels)
    path = os.path.join(work, "labels.npy")
    numpy.save(path, numpy.ascontiguousarray(labels))
    return os.fsencode(path)


def _each(samples: Any) -> Iterator[Mapping[str, Any]]:
    if not hasattr(samples, "get_next"):
        yield from samples
        return
    while (sample := samples.get_next()) is not None:
        yield sample


def _samples_path(samples: Any, work: str) -> Optional[bytes]:
    """Samples go to files as they come: several passes are made over them."""
    if samples is None or isinstance(samples, (str, bytes, os.PathLike)):
        return None if samples is None else os.fsencode(samples)
    folder = os.path.join(work, "samples")
    os.mkdir(folder)
    names: Optional[set[str]] = None
    for i, sample in enumerate(_each(samples)):
        if names is None:
            names = set(sample)
        if set(sample) != names:
            raise ValueError(f"sample {i} has the inputs {sorted(sample)}, not {sorted(names)}")
        for name, array in sample.items():
            where = os.path.join(folder, name.replace("/", "_").replace(":", "_"))
            os.makedirs(where, exist_ok=True)
            numpy.save(os.path.join(where, f"{i:09}.npy"), numpy.ascontiguousarray(array))
    return os.fsencode(folder)
