"""The exceptions: one class for each status of the C library."""

from __future__ import annotations


class Error(Exception):
    """Any failure of the library; `status` is its number and `name` its C name."""

    status: int = 17
    name: str = "FZ_E_INTERNAL"


class UsageError(Error, ValueError):
    status, name = 1, "FZ_E_USAGE"


class NoMemoryError(Error, MemoryError):
    status, name = 2, "FZ_E_NOMEM"


class FileError(Error, OSError):
    status, name = 3, "FZ_E_IO"


class FormatError(Error, ValueError):
    status, name = 4, "FZ_E_FORMAT"


class UnsupportedError(Error, NotImplementedError):
    status, name = 5, "FZ_E_UNSUPPORTED"


class DigestError(Error):
    status, name = 6, "FZ_E_DIGEST"


class CorruptError(Error):
    status, name = 7, "FZ_E_CORRUPT"
    problems: tuple[str, ...] = ()  # of Store.fsck(): all that is wrong


class ShapeError(Error, ValueError):
    status, name = 8, "FZ_E_SHAPE"


class ElementTypeError(Error, TypeError):
    status, name = 9, "FZ_E_TYPE"


class LimitError(Error):
    status, name = 10, "FZ_E_LIMIT"


class UnverifiedError(Error):
    status, name = 11, "FZ_E_UNVERIFIED"


class CancelledError(Error):
    status, name = 12, "FZ_E_CANCELLED"


class DeadlineError(Error, TimeoutError):
    status, name = 13, "FZ_E_DEADLINE"


class InputValueError(Error, ValueError):
    status, name = 14, "FZ_E_VALUE"


class ProfileError(Error):
    status, name = 15, "FZ_E_PROFILE"


class SystemRefusedError(Error, OSError):
    status, name = 16, "FZ_E_SYSTEM"


class InternalError(Error):
    status, name = 17, "FZ_E_INTERNAL"


class AnswerError(Error):
    status, name = 18, "FZ_E_ANSWER"


class SignatureError(Error):
    status, name = 19, "FZ_E_SIGNATURE"


_BY_STATUS = {c.status: c for c in Error.__subclasses__()}


def error_of(status: int, message: str) -> Error:
    """The exception of STATUS; a status that this package does not know keeps its number."""
    error = _BY_STATUS.get(status, Error)(message or f"status {status}")
    error.status = status
    return error
