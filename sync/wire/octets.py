"""Reading and writing of the small numbers of both containers; no read goes beyond the bytes that are there."""

from __future__ import annotations

from collections.abc import Callable

from sync.wire.errors import WireError

_VARINT_BYTES_MAX = 9


def varint(number: int) -> bytes:
    """LEB128: seven bits a byte, least significant first, the high bit set on all but the last; 0 <= number < 2^63."""
    if not 0 <= number < 1 << 63:
        raise ValueError("a varint is a number from 0 below 2^63")
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def read_varint(read_byte: Callable[[], int]) -> int:
    """The number that ``varint`` wrote; only its shortest form is taken, so that equal parts have equal bytes.

    Raises:
        WireError: If it is longer than 9 bytes or not the shortest form.
    """
    number = 0
    for place in range(_VARINT_BYTES_MAX):
        byte = read_byte()
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if byte == 0 and place:
                break
            return number
    raise WireError("a number in the part is malformed")


class Octets:
    """A cursor over bytes in memory."""

    def __init__(self, data: bytes | memoryview, name: str) -> None:
        self._data = memoryview(data)
        self._name = name
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self.position

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes.

        Raises:
            WireError: If there are fewer.
        """
        if not 0 <= count <= self.left:
            raise WireError(f"the {self._name} ends too early")
        taken = self._data[self.position : self.position + count]
        self.position += count
        return taken

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self, most: int) -> int:
        """The next number.

        Raises:
            WireError: If it is malformed or larger than ``most``.
        """
        number = read_varint(self.byte)
        if number > most:
            raise WireError(f"the {self._name} declares {number} where {most} is the most that is taken")
        return number

    def rest(self) -> memoryview:
        """All that is left."""
        return self.take(self.left)

    def end(self) -> None:
        """Make sure that nothing is left.

        Raises:
            WireError: If something is.
        """
        if self.left:
            raise WireError(f"the {self._name} goes on for {self.left} bytes after its end")
