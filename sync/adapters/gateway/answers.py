"""What the centre's answers mean for one item; decided once, so that sending, announcing and proving agree."""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.failures import CATALOGUE, Failed, failure
from sync.wire.messages import PartInfo, PartState

SENTENCE_LENGTH_MAX = 300


def refused(sentence: str, code: str) -> Failure:
    """The centre refuses an item for good, in the centre's own words where it has any."""
    known = code in CATALOGUE and CATALOGUE[code].kind is FailureKind.PERMANENT
    ours = failure(code if known else "refused-by-centre")
    return Failure(ours.kind, ours.code, " ".join(sentence.split())[:SENTENCE_LENGTH_MAX] or ours.sentence)


def check_state(info: PartInfo, state: PartState) -> PartState:
    """The state, when it can be true.

    Raises:
        Failed: ``answer-contradicts`` when the centre claims more than the part has, or a whole part without its bytes.
    """
    too_much = state.offset > info.size_bytes
    hollow = state.complete and not state.not_needed and state.offset < info.size_bytes
    if too_much or hollow:
        raise Failed(failure("answer-contradicts"))
    return state
