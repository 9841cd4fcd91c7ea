"""Which parts go first when room is needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum


class Claim(IntEnum):
    """How good a reason there is to keep parts; the lowest go first."""

    DELIVERED = 0
    NOBODY = 1
    """Neither wished for now nor ever offered."""
    WISHED = 2
    OFFERED = 3
    """A destination may have a piece: making them again costs only time, but exactly these bytes are needed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the order depends on."""

    sha256: str
    kept_bytes: int
    claim: Claim
    rank: int = 0
    """Among wishes: 0 is needed first."""
    used_number: int = 0


def leaving_order(kept: Iterable[Kept], most: Claim) -> Iterator[Kept]:
    """Those with a claim of at most ``most`` in the order of leaving: of wishes the last, else the longest unused.

    Parts without bytes on disk are left out: their going helps nobody.
    """
    leaving = [each for each in kept if each.claim <= most and each.kept_bytes]
    return iter(sorted(leaving, key=lambda each: (each.claim, -each.rank, each.used_number)))
