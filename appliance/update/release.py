"""A release as it travels: a signed list of files. Nothing of it is believed before its signature is.

A release is a folder with ``release.json`` (version, and for each file its name, SHA-256 and sizes), ``release.sig``
(Ed25519 over the bytes of ``release.json``), and the files, compressed with zstd. No file is trusted by its name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LIST, SIGNATURE = "release.json", "release.sig"
LIST_BYTES_MAX = 64 * 1024
FILE_BYTES_MAX = 4 * 1024**3
FILE_COUNT_MAX = 8
_CHUNK_BYTES = 1024 * 1024
_WINDOW_BYTES_MAX = 128 * 1024**2


class ReleaseError(Exception):
    """The release is refused; the text says why. Nothing was installed."""


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
        raise ReleaseError(f"there is no whole release here ({error.strerror})") from error
    if not any(_signed(key, signature, text) for key in keys):
        raise ReleaseError("it is not signed by a key that this unit knows")
    try:
        return msgspec.json.decode(text, type=Release)
    except msgspec.ValidationError as error:
        raise ReleaseError(f"its list is not well formed: {error}") from error


def check_newer(release: Release, image: str, installed: int, floor: int) -> None:
    """Refuse another board's release and every downgrade, also below a version that was once found good here.

    Raises:
        ReleaseError: With both versions.
    """
    if release.image != image:
        raise ReleaseError(f"it is for {release.image}, and this is {image}")
    if release.version <= max(installed, floor):
        raise ReleaseError(f"it is version {release.version}, and this unit has had {max(installed, floor)}")


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
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unpack_one(file: ReleaseFile, source: Path, path: Path) -> None:
    digest, count = hashlib.sha256(), 0
    try:
        opened = source.open("rb")
    except OSError as error:
        raise ReleaseError(f"{source.name} is missing ({error.strerror})") from error
    with opened, path.open("xb") as written:
        for piece in _pieces(opened, source.name):
            count += len(piece)
            if count > file.size_bytes:
                raise ReleaseError(f"{source.name} holds more than was signed")
            digest.update(piece)
            written.write(piece)
        if count != file.size_bytes or digest.hexdigest() != file.sha256:
            raise ReleaseError(f"{source.name} is damaged: it is not what was signed")
        written.flush()
        os.fsync(written.fileno())


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
    with path.open("rb") as opened:
        data = opened.read(LIST_BYTES_MAX + 1)
    if len(data) > LIST_BYTES_MAX:
        raise ReleaseError(f"{path.name} is longer than any list")
    return data


def _signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _empty(target: Path) -> None:
    for path in target.iterdir():
        path.unlink()


def read_os_release(text: str) -> tuple[str, int]:
    """Image and version of the running system, from ``/etc/os-release``.

    Raises:
        ReleaseError: If this is no appliance.
    """
    found = dict(re.findall(r'^(IMAGE_ID|IMAGE_VERSION)="?([^"\n]*)"?$', text, re.MULTILINE))
    if not found.get("IMAGE_ID") or not found.get("IMAGE_VERSION", "").isdigit():
        raise ReleaseError("this machine does not run an appliance's image")
    return found["IMAGE_ID"], int(found["IMAGE_VERSION"])
