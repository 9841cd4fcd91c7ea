"""Fields of a JPEG XL codestream, least significant bit first (ISO/IEC 18181-1, annex B)."""

from __future__ import annotations

from sync.wire.errors import WireError

_WINDOW_BYTES = 64


class Bits:
    """A cursor over the bits of a codestream; small windows of it are held as numbers, never all of it."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._position = 0

    @property
    def byte_position(self) -> int:
        """The first whole byte that is not read yet."""
        return (self._position + 7) // 8

    def take(self, count: int) -> int:
        """An unsigned number of ``count`` bits, at most 64.

        Raises:
            WireError: If the stream ends before that.
        """
        if self._position + count > 8 * len(self._data):
            raise WireError("a JPEG XL picture ends in its head")
        first, shift = divmod(self._position, 8)
        window = int.from_bytes(self._data[first : first + _WINDOW_BYTES], "little")
        self._position += count
        return window >> shift & (1 << count) - 1

    def flag(self) -> bool:
        """One bit."""
        return self.take(1) == 1

    def choice(self, *ways: tuple[int, int]) -> int:
        """U32: one of four offsets, each with a count of further bits."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)

    def enumerated(self) -> int:
        """Enum."""
        return self.choice((0, 0), (1, 0), (2, 4), (18, 6))

    def large(self) -> int:
        """U64; what is above 272 is refused, because nothing here needs it."""
        selector = self.take(2)
        if selector == 3:
            raise WireError("a JPEG XL picture has a field of an unknown kind")
        offset, count = ((0, 0), (1, 4), (17, 8))[selector]
        return offset + self.take(count)

    def align(self) -> None:
        """To the next whole byte."""
        self._position = 8 * self.byte_position

    def skip_bytes(self, count: int) -> None:
        """Over ``count`` bytes, from a whole byte on.

        Raises:
            WireError: If the stream ends before that.
        """
        self._position += 8 * count
        if self._position > 8 * len(self._data):
            raise WireError("a JPEG XL picture is cut off")
