"""Completion of studies on a real database: what is counted, who says so, and what a late image does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from appliance.domain.completion import Complete, CompletionRules
from appliance.domain.performed import PerformedInstance, Purpose, StepContent, StepState
from appliance.services.completing import Completing
from appliance.store import performed
from appliance.store.completion import mark_complete, open_studies, read_completion, study_facts
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError
from appliance.store.intake import keep_instances
from appliance.store.rejections import reject_image
from appliance.store.revisions import add_correction
from tests.store.made import DIGITAL_XRAY, made_kept, made_stamp

STUDY = "1.2.3.1"
RULES = CompletionRules(quiet_s=600.0)


def keep(db: Store, *numbers: int) -> None:
    keep_instances(db, made_stamp(numbers[-1]), [made_kept(number) for number in numbers], ["centre"], None)


def report(db: Store, state: StepState, numbers: Sequence[int]) -> None:
    """A step of that study, created and, when it has ended, set."""
    made = tuple(PerformedInstance(f"{STUDY}.9", DIGITAL_XRAY, f"{STUDY}.9.{number}") for number in numbers)
    content = StepContent(
        StepState.IN_PROGRESS, "PPS", "XRAY1", "DX", "P1", "20261122093000", purposes=(Purpose(STUDY),)
    )
    ended = StepContent(state, "PPS", "XRAY1", "DX", "P1", "20261122093000", purposes=(Purpose(STUDY),), instances=made)
    with write(db):
        performed.create_step(db, made_stamp(), "1.7", "XRAY1", content, b"created")
        known = performed.find_step(db, "1.7")
        assert known is not None
        if state.is_final:
            performed.set_step(db, made_stamp(), known, "XRAY1", ended, b"set", b"whole")


def reason(db: Store) -> Complete | None:
    found = read_completion(db, STUDY)
    assert found is not None
    return found.reason


def test_new_study_is_open_and_completes_with_its_step(unit: Store) -> None:
    keep(unit, 1, 2)
    assert open_studies(unit) == (STUDY,)
    report(unit, StepState.COMPLETED, [1, 2])
    Completing(unit, RULES).step()
    assert reason(unit) is Complete.STEPS
    assert open_studies(unit) == ()


def test_study_waits_for_an_image_that_its_step_names(unit: Store) -> None:
    keep(unit, 1)
    report(unit, StepState.COMPLETED, [1, 2])
    Completing(unit, RULES).step()
    assert reason(unit) is None
    keep(unit, 2)
    Completing(unit, RULES).step()
    assert reason(unit) is Complete.STEPS


def test_rejected_image_that_no_step_names_keeps_no_study_open(unit: Store) -> None:
    keep(unit, 1, 2)
    report(unit, StepState.COMPLETED, [1])
    Completing(unit, RULES).step()
    assert reason(unit) is None
    with write(unit):
        action_id = add_correction(
            unit, made_stamp(), kind="reject", study_instance_uid=STUDY, before={}, after={}, reason="", actor="nurse"
        )
        reject_image(unit, made_stamp(), action_id, f"{STUDY}.9.2", "motion", "nurse")
    Completing(unit, RULES).step()
    assert reason(unit) is Complete.STEPS


def test_images_that_never_came_are_counted_when_quiet_ends_the_study(unit: Store) -> None:
    keep(unit, 1)
    report(unit, StepState.COMPLETED, [1, 2, 3])
    mark_complete(unit, made_stamp(700), STUDY, Complete.QUIET, actor="test")
    found = read_completion(unit, STUDY)
    assert found is not None
    assert (found.reason, found.missing_count) == (Complete.QUIET, 2)


def test_late_image_reopens_in_the_transaction_that_takes_it_in(unit: Store) -> None:
    keep(unit, 1)
    mark_complete(unit, made_stamp(5), STUDY, Complete.PERSON, actor="nurse", detail="patient has left")
    keep(unit, 2)
    found = read_completion(unit, STUDY)
    assert found is not None
    assert (found.reason, found.reopened_count) == (None, 1)
    moves = unit.rows("SELECT event, from_state, to_state, actor FROM journal WHERE subject = 'study' ORDER BY seq")
    assert moves == [
        ("complete (person)", "open", "complete", "nurse"),
        ("late image", "complete", "open", "intake"),
    ]


def test_complete_study_is_not_completed_again(unit: Store) -> None:
    keep(unit, 1)
    for why in (Complete.PERSON, Complete.QUIET):
        mark_complete(unit, made_stamp(5), STUDY, why, actor="test")
    assert reason(unit) is Complete.PERSON


def test_quiet_is_measured_on_the_monotonic_clock_and_from_the_start_of_a_later_boot(unit: Store) -> None:
    keep(unit, 1, 2)
    assert study_facts(unit, STUDY, made_stamp(30.0)).quiet_s == pytest.approx(128.0)
    assert study_facts(unit, STUDY, made_stamp(-60.0, boot_id="boot-2")).quiet_s == pytest.approx(40.0)


def test_unknown_study_is_refused(unit: Store) -> None:
    with pytest.raises(StoreError, match=r"no study 1\.404"):
        mark_complete(unit, made_stamp(), "1.404", Complete.PERSON, actor="test")


def test_step_that_has_ended_cannot_be_changed_by_anybody(unit: Store) -> None:
    keep(unit, 1)
    report(unit, StepState.COMPLETED, [1])
    for change in ("state = 'in-progress'", "data_set = x''", "dose = '{\"EntranceDose\": 1}'"):
        with pytest.raises(StoreError, match="has ended"), write(unit):
            unit.change(f"UPDATE performed_step SET {change}")
    with pytest.raises(StoreError, match="stays on record"), write(unit):
        unit.change("DELETE FROM performed_step")


def test_steps_are_found_by_study_and_by_what_they_made(unit: Store) -> None:
    keep(unit, 1)
    report(unit, StepState.COMPLETED, [1, 2])
    (step,) = performed.steps_of_study(unit, STUDY)
    assert (step.state, step.instance_count, step.arrived_count) == (StepState.COMPLETED, 2, 1)
    assert performed.unscheduled_steps(unit) == (step,)
    with write(unit):
        unit.change("UPDATE performed_for SET study_instance_uid = '1.9'")
    assert [found.step_uid for found in performed.steps_of_study(unit, STUDY)] == ["1.7"]
