"""The bytes that unit and centre sign or authenticate, made in one place so that both sides agree.

Pure: keys and signatures are the callers' business. Every statement begins with the context of its kind, so that none
can be passed off as one of another kind.
"""

from __future__ import annotations

import hmac

from sync.wire.messages import ENROL_CONTEXT, RECEIPT_CONTEXT, SESSION_CONTEXT

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is taken for a digit."""
CODE_LENGTH = 16
CODE_ID_LENGTH = 4
"""The public beginning; the 12 characters after it are 60 secret bits, more than can be tried while it is valid."""
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


class CodeError(ValueError):
    """What was typed is no enrolment code."""


def plain_code(typed: str) -> str:
    """A one-time code as 16 characters, whatever the case, blanks and dashes it was typed with.

    Raises:
        CodeError: If it has another length or other characters.
    """
    code = "".join(c for c in typed.upper() if c not in " -\t\r\n").translate(_LOOKALIKES)
    if len(code) != CODE_LENGTH or any(c not in CODE_ALPHABET for c in code):
        raise CodeError("an enrolment code has 16 letters and digits, in four groups of four")
    return code


def shown_code(code: str) -> str:
    """``XXXX-XXXX-XXXX-XXXX``, for people to read out."""
    return "-".join(code[i : i + 4] for i in range(0, CODE_LENGTH, 4))


def code_id(code: str) -> str:
    """The part of a plain code that may be told (``EnrolRequest.code_id``)."""
    return code[:CODE_ID_LENGTH]


def unit_proof(code: str, unit_name: str, public_key: bytes) -> bytes:
    """``EnrolRequest.proof``: the unit knows the code, and this key and name are its own."""
    return _mac(code, b"unit" + unit_name.encode("utf-8") + b"\0" + public_key)


def centre_proof(code: str, unit_id: str, centre_key: bytes, unit_key: bytes, age_recipient: str) -> bytes:
    """``EnrolAnswer.proof``: the centre knows the code too, and this is its key for receipts.

    Keys are the 32 raw bytes of Ed25519 public keys.
    """
    said = unit_id.encode("ascii") + b"\0" + centre_key + unit_key + age_recipient.encode("ascii")
    return _mac(code, b"centre" + said)


def session_message(nonce: bytes, unit_id: str, lineage: str) -> bytes:
    """What a unit signs to open a session; ``nonce`` is the 32 bytes that the centre gave."""
    return SESSION_CONTEXT + nonce + unit_id.encode("ascii") + lineage.encode("utf-8")


def receipt_message(statement: bytes) -> bytes:
    """What the centre signs: the JSON bytes of a ``Receipt``, as they are sent."""
    return RECEIPT_CONTEXT + statement


def _mac(code: str, said: bytes) -> bytes:
    return hmac.digest(code.encode("ascii"), ENROL_CONTEXT + said, "sha256")
