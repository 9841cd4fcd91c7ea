"""What people are told of a stick: what happened, what is safe, what to do now (``ux.md`` 7 and 15); pure."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.domain.sentences import counted, duration_range, size, studies
from sync.adapters.base import SendItem
from sync.courier.errors import StickError, StickFault
from sync.courier.export import Ending, Outcome, Phase, Progress

REMOVE = "✓ You can remove the stick"
WAIT = "✖ Do not remove the stick"
UNTOUCHED = "Nothing is lost: every study is still on this unit."
AGAIN = "run the same command again: it goes on where it ended."
PROGRESS_SHARE_MIN = 0.02
"""An estimate from less than this share of the work would jump about."""

_FAULTS = {
    StickFault.FULL: f"There is no room on the stick. {UNTOUCHED} Make room on it or take another one.",
    StickFault.READ_ONLY: (
        f"The stick is write-protected, or its file system was found damaged. {UNTOUCHED} "
        "Look for a switch on the stick, or take another one."
    ),
    StickFault.GONE: (
        f"The stick stopped answering: it was pulled out, or it is broken. {UNTOUCHED} Put it in again and {AGAIN} "
        "If it happens again, take another stick."
    ),
    StickFault.DAMAGED: (
        f"The stick's file system is damaged. {UNTOUCHED} Take another stick, or have this one formatted."
    ),
    StickFault.DENIED: (
        f"This user may not write on the stick. {UNTOUCHED} Ask the administrator to mount it for this user."
    ),
    StickFault.STRANGE: (
        f"Something else stands where our folder on the stick should be. {UNTOUCHED} "
        "Take another stick, or have this one formatted."
    ),
}


def trouble(error: StickError) -> str:
    """Why an export ended before its time."""
    return _FAULTS[error.fault]


def ending(outcome: Outcome) -> str:
    """The last lines of an export."""
    carried = _how_much(outcome.carried)
    match outcome.ending:
        case Ending.LIES:
            return (
                "✖ The stick does not give back what was just written on it: it is counterfeit or broken. "
                f"{UNTOUCHED} Do not use this stick again; take another one."
            )
        case Ending.STOPPED:
            return (
                f"Stopped. What was copied stays on the stick, but it was not checked. {UNTOUCHED} "
                f"You can remove the stick; to finish it, {AGAIN}"
            )
        case Ending.FULL:
            first = f"The stick is full: {_sentence(carried)} on it, and {_how_much(outcome.left_out)} found no room."
            rest = "Take another stick for the rest, with --skip-carried."
        case Ending.DONE:
            first = f"{_sentence(carried)} on it, encrypted for the centre and read back."
            rest = "They stay on this unit until the centre's receipt comes."
    told = [f"{REMOVE}.", first, *_damaged(outcome), *_failed(outcome), rest]
    return " ".join(told)


def progress(step: Progress, passed_s: float) -> str:
    """``Copying: 3 of 12 images, 45 % (12 of 27 MB), 4-7 min left``.

    Args:
        step: Where it is.
        passed_s: Monotonic seconds since this phase began.
    """
    share = step.done_bytes / step.total_bytes if step.total_bytes else 1.0
    told = f"{share * 100:.0f} % ({size(step.done_bytes)} of {size(step.total_bytes)})"
    left = ""
    if PROGRESS_SHARE_MIN <= share < 1:
        left = f", {duration_range(passed_s * (1 - share) / share)} left"
    if step.phase is Phase.CHECKING:
        return f"Checking what is on the stick: {told}{left}"
    return f"Copying: {step.done_count} of {counted(step.total_count, 'image', 'images')}, {told}{left}"


def _how_much(items: Sequence[SendItem]) -> str:
    images = counted(len(items), "image", "images")
    return f"{images} of {studies(len({item.study_instance_uid for item in items}))}"


def _sentence(carried: str) -> str:
    return f"{carried} {'is' if carried.startswith('1 ') else 'are'}"


def _damaged(outcome: Outcome) -> list[str]:
    if not outcome.damaged_count:
        return []
    return ["Part of what an earlier export wrote had been lost on the stick; it was written again."]


def _failed(outcome: Outcome) -> list[str]:
    if not outcome.failed:
        return []
    reasons = list(dict.fromkeys(failure.sentence for _, failure in outcome.failed))
    images = counted(len(outcome.failed), "image is", "images are")
    return [f"{images} not on it: {' '.join(reasons)}"]
