"""Files on an untrusted stick: reached from one open folder, never through a link, flushed before they count.

Everything goes through a descriptor of the stick's own folder. When the stick is pulled and its mount point shows the
machine's disk again, nothing of ours is written there.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sync.courier.errors import StickError, StickFault

_READ_BYTES = 1024 * 1024
"""A multiple of every block size, as reading past the page cache demands."""
PARTIAL_NAME = "partial.tmp"
_FAULTS = {
    errno.ENOSPC: StickFault.FULL,
    errno.EDQUOT: StickFault.FULL,
    errno.EFBIG: StickFault.FULL,
    errno.EROFS: StickFault.READ_ONLY,
    errno.EUCLEAN: StickFault.DAMAGED,
    errno.EBADMSG: StickFault.DAMAGED,
    errno.EACCES: StickFault.DENIED,
    errno.EPERM: StickFault.DENIED,
    errno.ELOOP: StickFault.STRANGE,
    errno.ENOTDIR: StickFault.STRANGE,
    errno.EISDIR: StickFault.STRANGE,
}
_libc = ctypes.CDLL(None, use_errno=True)


class Folder:
    """One open folder on a stick; close it, or use it as a context manager.

    Every method raises ``StickError``. Names are single components chosen by us; they are never taken from a stick
    without a check.
    """

    def __init__(self, descriptor: int, shown: str) -> None:
        self._fd = descriptor
        self.shown = shown
        """For messages."""

    @classmethod
    def open(cls, path: Path) -> Folder:
        """A folder that a person named."""
        with _told(str(path)):
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), str(path))

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go; a stick can only be unmounted when nobody holds it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def enter(self, name: str, *, create: bool = False) -> Folder:
        """A folder inside; never through a link.

        Raises:
            FileNotFoundError: If it is not there and ``create`` is not set.
            StickError: As the medium reports; ``strange`` when it is anything else than a folder.
        """
        with _told(f"{self.shown}/{name}"):
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=self._fd)
                    os.fsync(self._fd)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            return Folder(os.open(name, flags, dir_fd=self._fd), f"{self.shown}/{name}")

    def names(self, count_max: int) -> list[str]:
        """What is inside, sorted; at most so many, whatever a hostile stick holds."""
        with _told(self.shown):
            found = []
            with os.scandir(self._fd) as entries:
                for entry in entries:
                    found.append(entry.name)
                    if len(found) >= count_max:
                        break
        return sorted(found)

    def size_of(self, name: str) -> int | None:
        """Bytes of a plain file; ``None`` when there is none of that name, or it is something else."""
        with _told(f"{self.shown}/{name}"):
            try:
                found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except FileNotFoundError:
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read(self, name: str, bytes_max: int) -> bytes:
        """A plain file, whole.

        Raises:
            FileNotFoundError: If there is none.
            StickError: ``strange`` when it is no plain file or longer than ``bytes_max``.
        """
        with _told(f"{self.shown}/{name}"), self._opened(name) as fd:
            pieces, left = [], bytes_max + 1
            while left > 0 and (piece := os.read(fd, min(left, _READ_BYTES))):
                pieces.append(piece)
                left -= len(piece)
        if left <= 0:
            raise StickError(StickFault.STRANGE, f"{self.shown}/{name}: longer than {bytes_max} bytes")
        return b"".join(pieces)

    def read_lines(self, name: str, line_bytes_max: int, bytes_max: int) -> Iterator[bytes]:
        """The lines of a plain file with their ends; one that is too long comes in pieces. Errors as ``read``."""
        with _told(f"{self.shown}/{name}"), self._opened(name) as fd, os.fdopen(os.dup(fd), "rb") as file:
            left = bytes_max
            while line := file.readline(line_bytes_max + 1):
                left -= len(line)
                if left < 0:
                    raise StickError(StickFault.STRANGE, f"{self.shown}/{name}: longer than {bytes_max} bytes")
                yield line

    def read_medium(self, name: str) -> Iterator[bytes | memoryview]:
        """A plain file as the medium has it: what the machine still has of it in memory is passed by.

        Falls back to ordinary reads, after asking the kernel to drop its copy, where a file system cannot read so.
        """
        with _told(f"{self.shown}/{name}"):
            with self._opened(name) as fd:
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            try:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECT, dir_fd=self._fd)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                fd = -1
            if fd < 0:
                with self._opened(name) as plain_fd:
                    while piece := os.read(plain_fd, _READ_BYTES):
                        yield piece
                return
            try:
                yield from _read_direct(fd)
            finally:
                os.close(fd)

    def write(self, name: str, octets: bytes) -> None:
        """Put a whole file in place, durably: after a pulled stick there is the old one or the new one."""
        with _told(f"{self.shown}/{name}", is_there=True):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                fd = os.open(PARTIAL_NAME, flags, 0o644, dir_fd=self._fd)
                try:
                    _write_all(fd, octets)
                    os.fsync(fd)
                finally:
                    os.close(fd)
                os.rename(PARTIAL_NAME, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
                os.fsync(self._fd)
            except OSError:
                with suppress(OSError):
                    os.unlink(PARTIAL_NAME, dir_fd=self._fd)
                raise

    def append(self, name: str, octets: bytes) -> None:
        """Add to a plain file, durably; when it fails, what was there before stays."""
        with _told(f"{self.shown}/{name}", is_there=True):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(name, flags, 0o644, dir_fd=self._fd)
            try:
                end = _plain(fd, f"{self.shown}/{name}").st_size
                os.lseek(fd, end, os.SEEK_SET)
                try:
                    _write_all(fd, octets)
                    os.fsync(fd)
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(fd, end)
                    raise
            finally:
                os.close(fd)
            if end == 0:
                os.fsync(self._fd)

    def ends_a_line(self, name: str) -> bool:
        """Whether the last byte of a plain file ends a line, or there is none."""
        with _told(f"{self.shown}/{name}"):
            try:
                with self._opened(name) as fd:
                    size_bytes = os.fstat(fd).st_size
                    return size_bytes == 0 or os.pread(fd, 1, size_bytes - 1) == b"\n"
            except FileNotFoundError:
                return True

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with _told(f"{self.shown}/{name}"), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def settle(self) -> None:
        """Have the file system write all it holds to the medium."""
        with _told(self.shown):
            if _libc.syncfs(self._fd):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))

    def free_bytes(self) -> int:
        """Room for ordinary users."""
        with _told(self.shown):
            found = os.fstatvfs(self._fd)
        return found.f_bavail * found.f_frsize

    def device(self) -> int:
        """Number of the file system it is on."""
        with _told(self.shown):
            return os.fstat(self._fd).st_dev

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """Without blocking, for a pipe could stand there."""
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            _plain(fd, f"{self.shown}/{name}")
            yield fd
        finally:
            os.close(fd)


def _plain(fd: int, shown: str) -> os.stat_result:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise StickError(StickFault.STRANGE, f"{shown}: no plain file")
    return found


def _write_all(fd: int, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[os.write(fd, left) :]


def _read_direct(fd: int) -> Iterator[memoryview]:
    buffer = mmap.mmap(-1, _READ_BYTES)
    offset = 0
    count = _READ_BYTES
    while count == _READ_BYTES:  # a short one is the end, and the next would not begin at a block
        count = os.preadv(fd, [buffer], offset)
        offset += count
        yield memoryview(buffer)[:count]


@contextmanager
def _told(shown: str, *, is_there: bool = False) -> Iterator[None]:
    """The system's errors as ours; a missing file stays what it is, unless it cannot be missing."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not is_there:
            raise
        fault = _FAULTS.get(error.errno or 0, StickFault.GONE)
        raise StickError(fault, f"{shown}: {error.strerror or error}") from error
