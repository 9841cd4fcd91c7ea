"""PINs: what may be one, its hash, and how long a wrong one makes everybody wait; pure but for the salt.

A PIN of six digits keeps a patient's relative from the screen, not a thief from the disk: that is encrypted. scrypt at
16 MB makes each guess cost about 50 ms, and the wait after wrong ones outlives a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from itertools import pairwise

from appliance.domain.wording import Wording, told
from appliance.registration.folding import ascii_digits

PIN_DIGITS_MIN, PIN_DIGITS_MAX = 4, 12
FREE_COUNT = 3
"""So many wrong PINs cost nothing: gloves."""
WAIT_S_MAX = 900
_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16


class PinRefusedError(ValueError):
    """This can be no PIN; the text is a sentence."""

    def __init__(self, sentence: Wording) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def checked(typed: str) -> str:
    """The PIN in ASCII digits, whatever script it was typed in.

    Raises:
        PinRefusedError: It is none, or one that everybody tries first.
    """
    pin = ascii_digits(typed.strip())
    if not (pin.isascii() and pin.isdigit() and PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX):
        raise PinRefusedError(
            told("A PIN has {low} to {high} digits and nothing else.", low=PIN_DIGITS_MIN, high=PIN_DIGITS_MAX)
        )
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        raise PinRefusedError(told("This PIN is one that everybody tries first; choose another."))
    return pin


def hashed(pin: str, salt: bytes | None = None) -> str:
    """``scrypt$n$r$p$salt$hash`` of a PIN."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.scrypt(pin.encode(), salt=salt, n=_N, r=_R, p=_P)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${digest.hex()}"


def matches(typed: str, kept: str) -> bool:
    """Whether the typed PIN is the one that was hashed; a hash that cannot be read fits nothing."""
    try:
        _, n, r, p, salt, digest = kept.split("$")
        made = hashlib.scrypt(
            ascii_digits(typed.strip()).encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p)
        )
        return hmac.compare_digest(made, bytes.fromhex(digest))
    except ValueError:
        return False


def wait_s(failed_count: int) -> int:
    """Seconds after the last wrong PIN before the next is looked at: none, then 5, 10, 20, ... up to a bound."""
    beyond = failed_count - FREE_COUNT
    return 0 if beyond < 0 else min(5 * 2 ** min(beyond, 16), WAIT_S_MAX)
