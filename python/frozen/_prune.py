"""frozen.prune(): a model without what it can do without."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Union

from . import _library, _values
from ._library import check
from ._model import Model

Samples = Union[str, "os.PathLike[str]", Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class PruneResult:
    """What a model was and what it became; REPORT holds a line for each decision."""

    macs_before: int
    macs_after: int
    weights_before: int
    weights_after: int
    zeros_after: int
    n_samples: int
    time_before: int
    time_after: int
    report: List[str]


def prune(src: Union[str, "os.PathLike[str]"], dst: Union[str, "os.PathLike[str]"],
          structured: float = 0.0, sparse: Optional[str] = None, calib: Optional[Samples] = None,
          exclude: Sequence[str] = (), dims: Optional[Mapping[str, int]] = None,
          time: float = 0.0) -> PruneResult:
    """Writes the ONNX model SRC pruned to DST: ONNX, or frozen if the name ends in ".fz".

    STRUCTURED is the share of the multiply-accumulates to take out with whole channels, neurons and
    heads, TIME that of a run's time, as far as sizes foretell it. SPARSE is a pattern of zeros:
    "2:4" or "block:0.5". CALIB is a path (FILE.npz, a folder of .npy files) or an iterable of dicts
    from input names to arrays, one for each sample; all of them are held, for they are read several
    times. EXCLUDE names nodes whose weights stay. The same SRC, options and samples give the same
    bytes on every machine.
    """
    options = _library.PruneOptions(ctypes.sizeof(_library.PruneOptions))
    options.structured = structured
    options.time = time
    options.sparse = sparse.encode() if sparse is not None else None
    names = [name.encode() for name in exclude]
    options.exclude = (ctypes.c_char_p * max(1, len(names)))(*names)
    options.n_exclude = len(names)
    bindings = [_library.DimBinding(name.encode(), value) for name, value in (dims or {}).items()]
    options.dims = (_library.DimBinding * max(1, len(bindings)))(*bindings)
    options.n_dims = len(bindings)
    report: List[str] = []
    options.report = _library.PruneLine(lambda _, line: report.append(line.decode()))
    reader = _Reader(src, calib) if calib is not None else None
    if reader is not None:
        reader.put(options)
    result = _library.PruneResult(ctypes.sizeof(_library.PruneResult))
    status = _library.freezer().fz_prune_file(os.fsencode(src), os.fsencode(dst),
                                              ctypes.byref(options), ctypes.byref(result))
    if reader is not None and reader.error is not None:
        raise reader.error
    check(status)
    return PruneResult(*(getattr(result, name) for name, _ in _library.PruneResult._fields_[1:]),
                       report)


class _Reader:
    """Hands samples to the library, which asks for them by number."""

    def __init__(self, src: Union[str, "os.PathLike[str]"], calib: Samples) -> None:
        self.error: Optional[BaseException] = None
        self.path: Optional[bytes] = None
        if isinstance(calib, (str, os.PathLike)):
            self.path = os.fsencode(calib)
            return
        with Model(src) as model:
            self.inputs = list(model.inputs)
        self.samples = [self._values(sample) for sample in calib]
        self.owners: List[Any] = []

    def _values(self, sample: Mapping[str, Any]) -> List[Any]:
        missing = [value.name for value in self.inputs if value.name not in sample]
        if missing:
            raise ValueError(f"a sample has no {missing[0]!r}")
        return [sample[value.name] for value in self.inputs]

    def put(self, options: _library.PruneOptions) -> None:
        if self.path is not None:
            options.calib = self.path
            return
        options.sample = _library.PruneSample(self._sample)

    def _sample(self, _: Any, index: int, inputs: Any, n: int) -> int:
        try:
            if index >= len(self.samples):
                return 0
            self.owners.clear()
            for i, (value, given) in enumerate(zip(self.inputs, self.samples[index])):
                _values.describe(given, value.number, inputs[i], self.owners)
        except BaseException as error:  # a callback of C can't raise
            self.error = error
            return -1
        return 1
