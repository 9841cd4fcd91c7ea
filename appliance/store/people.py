"""People who may sign in; every change and every wrong PIN writes a journal row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.sentences import seconds_of
from appliance.people import pins
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp


class Role(StrEnum):
    """What somebody may do: a supervisor also does what is hard to reverse."""

    TECHNOLOGIST = "technologist"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Person:
    """One who may sign in; never with the PIN or its hash."""

    person_id: int
    name: str
    role: Role
    added_at: str

    @property
    def actor(self) -> str:
        """As the journal names them."""
        return f"person:{self.person_id}"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What came of a PIN: the person, or how many seconds nothing is looked at."""

    person: Person | None
    wait_s: int = 0


_COLUMNS = "person_id, name, role, added_at"


def list_people(db: Store) -> tuple[Person, ...]:
    """Everybody who may sign in, by name."""
    rows = db.rows(f"SELECT {_COLUMNS} FROM person WHERE removed_at = '' ORDER BY name")  # noqa: S608 - our columns
    return tuple(Person(row[0], row[1], Role(row[2]), row[3]) for row in rows)


def find_person(db: Store, name: str) -> Person | None:
    """One of them by name, whatever the case."""
    return next((one for one in list_people(db) if one.name.casefold() == name.casefold()), None)


def add_person(db: Store, stamp: Stamp, name: str, role: Role, pin: str, actor: str) -> Person:
    """Somebody new.

    Raises:
        StoreError: ``refused`` when somebody of that name may sign in already.
    """
    kept = pins.hashed(pin)
    with write(db):
        if find_person(db, name) is not None:
            raise StoreError(StoreFault.REFUSED, "Somebody of that name is there already")
        person_id = _enter(db, stamp, name, role, kept, actor)
    return Person(person_id, name, role, stamp.at)


def add_first(db: Store, stamp: Stamp, name: str, role: Role, pin_hash: str, actor: str) -> bool:
    """Somebody whose PIN was hashed elsewhere, where nobody was ever listed; ``False`` where somebody was."""
    with write(db):
        if db.value("SELECT count(*) FROM person"):
            return False
        _enter(db, stamp, name, role, pin_hash, actor)
    return True


def _enter(db: Store, stamp: Stamp, name: str, role: Role, pin_hash: str, actor: str) -> int:
    person_id = db.insert(
        "INSERT INTO person (name, role, pin_hash, added_at) VALUES (?, ?, ?, ?)", (name, role, pin_hash, stamp.at)
    )
    _note(db, stamp, person_id, "added", actor, to_state=role)
    return person_id


def remove_person(db: Store, stamp: Stamp, person_id: int, actor: str) -> None:
    """They sign in no more; what they did stays theirs."""
    with write(db):
        if db.change("UPDATE person SET removed_at = ? WHERE person_id = ? AND removed_at = ''", (stamp.at, person_id)):
            _note(db, stamp, person_id, "removed", actor)


def set_pin(db: Store, stamp: Stamp, person_id: int, pin: str, actor: str) -> None:
    """Another PIN; what was tried wrongly is forgotten."""
    kept = pins.hashed(pin)
    with write(db):
        db.change(
            "UPDATE person SET pin_hash = ?, failed_count = 0, failed_at = '' WHERE person_id = ?", (kept, person_id)
        )
        _note(db, stamp, person_id, "pin", actor)


def sign_in(db: Store, stamp: Stamp, person_id: int, typed: str) -> SignIn:
    """Look at a PIN, unless too many were wrong just now; the count is in the database and outlives a restart.

    A clock that was set back does not lock anybody out for longer than ``pins.WAIT_S_MAX``.

    Raises:
        StoreError: ``refused`` when nobody of that number may sign in.
    """
    row = db.row(
        "SELECT name, role, added_at, pin_hash, failed_count, failed_at FROM person"
        " WHERE person_id = ? AND removed_at = ''",
        (person_id,),
    )
    if row is None:
        raise StoreError(StoreFault.REFUSED, "nobody of that number may sign in")
    name, role, added_at, kept, failed_count, failed_at = row
    left_s = _left_s(failed_count, seconds_of(failed_at), stamp.wall_s)
    if left_s > 0:
        return SignIn(None, left_s)
    right = pins.matches(typed, kept)
    with write(db):
        if right:
            db.change("UPDATE person SET failed_count = 0, failed_at = '' WHERE person_id = ?", (person_id,))
        else:
            db.change(
                "UPDATE person SET failed_count = failed_count + 1, failed_at = ? WHERE person_id = ?",
                (stamp.at, person_id),
            )
        _note(db, stamp, person_id, "signed-in" if right else "wrong-pin", f"person:{person_id}")
    if right:
        return SignIn(Person(person_id, name, Role(role), added_at))
    return SignIn(None, pins.wait_s(failed_count + 1))


def _left_s(failed_count: int, failed_s: float | None, now_s: float) -> int:
    """Seconds until a PIN is looked at again."""
    if failed_s is None:
        return 0
    passed_s = now_s - failed_s
    wait_s = pins.wait_s(failed_count)
    return 0 if passed_s >= wait_s else min(int(wait_s - passed_s) + 1, wait_s)


def _note(db: Store, stamp: Stamp, person_id: int, event: str, actor: str, to_state: str = "") -> None:
    journal.append(db, stamp, subject="person", subject_id=str(person_id), event=event, actor=actor, to_state=to_state)
