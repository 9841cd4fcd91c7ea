"""What the first boot hands over is taken in once, whenever power goes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance import handed
from appliance.people import first, pins
from appliance.store.connect import Store, migrate, open_unit
from appliance.store.people import Role, list_people, remove_person, sign_in
from tests.support.clocks import ManualClock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    person = handed.FirstPerson(name="Amina", pin_hash=pins.hashed("730164"))
    folder = tmp_path / "handed"
    folder.mkdir()
    (folder / handed.SUPERVISOR).write_bytes(msgspec.json.encode(person))
    return folder


@pytest.fixture
def db(tmp_path: Path) -> Store:
    migrate(tmp_path / "unit.db", tmp_path / "door.db")
    return open_unit(tmp_path / "unit.db", clock=ManualClock())


def test_supervisor_of_the_first_boot_may_sign_in(db: Store, folder: Path) -> None:
    first.take_in(db, folder)
    (person,) = list_people(db)
    assert (person.name, person.role) == ("Amina", Role.SUPERVISOR)
    assert sign_in(db, db.stamp(), person.person_id, "730164").person == person
    assert sign_in(db, db.stamp(), person.person_id, "730165").person is None
    assert not (folder / handed.SUPERVISOR).exists()


def test_supervisor_is_one_person_when_power_goes_before_the_file_does(
    db: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path) -> None:
        raise OSError(5, "power went")

    with monkeypatch.context() as cutting, pytest.raises(OSError, match="power went"):
        cutting.setattr(handed, "remove", cut)
        first.take_in(db, folder)
    first.take_in(db, folder)
    assert [person.name for person in list_people(db)] == ["Amina"]
    assert not (folder / handed.SUPERVISOR).exists()


def test_supervisor_who_was_removed_does_not_come_back_with_the_file(db: Store, folder: Path) -> None:
    kept = (folder / handed.SUPERVISOR).read_bytes()
    first.take_in(db, folder)
    remove_person(db, db.stamp(), list_people(db)[0].person_id, "test")
    (folder / handed.SUPERVISOR).write_bytes(kept)
    first.take_in(db, folder)
    assert list_people(db) == ()


def test_file_that_cannot_be_read_locks_nobody_out(db: Store, folder: Path) -> None:
    (folder / handed.SUPERVISOR).write_text("{", encoding="utf-8")
    first.take_in(db, folder)
    assert list_people(db) == ()
    assert not (folder / handed.SUPERVISOR).exists()


def test_code_is_tried_at_once_and_then_every_minute(tmp_path: Path) -> None:
    clock = ManualClock()
    waits = handed.CodeWaits(tmp_path, clock)
    assert not waits.is_wanted()
    handed.give_code(tmp_path, "ABCD-EFGH-JKMN-PQRS")
    assert waits.is_wanted()
    assert not waits.is_wanted()
    clock.advance(handed.TRY_AGAIN_S)
    assert waits.is_wanted()
    handed.settle_code(tmp_path, "The centre does not accept this code.")
    assert not waits.is_wanted()
    assert handed.refusal(tmp_path) == "The centre does not accept this code."
    handed.give_code(tmp_path, "ABCD-EFGH-JKMN-PQRT")
    assert waits.is_wanted()
    assert (handed.code(tmp_path), handed.refusal(tmp_path)) == ("ABCD-EFGH-JKMN-PQRT", "")
