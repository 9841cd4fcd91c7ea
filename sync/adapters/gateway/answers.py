"""What the centre's answers mean; decided once, so that sending, announcing and proving agree."""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.failures import CATALOGUE, Failed, failure
from sync.adapters.gateway.flow import Answer
from sync.adapters.web import retry_after_s
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


def refusal_of(answer: Answer, backoff_s_max: float) -> Failure:
    """What a refusal means for what was asked; the unit itself was let in."""
    status = answer.status
    if status == 507:
        return failure("http-507", retry_after_s(answer.headers, backoff_s_max))
    if status in (400, 413, 415):
        return failure(f"http-{status}")
    if status in (404, 405) and answer.media_type != "application/problem+json":
        return failure("not-gateway")
    if status >= 500:
        return failure("http-500", retry_after_s(answer.headers, backoff_s_max))
    return failure("http-4xx" if status >= 400 else "answer-unusable")
