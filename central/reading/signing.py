"""The signature under a report: Ed25519 by the centre's key over the statement's own bytes, account and time in them.

The bytes are kept as they were signed and never made anew, so no later release can spoil an old signature.
"""

from __future__ import annotations

import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from central.reading.model import Statement

CONTEXT = b"qafila report v1\0"
"""As in ``sync.wire.messages``: no receipt can be passed off as a report, nor the other way round."""


def sign(statement: Statement, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The statement's bytes and the signature over them."""
    content = msgspec.json.encode(statement)
    return content, key.sign(CONTEXT + content)


def verified(content: bytes, signature: bytes, public_key: bytes) -> Statement | None:
    """What was signed; ``None`` when this key (32 raw bytes) did not sign exactly these bytes.

    Raises:
        msgspec.MsgspecError: If they were signed and are no statement that this release knows.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, CONTEXT + content)
    except InvalidSignature:
        return None
    return msgspec.json.decode(content, type=Statement)


def chain_sha256(content: bytes) -> str:
    """How the next version names this one (``Statement.follows_sha256``)."""
    return hashlib.sha256(content).hexdigest()
