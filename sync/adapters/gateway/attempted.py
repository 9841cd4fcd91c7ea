"""Parts that this unit began to send at some time: what the centre may have of them is worth a question.

Of a part that is not among them the centre has nothing, as far as can be known here, and it may follow its manifest
without waiting for the answer. A wrong belief costs a connection, no picture: hence no fsync, and hence ``run/``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

COUNT_MAX = 8192
NAME_LENGTH = 16
"""Of the digest's 64 digits; two parts of one unit that share so many would be asked about for nothing."""


class Attempted:
    """Thread-safe; what cannot be read or written is believed to be empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._names: OrderedDict[str, None] = OrderedDict()
        with suppress(OSError, UnicodeDecodeError):
            self._names.update(dict.fromkeys(path.read_text(encoding="ascii").split()[-COUNT_MAX:]))
        self._line_count = len(self._names)

    def add(self, sha256: str) -> None:
        """This part is being sent."""
        name = sha256[:NAME_LENGTH]
        with self._lock:
            if name in self._names:
                return
            self._names[name] = None
            while len(self._names) > COUNT_MAX:
                self._names.popitem(last=False)
            with suppress(OSError):
                self._write(name)

    def __contains__(self, sha256: str) -> bool:
        with self._lock:
            return sha256[:NAME_LENGTH] in self._names

    def _write(self, name: str) -> None:
        if self._line_count >= 2 * COUNT_MAX:
            self._path.write_text("".join(f"{each}\n" for each in self._names), encoding="ascii")
            self._line_count = len(self._names)
            return
        with self._path.open("a", encoding="ascii") as file:
            file.write(f"{name}\n")
        self._line_count += 1
