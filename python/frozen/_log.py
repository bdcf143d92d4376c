"""frozen.Log: a tamper-evident log of receipts."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple, Optional

from . import _library
from ._library import Path, check, path_of, store


@dataclass(frozen=True)
class LogEntry:
    """A line of a log. RECEIPT is JSON, whose digests follow; DIGEST is that of the line."""

    seq: int
    time: str
    receipt: str
    model: str
    input: str
    output: str
    profile: str
    digest: str
    signed: bool


class Audit(NamedTuple):
    """What a log holds: how many entries, and the digest of the last one."""

    entries: int
    head: str


class Log:
    """The log at PATH, made by the first append(). Any number of processes may append at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, receipt: str, key: Optional[Path] = None) -> str:
        """Adds RECEIPT (of Model.run_with_receipt()), signed by the private KEY; the new head.

        The entry is on the disk when this returns. CorruptError if the last line is no whole entry.
        """
        head = ctypes.create_string_buffer(65)
        check(store().fz_log_append(path_of(self.path), receipt.encode(),
                                    None if key is None else path_of(key), head))
        return head.value.decode()

    def audit(self, key: Optional[Path] = None, head: Optional[str] = None) -> Audit:
        """Proves the whole log: the chain, with the public KEY that it signed every entry.

        HEAD, as append() or audit() gave it earlier, proves that nothing was cut off since.
        CorruptError names the line that doesn't hold; SignatureError, DigestError if KEY or HEAD
        doesn't.
        """
        return self._prove(key, head, None)

    def entries(self, key: Optional[Path] = None, head: Optional[str] = None) -> list[LogEntry]:
        """All entries, once the whole log has proved sound."""
        found: list[LogEntry] = []
        self._prove(key, head, found)
        return found

    def __iter__(self) -> Iterator[LogEntry]:
        return iter(self.entries())

    def _prove(self, key: Optional[Path], head: Optional[str],
               found: Optional[list[LogEntry]]) -> Audit:
        def visit(_: Any, entry: Any) -> int:
            assert found is not None
            found.append(_entry(entry.contents))
            return 0

        options = _library.LogOptions(
            ctypes.sizeof(_library.LogOptions), None if key is None else path_of(key),
            None if head is None else head.encode())
        if found is not None:
            options.visit = _library.LogVisit(visit)
        n, last = ctypes.c_uint64(), ctypes.create_string_buffer(65)
        check(store().fz_log_audit(path_of(self.path), ctypes.byref(options), ctypes.byref(n),
                                   last))
        return Audit(n.value, last.value.decode())

    def __repr__(self) -> str:
        return f"frozen.Log({self.path!r})"


def _entry(raw: _library.LogEntry) -> LogEntry:
    return LogEntry(raw.seq, _text(raw.time), _text(raw.receipt), _text(raw.model),
                    _text(raw.input), _text(raw.output), _text(raw.profile), _text(raw.digest),
                    bool(raw.is_signed))


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")
