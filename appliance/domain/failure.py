"""What went wrong, decided once where it happened: permanent or transient, with a sentence for the operator.

A transient failure is retried for ever; a permanent one sets the item aside for a person. Nothing is guessed later.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Who can mend it."""

    LINK = "link"
    """The way to the destination: every item waits, the link is tried again."""

    TRANSIENT = "transient"
    """This item, this time (busy, full, timed out): tried again with back-off."""

    PERMANENT = "permanent"
    """The destination refuses this item for good, or its bytes are damaged here: a person decides."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure as a value.

    Attributes:
        kind: Decides what the core does next.
        code: Short stable identifier (``http-503``, ``dimse-a700``, ``digest-mismatch``); documented in
            ``docs/reference/failures.md``.
        sentence: What happened, in words for a nurse; no code, no patient identity.
        retry_after_s: Seconds the destination asked us to wait, if it did.
    """

    kind: FailureKind
    code: str
    sentence: str
    retry_after_s: float | None = None
