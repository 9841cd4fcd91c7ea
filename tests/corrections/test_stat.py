"""What was registered as STAT is STAT when it arrives, until a person says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.corrections.step import hurry_what_was_ordered_so, match_studies
from appliance.domain.values import Priority
from appliance.registration.desk import Registered, register_exam, unit_words
from appliance.store.commands import give_command, open_commands
from tests.store.made import made_stamp
from tests.support.correcting import Desk, desk


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def urgent(at: Desk) -> Registered:
    """A second exam of a known person, urgent."""
    known = at.register("BENALI", "Fatima")
    order = replace(known.registration.order, priority=Priority.STAT)
    return register_exam(at.db, made_stamp(), unit_words(at.config), known.patient.patient_key, order, "amina")


def wishes(at: Desk, *hold: str) -> list[tuple[str, str, str]]:
    match_studies(at.db, hold)
    hurry_what_was_ordered_so(at.db, hold)
    return [(one.kind, one.study_instance_uid, one.reason) for one in open_commands(at.db)]


def test_study_of_an_urgent_exam_is_hurried_once_and_without_a_reason(at: Desk) -> None:
    ordered = urgent(at)
    at.picture(ordered)
    study = ordered.registration.study_instance_uid
    assert wishes(at) == [("stat", study, "")]
    assert wishes(at) == [("stat", study, "")]
    give_command(at.db, at.db.stamp(), "routine", study, "amina")
    assert [kind for kind, _, _ in wishes(at)] == ["stat", "routine"]


def test_study_of_a_routine_exam_is_not_hurried(at: Desk) -> None:
    at.picture(at.register("BENALI", "Fatima"))
    assert wishes(at) == []


def test_doubt_that_the_policy_holds_is_hurried_only_once_a_person_decided(at: Desk) -> None:
    ordered = urgent(at)
    at.picture(ordered, PatientName="SAIDI^Omar")
    study = ordered.registration.study_instance_uid
    assert [kind for kind, _, _ in wishes(at, "name-differs")] == ["hold"]
    at.actions.reconcile(study, at.whose(ordered), "asked", "amina")
    assert ("stat", study, "") in wishes(at, "name-differs")
