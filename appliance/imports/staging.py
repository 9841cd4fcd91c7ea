"""A private copy of a foreign file: what is checked is what is sent, whatever happens to the file meanwhile."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from appliance.config import UnitConfig
from appliance.imports.kinds import HEAD_BYTES
from appliance.imports.problems import ImportProblem

_STEP_BYTES = 1 << 20
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy that nobody else writes."""

    path: Path
    head: bytes
    sha256: str
    size_bytes: int


@contextmanager
def workshop(config: UnitConfig) -> Iterator[Path]:
    """An empty private folder, for one import at a time on this unit; what a killed one left is removed.

    Raises:
        OSError: If the data folder cannot be written.
    """
    folder = config.data_dir / "import-work"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        inside = folder / "now"
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir(mode=0o700)
        try:
            yield inside
        finally:
            shutil.rmtree(inside, ignore_errors=True)


def read_head(path: Path) -> bytes:
    """The first bytes of a regular file, without waiting for a pipe or following a link.

    Raises:
        ImportProblem: ``not-found``, ``symlink``, ``not-a-file`` or ``io-error``.
    """
    with _opened(path) as file:
        try:
            return file.read(HEAD_BYTES)
        except OSError as error:
            raise ImportProblem("io-error", os.strerror(error.errno or 0)) from error


def stage(config: UnitConfig, path: Path, target: Path) -> Staged:
    """Copy a file to ``target``.

    Raises:
        ImportProblem: As ``read_head``, and ``too-large``, ``changed`` or ``no-room``.
    """
    digest = hashlib.sha256()
    head = b""
    with _opened(path) as file:
        before = os.fstat(file.fileno())
        _check_size(config, before.st_size, target.parent)
        copied_bytes = 0
        try:
            with target.open("wb") as copy:
                while piece := _read(file):
                    head = head or piece[:HEAD_BYTES]
                    copied_bytes += len(piece)
                    if copied_bytes > before.st_size:
                        raise ImportProblem("changed")
                    digest.update(piece)
                    copy.write(piece)
        except OSError as error:
            raise ImportProblem("no-room" if error.errno in _NO_ROOM else "io-error", str(error.strerror)) from error
        after = os.fstat(file.fileno())
    if copied_bytes != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ImportProblem("changed")
    return Staged(target, head, digest.hexdigest(), copied_bytes)


def _read(file: IO[bytes]) -> bytes:
    try:
        return file.read(_STEP_BYTES)
    except OSError as error:
        raise ImportProblem("io-error", os.strerror(error.errno or 0)) from error


def _check_size(config: UnitConfig, size_bytes: int, folder: Path) -> None:
    """A copy and an object made of it must leave the door its room."""
    if size_bytes > config.limits.object_bytes_max:
        raise ImportProblem("too-large", f"{size_bytes} bytes")
    if shutil.disk_usage(folder).free < config.limits.free_bytes_floor + 3 * size_bytes:
        raise ImportProblem("no-room")


def _opened(path: Path) -> IO[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ImportProblem("not-found") from error
    except OSError as error:
        code = {errno.ELOOP: "symlink", errno.ENXIO: "not-a-file"}.get(error.errno or 0, "io-error")
        raise ImportProblem(code, os.strerror(error.errno or 0)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ImportProblem("not-a-file")
    return os.fdopen(descriptor, "rb")
