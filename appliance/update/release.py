"""A release as it travels: a signed list of files. Nothing of it is believed before its signature is.

A release is a folder with ``release.json`` (version, and for each file its name, SHA-256 and sizes), ``release.sig``
(Ed25519 over the bytes of ``release.json``), and the files, compressed with zstd. No file is trusted by its name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from appliance.durable import sync_folder

LIST, SIGNATURE = "release.json", "release.sig"
LIST_BYTES_MAX = 64 * 1024
FILE_BYTES_MAX = 4 * 1024**3
FILE_COUNT_MAX = 8
_CHUNK_BYTES = 1024 * 1024
_WINDOW_BYTES_MAX = 128 * 1024**2


class Why(StrEnum):
    """Why a release is refused, for what is shown to people."""

    NOT_WHOLE = "not-whole"
    NOT_SIGNED = "not-signed"
    NOT_WELL_FORMED = "not-well-formed"
    OTHER_IMAGE = "other-image"
    NOT_NEWER = "not-newer"
    DAMAGED = "damaged"


class ReleaseError(Exception):
    """The release is refused; the text says why. Nothing was installed."""

    def __init__(self, text: str, why: Why = Why.DAMAGED) -> None:
        super().__init__(text)
        self.why = why


class ReleaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file as it is installed."""

    name: Annotated[str, msgspec.Meta(pattern=r"^qafila_[0-9]{1,14}[A-Za-z0-9_.-]{0,80}\Z")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """Of the file, not of its compressed form."""
    size_bytes: Annotated[int, msgspec.Meta(gt=0, le=FILE_BYTES_MAX)]


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was signed."""

    image: str
    """Image and board, ``qafila-mini-pc``: a release of another board is refused."""
    version: Annotated[int, msgspec.Meta(gt=0, lt=10**14)]
    files: Annotated[tuple[ReleaseFile, ...], msgspec.Meta(min_length=1, max_length=FILE_COUNT_MAX)]


def read_release(folder: Path, keys: tuple[Ed25519PublicKey, ...]) -> Release:
    """The release in ``folder``, when one of ``keys`` signed it.

    Raises:
        ReleaseError: If there is none, or it is not signed by a known key, or not well formed.
    """
    try:
        text, signature = _bounded(folder / LIST), _bounded(folder / SIGNATURE)
    except OSError as error:
        raise ReleaseError(f"there is no whole release here ({error.strerror})", Why.NOT_WHOLE) from error
    if not any(_signed(key, signature, text) for key in keys):
        raise ReleaseError("it is not signed by a key that this unit knows", Why.NOT_SIGNED)
    try:
        return msgspec.json.decode(text, type=Release)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReleaseError(f"its list is not well formed: {error}", Why.NOT_WELL_FORMED) from error


def list_digest(folder: Path) -> str:
    """SHA-256 of the list in ``folder``, by which a release is known whatever it says; empty when there is none."""
    try:
        return hashlib.sha256(_bounded(folder / LIST)).hexdigest()
    except (OSError, ReleaseError):
        return ""


def load_keys(folder: Path) -> tuple[Ed25519PublicKey, ...]:
    """Every Ed25519 key of the ``.pem`` files in ``folder``.

    Raises:
        OSError: If one cannot be read.
        ValueError: If one is no key.
    """
    loaded = [load_pem_public_key(path.read_bytes()) for path in sorted(folder.glob("*.pem"))]
    return tuple(key for key in loaded if isinstance(key, Ed25519PublicKey))


def check_newer(release: Release, image: str, installed: int, floor: int) -> None:
    """Refuse another board's release and every downgrade, also below a version that was once found good here.

    Raises:
        ReleaseError: With both versions.
    """
    if release.image != image:
        raise ReleaseError(f"it is for {release.image}, and this is {image}", Why.OTHER_IMAGE)
    if release.version <= max(installed, floor):
        raise ReleaseError(
            f"it is version {release.version}, and this unit has had {max(installed, floor)}", Why.NOT_NEWER
        )


def unpack(release: Release, folder: Path, target: Path) -> None:
    """Every file in full, its digest checked and durable; a file whose digest differs leaves ``target`` empty.

    Raises:
        ReleaseError: If a file is missing, damaged, or not what was signed.
        OSError: If ``target`` cannot be written, a full disk for instance; what was written is removed.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    _empty(target)
    try:
        for file in release.files:
            _unpack_one(file, folder / f"{file.name}.zst", target / file.name)
    except BaseException:
        _empty(target)
        raise
    sync_folder(target)


def _unpack_one(file: ReleaseFile, source: Path, path: Path) -> None:
    with path.open("xb") as written:
        _read_through(file, source, written.write)
        written.flush()
        os.fsync(written.fileno())


def _read_through(file: ReleaseFile, source: Path, take: Callable[[bytes], object]) -> None:
    """Judged by what ``take`` was given, so that it does not matter who changes ``source`` meanwhile."""
    digest, count = hashlib.sha256(), 0
    try:
        opened = _open(source)
    except OSError as error:
        raise ReleaseError(f"{source.name} is missing ({error.strerror})", Why.NOT_WHOLE) from error
    with opened:
        for piece in _pieces(opened, source.name):
            count += len(piece)
            if count > file.size_bytes:
                raise ReleaseError(f"{source.name} holds more than was signed")
            digest.update(piece)
            take(piece)
    if count != file.size_bytes or digest.hexdigest() != file.sha256:
        raise ReleaseError(f"{source.name} is damaged: it is not what was signed")


def _pieces(opened: BinaryIO, name: str) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX).stream_reader(opened)
    while True:
        try:
            piece = reader.read(_CHUNK_BYTES)
        except zstandard.ZstdError as error:
            raise ReleaseError(f"{name} is damaged ({error})") from error
        if not piece:
            return
        yield piece


def _bounded(path: Path) -> bytes:
    with _open(path) as opened:
        data = opened.read(LIST_BYTES_MAX + 1)
    if len(data) > LIST_BYTES_MAX:
        raise ReleaseError(f"{path.name} is longer than any list", Why.NOT_WELL_FORMED)
    return data


def _open(path: Path) -> BinaryIO:
    """A regular file itself: who may write in the folder may also put links and pipes there, and this runs as root."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    opened = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return opened


def _signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _empty(target: Path) -> None:
    for path in target.iterdir():
        path.unlink()


def read_running(os_release: str, board: str) -> tuple[str, int]:
    """Image and version of the running system, named as a release for it names them.

    Args:
        os_release: Text of ``/etc/os-release``.
        board: Which of ``image/mkosi.profiles/`` this image was built for.

    Raises:
        ReleaseError: If this is no appliance.
    """
    found = dict(re.findall(r'^(IMAGE_ID|IMAGE_VERSION)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    if not found.get("IMAGE_ID") or not found.get("IMAGE_VERSION", "").isdigit() or not board.strip():
        raise ReleaseError("this machine does not run an appliance's image")
    return f"{found['IMAGE_ID']}-{board.strip()}", int(found["IMAGE_VERSION"])
