"""age as a stick needs it; pure but for its random bytes. Who wrote something is said by Ed25519 beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyrage

from sync.courier.errors import FormatError, NotForUs


def fingerprint(recipient: str) -> str:
    """What the index says of an age recipient: enough to see that it is another one."""
    return hashlib.sha256(recipient.encode("utf-8")).hexdigest()[:16]


def seal(plain: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypt to age X25519 recipients.

    Raises:
        ValueError: If there is none, or one of them is no age recipient.
    """
    if not recipients:
        raise ValueError("encrypting to nobody")
    try:
        known = [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]
    except pyrage.RecipientError as error:
        raise ValueError(f"not an age recipient: {error}") from error
    return bytes(pyrage.encrypt(plain, known))


def unseal(sealed: bytes, secret: str) -> bytes:
    """Decrypt with one age identity (``AGE-SECRET-KEY-1...``).

    Raises:
        NotForUs: If it is encrypted to others.
        FormatError: If it is damaged or no age file.
        ValueError: If ``secret`` is no age identity.
    """
    try:
        identity = pyrage.x25519.Identity.from_str(secret)
    except pyrage.IdentityError as error:
        raise ValueError("not an age identity") from error
    try:
        return bytes(pyrage.decrypt(sealed, [identity]))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise NotForUs("it is encrypted to another key") from error
        raise FormatError("its encryption is damaged") from error


def recipient_of(secret: str) -> str:
    """The public recipient of an age identity; raises ``ValueError`` for anything else."""
    try:
        return str(pyrage.x25519.Identity.from_str(secret).to_public())
    except pyrage.IdentityError as error:
        raise ValueError("not an age identity") from error


def recipient_of_text(text: str) -> str:
    """An age recipient as it stands in a configuration; raises ``ValueError`` with a sentence for anything else."""
    try:
        return str(pyrage.x25519.Recipient.from_str(text.strip()))
    except pyrage.RecipientError as error:
        # It may be the secret half, pasted by mistake: it is not shown.
        raise ValueError("What was given as a recipient is no age recipient") from error


def new_secret() -> str:
    """A new age identity."""
    return str(pyrage.x25519.Identity.generate())
