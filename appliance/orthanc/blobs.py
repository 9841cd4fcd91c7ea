"""Files that survive a power cut or do not appear at all; standard library only, for Orthanc's Python loads it.

A name appears only after its bytes were flushed, and a caller goes on only after the name was flushed. An error of a
flush itself is never retried: the kernel may have dropped the dirty pages and would call the next flush good, so the
process ends and the truth is read back from the medium at the next start.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

EXIT_IO_ERROR = 74
"""Exit status after a failed flush (``EX_IOERR`` of sysexits.h)."""

PARTIAL_SUFFIX = ".part"

_REFUSABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Errors that say "not written" without putting earlier bytes in doubt."""

FailStop = Callable[[str, BaseException], NoReturn]


class ShortFileError(OSError):
    """A file does not hold the bytes that were written or recorded."""


def fail_stop(what: str, error: BaseException) -> NoReturn:
    """End the process at once, so that the association aborts and no Success is sent for bytes in doubt."""
    with suppress(OSError):  # the log may lie on the same failing disk
        os.write(2, f"unit.door fail-stop what={what!r} error={error!r}\n".encode())
    os._exit(EXIT_IO_ERROR)


def blob_path(blob_dir: Path, blob_uuid: str) -> Path:
    """Where a blob lies; equals ``appliance.config.blob_path``, which Orthanc's Python cannot import.

    Raises:
        ValueError: If it is no UUID; so the path never leaves ``blob_dir``.
    """
    if len(blob_uuid) != 36 or any(c not in "0123456789abcdef-" for c in blob_uuid):
        raise ValueError(f"not a blob uuid: {blob_uuid!r}")
    return blob_dir / blob_uuid[:2] / blob_uuid


def flush(fd: int, what: str, stop: FailStop = fail_stop) -> None:
    """``fsync``; a medium that is full or read-only is a refusal, any other error ends the process.

    Raises:
        OSError: ENOSPC, EDQUOT or EROFS.
    """
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno in _REFUSABLE:
            raise
        stop(what, error)


def flush_folder(folder: Path, stop: FailStop = fail_stop) -> None:
    """Make the names in ``folder`` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush(fd, "fsync of a folder", stop)
    finally:
        os.close(fd)


def ensure_folder(folder: Path, stop: FailStop = fail_stop) -> None:
    """Create ``folder`` in its existing parent, durably; nothing happens when it is there."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    flush_folder(folder.parent, stop)


def ensure_fan_out(blob_dir: Path, stop: FailStop = fail_stop) -> None:
    """Make the 256 folders of blobs at once, so that none costs a flush while an object waits.

    Raises:
        OSError: If the medium is full or read-only; ``write_durable`` makes what is missing then.
    """
    for number in range(256):
        (blob_dir / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
    flush_folder(blob_dir, stop)


def write_durable(path: Path, data: bytes, stop: FailStop = fail_stop) -> None:
    """Write a file: when this returns, it is whole and durable under its name; the name never shows less.

    Args:
        path: The final name, new; its folder is created when missing.
        data: All of it; it may be empty.
        stop: Called when a flush fails.

    Raises:
        OSError: If it cannot be written (full, read-only, I/O error). The partial file is removed where possible; one
            that a power cut leaves carries ``PARTIAL_SUFFIX``.
    """
    ensure_folder(path.parent, stop)
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(fd, data)
            flush(fd, "fsync of a blob", stop)
            if os.fstat(fd).st_size != len(data):
                raise ShortFileError(errno.EIO, "the file is not as long as what was written")
        finally:
            os.close(fd)
        partial.rename(path)
        flush_folder(path.parent, stop)
    except OSError:
        unlink_quietly(partial)
        raise


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_whole(path: Path, size_bytes: int) -> bytes:
    """The first ``size_bytes`` bytes of a file.

    Raises:
        ShortFileError: If it is shorter.
        OSError: If it cannot be read; never other bytes instead.
    """
    with path.open("rb", buffering=0) as file:
        parts: list[bytes] = []
        missing = size_bytes
        while missing:
            part = file.read(missing)
            if not part:
                raise ShortFileError(errno.EIO, f"{missing} bytes are missing")
            parts.append(part)
            missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unlink_quietly(path: Path) -> None:
    """Remove a file; one that is gone already, or cannot go, is left to recovery."""
    try:
        path.unlink()
    except OSError:
        return
