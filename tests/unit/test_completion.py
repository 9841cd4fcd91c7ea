"""When a study is complete: the rule by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.completion import Complete, CompletionRules, StudyFacts, completion_of
from appliance.domain.performed import StepState, registration_state

RULES = CompletionRules(quiet_s=600.0, quiet_s_by_modality={"US": 1800.0}, step_quiet_s=7200.0)
DONE = StudyFacts("DX", [StepState.COMPLETED], named_count=2, missing_count=0, unnamed_count=0, quiet_s=0.0)
RUNNING = replace(DONE, step_states=[StepState.IN_PROGRESS, StepState.COMPLETED])
WITHOUT_STEP = StudyFacts("DX", [], named_count=0, missing_count=0, unnamed_count=2, quiet_s=0.0)


def test_completed_step_whose_images_are_all_here_completes_at_once() -> None:
    assert completion_of(DONE, RULES) is Complete.STEPS


@pytest.mark.parametrize(
    "facts",
    [
        replace(DONE, missing_count=1),
        replace(DONE, unnamed_count=1),
        replace(DONE, named_count=0),
        WITHOUT_STEP,
        replace(WITHOUT_STEP, step_states=[StepState.DISCONTINUED]),
    ],
)
def test_otherwise_it_is_quiet_that_completes(facts: StudyFacts) -> None:
    assert completion_of(replace(facts, quiet_s=599.9), RULES) is None
    assert completion_of(replace(facts, quiet_s=600.0), RULES) is Complete.QUIET


def test_quiet_is_longer_where_examinations_pause() -> None:
    sono = replace(WITHOUT_STEP, modality="US")
    assert completion_of(replace(sono, quiet_s=1799.9), RULES) is None
    assert completion_of(replace(sono, quiet_s=1800.0), RULES) is Complete.QUIET


def test_study_stays_open_while_its_device_works_but_not_for_ever() -> None:
    assert completion_of(replace(RUNNING, quiet_s=7199.9), RULES) is None
    assert completion_of(replace(RUNNING, quiet_s=7200.0), RULES) is Complete.QUIET


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({StepState.IN_PROGRESS}, "in-progress"),
        ({StepState.COMPLETED}, "completed"),
        ({StepState.DISCONTINUED}, "discontinued"),
        ({StepState.COMPLETED, StepState.IN_PROGRESS}, "in-progress"),
        ({StepState.DISCONTINUED, StepState.IN_PROGRESS}, "in-progress"),
        ({StepState.DISCONTINUED, StepState.COMPLETED}, "completed"),
    ],
)
def test_registration_is_in_what_its_steps_are_in(states: set[StepState], expected: str) -> None:
    assert registration_state(states) == expected


def test_no_step_moves_no_registration() -> None:
    with pytest.raises(ValueError, match="no step"):
        registration_state(set())
