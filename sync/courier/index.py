"""The index of one unit's folder on a stick: signed lines, only ever appended; pure.

``<signature in base64> <statement in JSON>``, one a line. A line is written only after what it speaks of was flushed;
a line cut off by a pulled stick means nothing, and those before it stay good.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from sync.adapters.gateway.keys import is_signed
from sync.courier.errors import FormatError
from sync.courier.limits import CourierLimits
from sync.courier.messages import STATEMENT_CONTEXT, Begun, ParcelLine, Statement, Struck, Verified

_decoder: msgspec.json.Decoder[Statement] = msgspec.json.Decoder(Statement)


@dataclass(slots=True)
class Index:
    """What the lines say together.

    Attributes:
        stick: The id that the first readable line gave; empty while there is none.
        begun: The latest export; ``None`` on an empty stick.
        parcels: Those that stand, by number.
        number_last: The highest number ever given.
        verified: Nothing was added since everything was read back.
        strange_count: Lines that nobody with this key wrote; what they speak of does not count.
    """

    stick: str = ""
    begun: Begun | None = None
    parcels: dict[int, ParcelLine] = field(default_factory=dict)
    number_last: int = 0
    verified: bool = False
    strange_count: int = 0

    @property
    def size_bytes(self) -> int:
        """Of all parcels that stand."""
        return sum(line.size_bytes for line in self.parcels.values())

    def take(self, statement: Statement) -> None:
        """Add one line's meaning."""
        self.stick = self.stick or statement.stick
        match statement:
            case Begun():
                self.begun = statement
            case ParcelLine():
                self.parcels[statement.number] = statement
                self.number_last = max(self.number_last, statement.number)
                self.verified = False
            case Struck():
                self.parcels.pop(statement.number, None)
                self.number_last = max(self.number_last, statement.number)
            case Verified():
                self.verified = statement.parcel_count == len(self.parcels)

    def whole_instances(self) -> set[str]:
        """Keyed names of the instances all of whose pieces stand."""
        pieces: dict[tuple[str, str, int], set[int]] = {}
        for line in self.parcels.values():
            for held in line.holds:
                pieces.setdefault((held.instance, held.part, held.piece_count), set()).add(held.piece)
        return {name for (name, _, count), found in pieces.items() if found >= set(range(count))}

    def pieces_of(self, instance: str, part: str, piece_count: int) -> set[int]:
        """Which pieces of a cut instance stand."""
        return {
            held.piece
            for line in self.parcels.values()
            for held in line.holds
            if (held.instance, held.part, held.piece_count) == (instance, part, piece_count)
        }


def write_line(statement: Statement, sign: Callable[[bytes], bytes]) -> bytes:
    """One line with its end."""
    said = msgspec.json.encode(statement)
    return base64.b64encode(sign(STATEMENT_CONTEXT + said)) + b" " + said + b"\n"


def read_index(lines: Iterable[bytes], public_key: bytes, limits: CourierLimits) -> Index:
    """What the lines signed by this key say.

    Args:
        lines: Each with its end mark, if it has one.
        public_key: The unit's, 32 raw bytes.
        limits: Bounds.

    Raises:
        FormatError: If it is beyond a limit, or begun in a format that this release does not know.
    """
    index = Index()
    for line in lines:
        statement = _read_line(line, public_key, limits)
        if statement is None or (index.stick and statement.stick != index.stick):
            index.strange_count += 1
            continue
        if isinstance(statement, Begun) and statement.format != 1:
            raise FormatError(f"it is written in format {statement.format}, which this release does not know")
        index.take(statement)
        if len(index.parcels) > limits.parcel_count_max:
            raise FormatError(f"it lists more than {limits.parcel_count_max} parcels")
    return index


def _read_line(line: bytes, public_key: bytes, limits: CourierLimits) -> Statement | None:
    """``None`` for a line that this unit did not write, or that was cut off."""
    if len(line) > limits.index_line_bytes_max or not line.endswith(b"\n"):
        return None
    signature, _, said = line[:-1].partition(b" ")
    try:
        signed = is_signed(public_key, STATEMENT_CONTEXT + said, base64.b64decode(signature, validate=True))
        return _decoder.decode(said) if signed else None
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return None
