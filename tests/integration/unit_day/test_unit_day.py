"""The calm day: everything goes at once, and all of it arrives as it was sent or as it was corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from tests.integration.unit_day.arriving import COPY, NOTE, SET_ASIDE, WRONG, arrived, faults_of, made_uids
from tests.integration.unit_day.conformance import dciodvfy, explained
from tests.integration.unit_day.day import Day
from tests.integration.unit_day.people import PEOPLE
from tests.integration.unit_day.stage import open_stage
from tests.integration.unit_day.state import State, final_state
from tests.integration.unit_day.two_days import calm_day, compare, day_with_kills
from tests.support.orthancs import orthanc_commands

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
]
ORTHANCS = orthanc_commands()
SEED = 1


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A day that has come to its end, on the first Orthanc that is here."""
    with open_stage(tmp_path_factory.mktemp("day") / "calm", ORTHANCS[0]) as stage:
        day = Day(stage)
        for step in day.steps().values():
            step()
        yield day


@pytest.fixture(scope="module")
def state(day: Day) -> State:
    return final_state(day)


def test_everything_is_at_the_centre_as_sent_or_as_corrected(day: Day, state: State) -> None:
    faults = {one.key: faults for one in arrived(day) if (faults := faults_of(one))}
    assert faults == {}
    expected = {one.sop_instance_uid for one in arrived(day)} | {made_uids(day)[NOTE]}
    assert day.stage.centre.centre.holdings() == dict.fromkeys(expected, 1)
    assert set(state["files"].values()) == {(1, True)}, "another file than the unit owes"


def test_reader_is_told_what_was_asked_for_every_study_and_that_all_was_looked_at(state: State) -> None:
    told = {row[0]: row for row in state["notes"]}
    assert told.keys() == {row[0] for row in state["studies"]}
    assert {asked for _, asked, _, _ in told.values()} & {"", "nothing"} == set()
    counted = Counter(row[1] for row in state["images"] if row[5] == "None")
    assert {uid: int(row[2]) for uid, row in told.items()} == counted


def test_every_exam_is_done_every_study_clear_and_what_is_urgent_is_known_to_be(state: State) -> None:
    done = {f"study_instance_uid of {person.key}": person for person in PEOPLE}
    urgent = {study for study, person in done.items() if person.is_stat}
    assert {row[:2] for row in state["registrations"]} == {
        *((study, "completed") for study in done),
        ("study_instance_uid of cherkaoui", "completed"),
    }
    assert {row[:2] for row in state["steps"]} == {(study, "completed") for study in done}
    assert {(row[0], row[5], *row[6:]) for row in state["studies"]} == {
        (study, "stat" if study in urgent else "routine", "complete", "steps") for study in done
    }
    whose = {row[0]: row[1:5] for row in state["studies"]}
    emergency = whose.pop("study_instance_uid of emergency")
    assert emergency == ("registration_key of cherkaoui", "reconciled", "person", "")
    assert whose == {
        study: (f"registration_key of {person.key}", "matched", "study-uid", "")
        for study, person in done.items()
        if not person.is_emergency
    }
    assert set(state["announced"]) == {(study, "stat" if study in urgent else "routine", True) for study in done}


def test_what_was_set_aside_stays_here_with_its_reason(state: State) -> None:
    rows = {row[0]: row for row in state["images"]}
    assert {key: row[5] for key, row in rows.items() if row[5] != "None"} == SET_ASIDE
    assert {key for key, row in rows.items() if row[3] != "confirmed"} == {WRONG}
    assert WRONG not in state["files"]
    assert {row[2] for row in rows.values()} == {"present"}
    assert rows[COPY][1] == "study_instance_uid of mansouri"
    assert state["quarantine"] == [("dupont-pa", "conflict")]
    assert state["refusal"] == "Error: CannotUnderstand"


def test_every_device_was_told_that_it_may_delete_its_pictures(state: State) -> None:
    assert state["commitments"] == ["('SONO', 'delivered', 4, 4)", "('XRAY', 'delivered', 9, 9)"]


def test_dcmtk_and_pynetdicom_find_nothing_wrong_with_what_is_answered(day: Day) -> None:
    assert day.stage.said == []


@pytest.mark.skipif(not which("dciodvfy"), reason="dciodvfy (Debian's dicom3tools) is not installed")
def test_dciodvfy_finds_nothing_wrong_with_what_is_made_that_is_not_explained(day: Day, tmp_path: Path) -> None:
    """What arrives of a device's picture has no complaint that the device's own file had not."""
    complaints = {one.key: dciodvfy(one.content, tmp_path) - dciodvfy(one.sent, tmp_path) for one in arrived(day)}
    complaints[NOTE] = dciodvfy(day.stage.centre.centre.file(made_uids(day)[NOTE]), tmp_path)
    assert {key: found for key, found in complaints.items() if found - explained()} == {}
    of_devices = {line for one in arrived(day) for line in dciodvfy(one.sent, tmp_path)}
    assert of_devices <= explained()


def test_day_on_which_every_process_is_killed_once_ends_in_the_same_state(state: State, tmp_path: Path) -> None:
    """On the newest Orthanc that is here, so that both versions are seen to end alike."""
    killed, killer = day_with_kills(tmp_path / "killed", ORTHANCS[-1], 1, SEED)
    assert killer.missed == []
    assert compare(state, killed) == []


@pytest.mark.slow
@pytest.mark.parametrize("orthanc", ORTHANCS, ids=lambda command: Path(command).name)
@pytest.mark.parametrize("seed", [SEED + 1, SEED + 2])
def test_day_with_many_kills_ends_in_the_same_state(orthanc: str, seed: int, tmp_path: Path) -> None:
    calm = calm_day(tmp_path / "calm", orthanc)
    killed, _ = day_with_kills(tmp_path / "killed", orthanc, 3, seed)
    assert compare(calm, killed) == []
