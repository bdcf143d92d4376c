"""Keys and signatures: frozen.keygen(), sign(), bundle_sign(), bundle_verify()."""

from __future__ import annotations

import ctypes
from typing import Optional

from ._library import Path, check, path_of, store

_KINDS = {"ed25519": 1, "p256": 2}


def keygen(private: Path, public: Path, kind: str = "ed25519") -> None:
    """Makes a pair of keys: PEM files PRIVATE, readable by its owner only, and PUBLIC.

    KIND is "ed25519", for sign() and logs, or "p256", for bundles. A file that is there is never
    overwritten: FileError.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind is 'ed25519' or 'p256', not {kind!r}")
    check(store().fz_key_generate(_KINDS[kind], path_of(private), path_of(public)))


def sign(model: Path, key: Path, signature: Optional[Path] = None) -> None:
    """Signs the frozen file MODEL with the private Ed25519 KEY; Model(signer=) asks for it.

    The 64 bytes go to the file SIGNATURE, by default MODEL with ".sig".
    """
    check(store().fz_sign(path_of(model), path_of(key), _optional(signature)))


def bundle_sign(model: Path, key: Path, bundle: Optional[Path] = None) -> None:
    """Signs MODEL with the private P-256 KEY as an OpenSSF Model Signing bundle.

    The JSON goes to the file BUNDLE, by default MODEL with ".sig".
    """
    check(store().fz_bundle_sign(path_of(model), path_of(key), _optional(bundle)))


def bundle_verify(bundle: Path, key: Path) -> str:
    """The id of the model that BUNDLE vouches for, signed by the public P-256 KEY.

    Model(path, expect=id) then proves that a file is that model. SignatureError if another key or
    none signed it.
    """
    model_id = ctypes.create_string_buffer(65)
    check(store().fz_bundle_verify(path_of(bundle), path_of(key), model_id))
    return model_id.value.decode()


def _optional(path: Optional[Path]) -> Optional[bytes]:
    return None if path is None else path_of(path)
