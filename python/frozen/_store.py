"""frozen.Store: a content-addressed store of frozen models."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional, TypeVar

from . import _library
from ._errors import CorruptError
from ._library import Path, check, path_of, store
from ._model import Model

_T = TypeVar("_T")
_PATH_MAX = 8192


@dataclass(frozen=True)
class StoreItem:
    """A model in a store."""

    id: str
    tags: tuple[str, ...]
    file_size: int
    pinned: bool


@dataclass(frozen=True)
class StoreChange:
    """A line of a tag's history; ACTION is "tag" or "rollback"."""

    id: str
    time: str
    action: str


class Removed(NamedTuple):
    """What Store.gc() removed."""

    files: int
    size: int


class Store:
    """The store in the folder PATH, which Store(path).init() makes.

    A REF is a tag or a model id. Any number of processes may read and write a store at once;
    InputValueError says that there is no such model.
    """

    def __init__(self, path: Path) -> None:
        self.folder = path

    def init(self) -> Store:
        """Makes the store, empty; FileError if something else is there."""
        check(store().fz_store_init(self._dir))
        return self

    def put(self, file: Path, tag: Optional[str] = None) -> str:
        """Stores the frozen FILE, verified, and lets TAG name it; the model id."""
        return self._id(store().fz_store_put, path_of(file), _text(tag))

    def get(self, ref: str, out: Path) -> None:
        """Copies the model REF to the file OUT and checks the bytes on the way."""
        check(store().fz_store_get(self._dir, _text(ref), path_of(out)))

    def resolve(self, ref: str) -> str:
        """The model id of REF."""
        return _resolve(self._dir, ref)[0]

    def path(self, ref: str) -> str:
        """The path of REF's blob, which never changes."""
        return _resolve(self._dir, ref)[1]

    def open(self, ref: str, **options: Any) -> Model:
        """The model REF, proved to be it; OPTIONS are those of Model."""
        model_id, path = _resolve(self._dir, ref)
        # A mapped model is not read whole: it has no id yet.
        known = {} if options.get("map") else {"expect": model_id}
        return Model(path, **{**known, **options})

    def tag(self, ref: str, tag: str) -> None:
        """Lets TAG name the model REF from now on."""
        check(store().fz_store_tag(self._dir, _text(ref), _text(tag)))

    def rollback(self, tag: str) -> str:
        """Lets TAG name the model before the present one; its id."""
        return self._id(store().fz_store_rollback, _text(tag))

    def history(self, tag: str) -> list[StoreChange]:
        """All that TAG has ever named, oldest first."""
        return self._visit(store().fz_store_history, lambda item: StoreChange(
            item.id.decode(), item.time.decode(), item.action.decode()), _text(tag))

    def ls(self) -> list[StoreItem]:
        """The models, in the order of their ids."""
        return self._visit(store().fz_store_list, lambda item: StoreItem(
            item.id.decode(), tuple(item.tags.decode().split()), item.file_size,
            bool(item.is_pinned)))

    def pin(self, ref: str, pinned: bool = True) -> None:
        """Keeps REF from gc() even if no tag names it; with PINNED False no longer."""
        check(store().fz_store_pin(self._dir, _text(ref), int(pinned)))

    def gc(self, keep: int = 10) -> Removed:
        """Removes models that nothing names or pins, nor the last KEEP models of a tag."""
        n, size = ctypes.c_uint64(), ctypes.c_uint64()
        check(store().fz_store_gc(self._dir, keep, ctypes.byref(n), ctypes.byref(size)))
        return Removed(n.value, size.value)

    def fsck(self) -> int:
        """Reads and proves everything; the number of blobs. CorruptError has `problems`."""
        problems: list[str] = []
        n = ctypes.c_uint64()
        notice = _library.StoreProblem(
            lambda _, what: problems.append(what.decode("utf-8", "replace")))
        try:
            check(store().fz_store_fsck(self._dir, notice, None, ctypes.byref(n)))
        except CorruptError as error:
            error.problems = tuple(problems)
            raise
        return n.value

    @property
    def _dir(self) -> bytes:
        return path_of(self.folder)

    def _id(self, function: Any, *arguments: Optional[bytes]) -> str:
        model_id = ctypes.create_string_buffer(65)
        check(function(self._dir, *arguments, model_id))
        return model_id.value.decode()

    def _visit(self, function: Any, convert: Callable[[_library.StoreItem], _T],
               *arguments: Optional[bytes]) -> list[_T]:
        found: list[_T] = []

        def visit(_: Any, item: Any) -> int:
            found.append(convert(item.contents))
            return 0

        check(function(self._dir, *arguments, _library.StoreVisit(visit), None))
        return found

    def __repr__(self) -> str:
        return f"frozen.Store({self.folder!r})"


def resolve(place: str) -> tuple[str, str]:
    """The model id and the blob of "store:DIR:REF"."""
    folder, _, ref = place[len("store:"):].rpartition(":")
    if not folder or not ref:
        raise ValueError(f"a model in a store is store:DIR:REF, not {place!r}")
    return _resolve(path_of(folder), ref)


def _resolve(folder: bytes, ref: str) -> tuple[str, str]:
    model_id = ctypes.create_string_buffer(65)
    path = ctypes.create_string_buffer(_PATH_MAX)
    check(store().fz_store_resolve(folder, _text(ref), model_id, path, _PATH_MAX))
    return model_id.value.decode(), path.value.decode("utf-8", "surrogateescape")


def _text(text: Optional[str]) -> Optional[bytes]:
    if text is not None and "\0" in text:
        raise ValueError("a tag or id can't hold a zero byte")
    return None if text is None else text.encode()
