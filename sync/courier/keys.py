"""Who writes a stick: the unit's signature, its keyed names, and the key that answers are encrypted to."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from sync.courier.sealing import recipient_of

_NAMES_CONTEXT = b"qafila courier names v1\0"
_INSTANCE_DIGITS = 24
"""96 bits: two instances of one unit never meet by chance."""
_PART_DIGITS = 16


@dataclass(frozen=True, slots=True)
class UnitKeys:
    """A unit's secrets, as far as a stick needs them.

    Attributes:
        unit_id: UUID from enrolment.
        sign: Ed25519 over a message; 64 bytes.
        public_key: 32 raw bytes of its public half.
        names_key: Secret for keyed names; ``names_key_of``.
        reply_secret: age identity, for what the centre writes back.
    """

    unit_id: str
    sign: Callable[[bytes], bytes]
    public_key: bytes
    names_key: bytes
    reply_secret: str

    @property
    def reply_to(self) -> str:
        return recipient_of(self.reply_secret)

    def instance_name(self, sop_instance_uid: str, sha256: str) -> str:
        """What the index calls an instance: nobody else can tell from it which one it is, nor confirm a guess."""
        return self._keyed(f"instance\0{sop_instance_uid}\0{sha256}", _INSTANCE_DIGITS)

    def part_name(self, sha256: str) -> str:
        """What the index calls the coded pixels of an instance."""
        return self._keyed(f"part\0{sha256}", _PART_DIGITS)

    def _keyed(self, text: str, digits: int) -> str:
        return hmac.digest(self.names_key, text.encode("ascii"), "sha256").hex()[:digits]


def names_key_of(private_key: bytes) -> bytes:
    """The secret for keyed names, from the unit's private key (32 raw bytes): the same after every restart."""
    return hmac.digest(private_key, _NAMES_CONTEXT, "sha256")
