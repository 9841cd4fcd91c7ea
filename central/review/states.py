"""Where a study is, in one word; pure. People see it in this order, and each word is only said when it is true."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """From first to last; ``problem`` can come at any time."""

    ANNOUNCED = "announced"
    """The unit told of it; nothing that can be looked at is here."""
    PREVIEW = "preview"
    """A preview is here, and nothing of the images themselves."""
    ARRIVING = "arriving"
    CHECKING = "checking"
    """All bytes are here; images are handed to the PACS and read back."""
    COMPLETE = "complete"
    """Every image that the unit named, or said to have, was read back from the PACS and compared."""
    PROBLEM = "problem"
    """An image was refused; people have to look, and the others go on."""
    READ = "read"


RANK_STAT, RANK_ROUTINE, RANK_READ = 0, 1, 2
SETTLED = (State.COMPLETE.value, State.PROBLEM.value, State.READ.value)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the gateway's tables say of a study; corrected contents are not counted."""

    image_count: int
    expected_count: int
    whole_count: int
    """Images whose parts are all here."""
    verified_count: int
    refused_count: int
    preview_count: int
    size_bytes: int
    here_bytes: int
    """Of ``size_bytes``, as far as its parts are here."""
    arrived_at: str | None
    """When the last of its images was verified."""


def percent_of(facts: Facts) -> int:
    """How much of the study is here, 0 to 100; 100 only when all of it is."""
    awaited = max(facts.expected_count, facts.image_count)
    if not awaited:
        return 0
    if facts.whole_count >= awaited:
        return 100
    share = facts.here_bytes / facts.size_bytes if facts.size_bytes else 0.0
    return min(99, int(100 * share * facts.image_count / awaited))


def state_of(facts: Facts, read_at: str | None) -> State:
    """The word for it. Images that come after somebody read the study make it unread again."""
    awaited = max(facts.expected_count, facts.image_count)
    if facts.refused_count:
        return State.PROBLEM
    if facts.image_count and facts.verified_count >= awaited:
        return State.READ if read_at and read_at >= (facts.arrived_at or "") else State.COMPLETE
    if facts.image_count and facts.whole_count >= awaited:
        return State.CHECKING
    if facts.here_bytes > 0:
        return State.ARRIVING
    return State.PREVIEW if facts.preview_count else State.ANNOUNCED


def rank_of(state: State, *, stat: bool) -> int:
    """Urgent ones first; what is read last."""
    if state is State.READ:
        return RANK_READ
    return RANK_STAT if stat else RANK_ROUTINE
