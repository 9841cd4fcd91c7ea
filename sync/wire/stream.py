"""The bytes of a file's holes as one run, read where they are needed; never all of them at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import BinaryIO

from sync.wire.errors import WireError
from sync.wire.walk import Hole

_STEP_BYTES = 1 << 20


class HoleStream:
    """Positions count from the first byte of the first hole, without what is between holes."""

    def __init__(self, file: BinaryIO, holes: Sequence[Hole]) -> None:
        self._file = file
        self._holes = holes
        self.starts = [0, *accumulate(hole.length for hole in holes)]
        """Position of each hole, and the end of the last one."""

    @property
    def size_bytes(self) -> int:
        """Of all holes together."""
        return self.starts[-1]

    def read(self, start: int, count: int) -> bytes:
        """``count`` bytes from position ``start`` on, over as many holes as that takes.

        Raises:
            WireError: If the file ends before that.
            OSError: If it cannot be read.
        """
        pieces = []
        number = bisect_right(self.starts, start) - 1
        while count:
            hole = self._holes[number]
            skip = start - self.starts[number]
            step = min(count, hole.length - skip)
            self._file.seek(hole.offset + skip)
            pieces.append(self._file.read(step))
            if len(pieces[-1]) != step:
                raise WireError("the file became shorter while it was read")
            start, count, number = start + step, count - step, number + 1
        return b"".join(pieces)

    def steps(self) -> Iterator[bytes]:
        """Everything, in handy pieces."""
        for start in range(0, self.size_bytes, _STEP_BYTES):
            yield self.read(start, min(_STEP_BYTES, self.size_bytes - start))
