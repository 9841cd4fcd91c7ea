"""Ed25519 as the gateway's protocol uses it: the unit signs nonces, and knows the centre's signature."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


def new_key() -> bytes:
    """A private key as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """The key in a PEM file.

    Raises:
        ValueError: If it is none, or of another kind.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a plain private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of its public half."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of ``public_key`` (32 bytes) signed ``message``."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def to_base64(raw: bytes) -> str:
    """As messages carry it."""
    return b64encode(raw).decode("ascii")


def from_base64(text: str) -> bytes:
    """Empty for what is no Base64: no key and no signature is empty."""
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return b""
