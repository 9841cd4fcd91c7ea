"""The vocabulary of trying out a device: what is looked at, and what can come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What is looked at, in the order in which a person goes through it."""

    PING = "ping"
    PORT = "port"
    TITLE_OUT = "title-out"
    """The device takes our AE title, and answers to its own."""
    ECHO = "echo"
    TITLE_IN = "title-in"
    """The device calls us by our title, and itself by the one that is listed."""
    WORKLIST = "worklist"
    STORE = "store"
    IDENTITY = "identity"
    """The picture says which exam it is of, as the worklist gave it."""
    NAMES = "names"
    """The test patient's name came back as it was given: the character set is right."""
    STEP = "mpps"
    COMMITMENT = "commitment"


class Outcome(StrEnum):
    """What was seen of a step."""

    FINE = "fine"
    FAILED = "failed"
    """Something has to be mended."""
    WAITING = "waiting"
    """A person has to do something at the device, or an answer is under way."""
    SKIPPED = "skipped"
    """It cannot be looked at here, and nothing depends on it."""
    WAIVED = "waived"
    """A person said that the device does not have it."""

    @property
    def is_settled(self) -> bool:
        return self not in (Outcome.FAILED, Outcome.WAITING)


WAIVABLE = frozenset({Step.ECHO, Step.WORKLIST, Step.IDENTITY, Step.NAMES, Step.STEP, Step.COMMITMENT})
"""What a device may lack and still be used; what it cannot store cannot be used at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One look at one step: what was seen, and what to do if it is not fine."""

    step: Step
    outcome: Outcome
    sentence: str
    hint: str = ""
