"""The last patient was still on the device: a picture that came while it was at work on somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.corrections.rejecting import split
from appliance.corrections.step import match_studies
from appliance.domain.performed import PerformedInstance, Purpose, StepContent, StepState
from appliance.registration.desk import Registered
from appliance.store import matching, performed
from appliance.store.connect import write
from tests.store.made import DIGITAL_XRAY, made_stamp
from tests.support.correcting import Desk, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def content(whose: Registered, state: StepState, named: str = "") -> StepContent:
    instances = (PerformedInstance("1.2.9", DIGITAL_XRAY, named),) if named else ()
    purpose = Purpose(whose.registration.study_instance_uid, whose.registration.accession_number)
    return StepContent(state, "P1", "XRAY", "DX", "", "20261122093000", purposes=(purpose,), instances=instances)


def begin(at: Desk, second: float, whose: Registered) -> None:
    step_uid = f"1.9.{whose.registration.study_instance_uid[-9:]}"
    performed.create_step(
        at.db, made_stamp(second), step_uid, "XRAY", content(whose, StepState.IN_PROGRESS), b"created"
    )


def end(at: Desk, second: float, whose: Registered, named: str = "") -> None:
    known = performed.find_step(at.db, f"1.9.{whose.registration.study_instance_uid[-9:]}")
    assert known is not None
    done = content(whose, StepState.COMPLETED, named)
    performed.set_step(at.db, made_stamp(second), known, "XRAY", done, b"set", b"whole")


def arrives(at: Desk, second: float, whose: Registered) -> str:
    return came(at, second, at.picture(whose))


def came(at: Desk, second: float, uid: str) -> str:
    with write(at.db):
        at.db.change("UPDATE instance SET received_at = ? WHERE sop_instance_uid = ?", (made_stamp(second).at, uid))
    return uid


def exceptions(at: Desk) -> list[str]:
    match_studies(at.db)
    return [one.exception for one in matching.exceptions(at.db)]


def test_picture_of_the_next_patient_stays_an_exception_when_that_exam_is_done_too(at: Desk) -> None:
    first, second = at.register("BENALI", "Fatima"), at.register("ALAMI", "Omar")
    begin(at, 10, first)
    end(at, 20, first, arrives(at, 15, first))
    begin(at, 30, second)
    wrong = arrives(at, 40, first)
    assert exceptions(at) == ["patient-switched"]
    end(at, 50, second)
    assert exceptions(at) == ["patient-switched"]
    split(at.actions, first.registration.study_instance_uid, [wrong], at.whose(second), "still on the screen", "amina")
    assert exceptions(at) == []


def test_late_picture_is_no_exception_when_its_own_step_named_it_or_nobody_was_examined(at: Desk) -> None:
    first, second = at.register("BENALI", "Fatima"), at.register("ALAMI", "Omar")
    begin(at, 10, first)
    named = at.picture(first)
    end(at, 20, first, named)
    begin(at, 30, second)
    came(at, 40, named)
    assert exceptions(at) == []
    end(at, 50, second)
    arrives(at, 60, first)
    assert exceptions(at) == []


def test_exam_that_an_emergency_was_leaves_the_worklist_with_its_reconciliation_and_comes_back_with_its_undo(
    at: Desk,
) -> None:
    emergency, real = at.register("TEMP", "1"), at.register("CHERKAOUI", "Hicham")
    study = emergency.registration.study_instance_uid
    begin(at, 10, emergency)
    end(at, 20, emergency, arrives(at, 15, emergency))
    done = at.actions.reconcile(study, at.whose(real), "card seen", "amina")
    assert states(at, emergency, real) == ["completed", "completed"]
    assert [step.registration_keys for step in performed.steps_of_study(at.db, study)] == [
        (real.registration.registration_key,)
    ]
    at.actions.undo(done.action_id, "amina")
    assert states(at, emergency, real) == ["completed", "scheduled"]
    assert [step.registration_keys for step in performed.steps_of_study(at.db, study)] == [
        (emergency.registration.registration_key,)
    ]


def states(at: Desk, *those: Registered) -> list[str]:
    return [str(at.whose(one).registration.state) for one in those]
