"""Who this unit is to a gateway: one private key a unit, and one small file a gateway that enrolled it.

``identity/unit.key`` never leaves the unit. ``identity/<destination>.json`` holds what enrolment gave: the unit's
number there and the centre's public key, by which receipts are known to be genuine. Both are replaced whole and
durably, so a power cut leaves the old or the new one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.durable import sync_folder

KEY_NAME = "unit.key"
_FILE_BYTES_MAX = 64 * 1024


class IdentityError(Exception):
    """A file of the identity cannot be used; the text says which and why."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway knows this unit as."""

    unit_id: str
    centre_public_key: str
    """Base64 of the 32 bytes of an Ed25519 public key."""
    url: str
    """Where it enrolled; shown to people only, the configuration says where to go."""
    centre_age_recipient: str = ""
    """What courier media are encrypted to; empty when the centre has none."""


def identity_file(identity_dir: Path, destination: str) -> Path:
    """Where the identity at this destination is kept."""
    return identity_dir / f"{destination}.json"


def session_file(identity_dir: Path, destination: str) -> Path:
    """Where the unit keeps what it must not forget of its sessions at this destination."""
    return identity_dir / f"{destination}.session"


def read_identity(identity_dir: Path, destination: str) -> Identity | None:
    """The identity at this destination; ``None`` when the unit is not enrolled there.

    Raises:
        IdentityError: If the file is there and cannot be used.
    """
    path = identity_file(identity_dir, destination)
    raw = _read(path)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=Identity)
    except msgspec.DecodeError as error:
        raise IdentityError(f"{path}: is damaged; enrol this unit again") from error


def write_identity(identity_dir: Path, destination: str, identity: Identity) -> None:
    """Keep it durably; raises ``OSError``."""
    replace_file(identity_file(identity_dir, destination), msgspec.json.encode(identity) + b"\n")


def read_key(identity_dir: Path) -> bytes | None:
    """The unit's private key as PEM (PKCS 8, Ed25519); ``None`` when there is none yet.

    Raises:
        IdentityError: If the file cannot be read.
    """
    return _read(identity_dir / KEY_NAME)


def write_key(identity_dir: Path, pem: bytes) -> None:
    """Keep the unit's first private key durably, readable by this account alone.

    Raises:
        FileExistsError: If there is one already: it is never replaced, for a gateway knows the unit by it.
        OSError: If it cannot be written.
    """
    path = identity_dir / KEY_NAME
    partial = _write_partial(path, pem)
    try:
        os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(identity_dir)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file of mode 0600 so that after a power cut it is the old or the new one; raises ``OSError``."""
    partial = _write_partial(path, content)
    try:
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_partial(path: Path, content: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = path.parent.parent.stat()
    is_root = os.geteuid() == 0
    if is_root:  # a person with sudo enrols a unit that runs under an account of its own
        os.chown(path.parent, owner.st_uid, owner.st_gid)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        partial.unlink()
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
        if is_root:
            os.fchown(target.fileno(), owner.st_uid, owner.st_gid)
    return partial


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as source:
            return source.read(_FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror}") from error
