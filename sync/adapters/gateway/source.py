"""Where a part's bytes are read from: memory, or a file that was opened when it was made."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from sync.adapters.failures import Failed, failure


class Source(Protocol):
    """Bytes by position; thread-safe."""

    def read(self, start: int, count: int) -> bytes:
        """Exactly ``count`` bytes; raises ``Failed`` (``part-unreadable``) when they are not there."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class InMemory:
    """A small part."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, start: int, count: int) -> bytes:
        return self._content[start : start + count]

    def close(self) -> None:
        """Nothing to give back."""


class InFile:
    """A part on disk; kept open, for the encoder may remove its name once others have it."""

    def __init__(self, path: Path) -> None:
        """Raises ``Failed`` (``part-unreadable``) when it cannot be opened."""
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Failed(failure("part-unreadable")) from error
        self._lock = threading.Lock()
        self._closed = False

    def read(self, start: int, count: int) -> bytes:
        with self._lock:  # a call may end while its part is read: its descriptor must not be another file's by then
            if self._closed:
                raise Failed(failure("part-unreadable"))
            try:
                data = os.pread(self._descriptor, count, start)
            except OSError as error:
                raise Failed(failure("part-unreadable")) from error
        if len(data) != count:
            raise Failed(failure("part-unreadable"))
        return data

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._descriptor)
