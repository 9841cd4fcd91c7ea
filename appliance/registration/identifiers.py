"""Numbers that the unit makes itself: accession numbers, patient IDs and Study Instance UIDs; pure.

Two offline units never meet: each number carries its unit's prefix. A database that was restored from a backup has
forgotten what it gave out since, so nothing is counted: each number is drawn, from more than 10**13, and drawn again
while the database or any image on the unit knows it. Even with 1,000 forgotten numbers and 100,000 new ones the chance
of one collision is below one in 100,000 (docs/decisions/0013-drawn-numbers.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O and U, which hands and eyes take for 1, 0 and V."""
DIGITS = ALPHABET[:10]
LETTERS = ALPHABET[10:]
PREFIX_CHARS_MAX = 6
DRAWN_CHARS = 9
_MISREAD = str.maketrans("ILOU", "110V")

Draw = Callable[[int], int]
"""A number from 0 to below the one given, all equally likely: ``secrets.randbelow``."""


def unit_prefix(unit_name: str) -> str:
    """What a unit's numbers begin with where the configuration names nothing; ``PREFIX_CHARS_MAX`` characters at most.

    The letters and digits of a short name (``van-07``: ``VAN07``); of a longer one the first two and a digest.
    """
    plain = "".join(char for char in unit_name.upper() if char.isascii() and char.isalnum())
    if 0 < len(plain) <= PREFIX_CHARS_MAX:
        return plain
    digest = hashlib.sha256(unit_name.encode()).digest()
    return plain[:2] + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[: PREFIX_CHARS_MAX - len(plain[:2])])


def new_accession_number(prefix: str, draw: Draw) -> str:
    """``<PREFIX>-`` and nine characters that begin with a digit; 16 at most, as VR SH allows."""
    return _drawn(prefix, DIGITS, draw)


def new_patient_id(prefix: str, draw: Draw) -> str:
    """``<PREFIX>-`` and nine characters that begin with a letter, so that nobody takes it for an accession number."""
    return _drawn(prefix, LETTERS, draw)


def new_study_instance_uid(random_uuid: UUID) -> str:
    """A UID made of a random UUID (PS3.5 section B.2)."""
    return f"2.25.{random_uuid.int}"


def as_typed(number: str) -> str:
    """One of our numbers as a person typed it, in the form it was made: upper case, and misread letters put right."""
    head, dash, tail = number.strip().upper().rpartition("-")
    return head + dash + tail.translate(_MISREAD)


def _drawn(prefix: str, first: str, draw: Draw) -> str:
    chars = [first[draw(len(first))], *(ALPHABET[draw(len(ALPHABET))] for _ in range(DRAWN_CHARS - 1))]
    return f"{prefix}-{''.join(chars)}"
