"""The centre's own keys, made at its first start: Ed25519 for receipts, an age identity for courier sticks.

They lie in files that only the owner reads. A centre that lost them is another centre to its units.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from appliance.config import ConfigError
from appliance.durable import sync_folder

RECEIPT_KEY = "receipt.pem"
COURIER_KEY = "courier.age"


@dataclass(frozen=True, slots=True)
class CentreKeys:
    """What the centre signs with, and what others need to check it or to encrypt to it."""

    signing: Ed25519PrivateKey
    public: bytes
    """32 raw bytes."""
    age_recipient: str


def load_keys(folder: Path) -> CentreKeys:
    """The keys in ``folder``; made first when there are none.

    Raises:
        ConfigError: If a key file cannot be read or written, or holds something else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signing = _signing_key(folder / RECEIPT_KEY)
        recipient = _age_recipient(folder / COURIER_KEY)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder}: the centre's keys cannot be used: {error.strerror}. Nothing was changed"
        ) from error
    public = signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return CentreKeys(signing, public, recipient)


def courier_secret(folder: Path) -> str:
    """The age identity that sticks are opened with; ``load_keys`` made it.

    Raises:
        ConfigError: If it cannot be read.
    """
    path = folder / COURIER_KEY
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the key of sticks cannot be read: {error}. Nothing was changed") from error


def _signing_key(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        _write_once(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise ConfigError(f"{path}: is no private key; restore it from the backup of the centre") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is not an Ed25519 key; restore it from the backup of the centre")
    return key


def _age_recipient(path: Path) -> str:
    import pyrage

    if not path.exists():
        _write_once(path, f"{pyrage.x25519.Identity.generate()}\n".encode("ascii"))
    try:
        identity = pyrage.x25519.Identity.from_str(path.read_text(encoding="ascii").strip())
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is no age identity; restore it from the backup of the centre") from error
    return str(identity.to_public())


def _write_once(path: Path, content: bytes) -> None:
    """Whole and durable, or not at all; the first of two processes wins."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
    sync_folder(path.parent)
