"""frozen.freeze(): an ONNX model becomes a frozen file."""

from __future__ import annotations

import ctypes
import os
import tempfile
from typing import Mapping, Optional, Union

from . import _library
from ._custom import Custom, set_of
from ._library import check
from ._model import Source, content_of


def freeze(src: Source, dst: Union[str, "os.PathLike[str]"], numerics: str = "portable",
           dims: Optional[Mapping[str, int]] = None, keep_onnx: bool = False,
           winograd: bool = True, literal_qdq: bool = False,
           dynamic_range: str = "tensor", kat: bool = True, sparse: bool = False,
           custom: Optional[Custom] = None) -> str:
    """Writes the ONNX model SRC (a path, bytes or an onnx.ModelProto) frozen to DST.

    Returns the model id. NUMERICS is "portable" (the same bits on every CPU) or "blas". DIMS gives
    sizes to open dimensions by name. KEEP_ONNX stores the original bytes too, WINOGRAD allows that
    form of 3x3 convolutions, LITERAL_QDQ runs QDQ nodes as written. DYNAMIC_RANGE "per-row" gives
    each row of a dynamically quantised product a range of its own, so that a row of a batch has the
    bits that it has alone; UnsupportedError where the model does not allow that. KAT stores a known
    answer, which Model.verify(kat=True) runs again. SPARSE leaves out weights that are zero in blocks.
    CUSTOM are the operators that the caller brings along: CustomOp objects and paths of shared
    objects. The file appears whole or not at all, and the same SRC and options give the same bytes on every machine.
    """
    options = _options(numerics, dims, keep_onnx, winograd, literal_qdq, dynamic_range, kat,
                       sparse)
    operators = set_of(custom)
    options.custom = operators.handle if operators else None
    content = content_of(src)
    if content is None:
        return _freeze_path(os.fsencode(src), os.fsencode(dst), options)  # type: ignore[arg-type]
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(content)
        file.flush()
        return _freeze_path(os.fsencode(file.name), os.fsencode(dst), options)


def _options(numerics: str, dims: Optional[Mapping[str, int]], keep_onnx: bool, winograd: bool,
             literal_qdq: bool, dynamic_range: str, kat: bool, sparse: bool = False) -> _library.FreezeOptions:
    if dynamic_range not in ("tensor", "per-row"):
        raise ValueError(f"dynamic_range is 'tensor' or 'per-row', not {dynamic_range!r}")
    options = _library.FreezeOptions(ctypes.sizeof(_library.FreezeOptions))
    options.numerics = numerics.encode()
    bindings = [_library.DimBinding(name.encode(), value) for name, value in (dims or {}).items()]
    options.dims = (_library.DimBinding * max(1, len(bindings)))(*bindings)
    options.n_dims = len(bindings)
    options.flags = ((_library.KEEP_ONNX if keep_onnx else 0)
                     | (0 if winograd else _library.NO_WINOGRAD)
                     | (_library.LITERAL_QDQ if literal_qdq else 0)
                     | (0 if kat else _library.NO_KAT)
                     | (_library.SPARSE if sparse else 0)
                     | (_library.RANGE_PER_ROW if dynamic_range == "per-row" else 0))
    return options


def _freeze_path(src: bytes, dst: bytes, options: _library.FreezeOptions) -> str:
    if b"\0" in src or b"\0" in dst:
        raise ValueError("a path can't hold a zero byte")
    model_id = ctypes.create_string_buffer(65)
    check(_library.freezer().fz_freeze_file(src, dst, ctypes.byref(options), model_id))
    return model_id.value.decode()
