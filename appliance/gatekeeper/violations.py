"""What the gatekeeper refuses, what it answers, and how it says so to a person; one table, decided once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CANNOT_UNDERSTAND = 0xC000
OUT_OF_RESOURCES = 0xA700
"""C-STORE failures (PS3.4 table B.2-1)."""


class Answer(StrEnum):
    """What the modality gets."""

    REJECT = "reject"
    """A-ASSOCIATE-RJ."""
    REFUSE = "refuse"
    """A C-STORE-RSP with a failure for this object; the association and its other objects go on."""
    ABORT = "abort"
    """A-ABORT: what follows on this connection can no longer be trusted, or would cost too much to read."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of violation is answered and told."""

    answer: Answer
    sentence: str = ""
    """For people; ``{who}`` is the calling AE title. Empty: counted and logged, but nobody needs to act."""
    status: int = CANNOT_UNDERSTAND
    """Of a refused object."""
    is_kept: bool = False
    """Whether the refused object goes into quarantine."""


RULES: dict[str, Rule] = {
    # the association
    "unknown-calling-ae-title": Rule(
        Answer.REJECT,
        "A device that calls itself {who} wants to send but is not on this unit's list. If it is yours, have it added.",
    ),
    "wrong-called-ae-title": Rule(
        Answer.REJECT,
        "The device {who} calls this unit by a wrong AE title. Have the title corrected on the device.",
    ),
    "wrong-application-context": Rule(Answer.REJECT),
    "wrong-protocol-version": Rule(Answer.REJECT),
    "too-many-connections": Rule(Answer.REJECT),
    "switching-off": Rule(Answer.REJECT),
    "orthanc-unavailable": Rule(Answer.REJECT),
    "orthanc-rejects": Rule(Answer.REJECT),
    "services-unavailable": Rule(Answer.REJECT),
    "services-rejects": Rule(Answer.REJECT),
    "handshake-too-slow": Rule(Answer.ABORT),
    "displaced": Rule(Answer.ABORT),
    # the data set: its message is well framed, so the rest of it can be read past and answered
    "object-truncated": Rule(
        Answer.REFUSE,
        "An image from {who} arrived cut off. It was refused and set aside; send it again from the device.",
        is_kept=True,
    ),
    "object-malformed": Rule(
        Answer.REFUSE,
        "An image from {who} is damaged inside. It was refused and set aside; send it again, then call service.",
        is_kept=True,
    ),
    "sequence-depth": Rule(
        Answer.REFUSE,
        "An image from {who} is nested deeper than any real one. It was refused and set aside; call service.",
        is_kept=True,
    ),
    "element-count": Rule(
        Answer.REFUSE,
        "An image from {who} holds more elements than any real one. It was refused and set aside; call service.",
        is_kept=True,
    ),
    "inflate-limit": Rule(
        Answer.REFUSE,
        "An image from {who} unpacks to far more than was sent. It was refused and set aside; call service.",
        is_kept=True,
    ),
    "no-room": Rule(
        Answer.REFUSE,
        "There is no room for an image from {who}. It was refused and is still on the device; free space, then resend.",
        status=OUT_OF_RESOURCES,
    ),
    # the rest of an object beyond its bound would be gigabytes read for nothing
    "object-too-large": Rule(
        Answer.ABORT,
        "An image from {who} is larger than this unit can take. It was refused; free space or send it another way.",
    ),
    # the framing: nothing after it means anything
    "pdu-too-long": Rule(Answer.ABORT),
    "pdu-malformed": Rule(Answer.ABORT),
    "pdu-unexpected": Rule(Answer.ABORT),
    "command-malformed": Rule(Answer.ABORT),
    # time
    "pdu-too-slow": Rule(Answer.ABORT),
    "idle": Rule(Answer.ABORT),
    "association-too-long": Rule(Answer.ABORT),
    "peer-not-reading": Rule(Answer.ABORT),
    # ours
    "orthanc-not-answering": Rule(
        Answer.ABORT,
        "The image store of this unit did not answer {who}. What was confirmed is safe; send the rest again.",
    ),
    "services-not-answering": Rule(Answer.ABORT),
    "shutting-down": Rule(Answer.ABORT),
}


class ViolationError(Exception):
    """What was received breaks a rule.

    Attributes:
        code: A key of ``RULES``.
        detail: Numbers and places for the service person; never data from the object.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail

    @property
    def rule(self) -> Rule:
        return RULES[self.code]


@dataclass(frozen=True, slots=True)
class Violation:
    """One refusal with who and what it was about, for findings and live facts; UIDs and titles only."""

    code: str
    detail: str
    peer: str
    """IP address."""
    calling_ae_title: str = ""
    sop_instance_uid: str = ""
    file_name: str = ""
    """In the quarantine folder, when the bytes were kept."""
