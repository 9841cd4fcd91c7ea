"""When a study is complete: what its device says decides, else how long nothing came; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.domain.performed import StepState


class Complete(StrEnum):
    """Why a study counts as complete."""

    STEPS = "steps"
    """The device said that it was done, and every image it named is here."""
    QUIET = "quiet"
    """Nothing came for so long as is usual for its modality."""
    PERSON = "person"
    """The technologist said so."""


@dataclass(frozen=True, slots=True)
class CompletionRules:
    """How long is quiet, in seconds on the monotonic clock."""

    quiet_s: float = 600.0
    quiet_s_by_modality: Mapping[str, float] = field(default_factory=dict)
    step_quiet_s: float = 4 * 3600.0
    """While a step is in progress: a device that was switched off never says that it has ended."""


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What is known of an open study."""

    modality: str
    step_states: Collection[StepState]
    named_count: int
    """Instances that its completed steps name."""
    missing_count: int
    """Of them not here."""
    unnamed_count: int
    """Instances here that no completed step names, though a device made them and nobody rejected them."""
    quiet_s: float
    """Since the last instance came; monotonic."""


def completion_of(facts: StudyFacts, rules: CompletionRules) -> Complete | None:
    """Why the study is complete now; ``None`` while it is open.

    A completed step decides at once when it names all that is here and all that it names is here. Otherwise (no step,
    images lost on the way, images that no step names) the study is complete after its quiet time.
    """
    is_in_progress = StepState.IN_PROGRESS in facts.step_states
    is_accounted_for = facts.named_count > 0 and facts.missing_count == 0 and facts.unnamed_count == 0
    if is_accounted_for and not is_in_progress:
        return Complete.STEPS
    usual_s = rules.quiet_s_by_modality.get(facts.modality, rules.quiet_s)
    wait_s = max(usual_s, rules.step_quiet_s) if is_in_progress else usual_s
    return Complete.QUIET if facts.quiet_s >= wait_s else None
