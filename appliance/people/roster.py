"""Changes to who may sign in: what ``qafila people`` and the page *People* of the screen both do, and refuse.

On an appliance there is no other way to the list, so somebody who may change it must always be on it.
"""

from __future__ import annotations

from appliance.domain.wording import Wording, told
from appliance.people import NAME_CHARS_MAX, pins
from appliance.registration.folding import clean
from appliance.store.connect import Store, write
from appliance.store.people import Person, Role, add_person, find_person, list_people, remove_person, set_pin
from appliance.store.stamp import Stamp


class PeopleRefusedError(ValueError):
    """It cannot be so, and nothing was changed; the text is a sentence, the code is for programs."""

    def __init__(self, code: str, sentence: Wording) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def add(db: Store, stamp: Stamp, name: str, role: Role, pin: str, actor: str) -> Person:
    """Let somebody sign in.

    Raises:
        PeopleRefusedError: No name, a name that is taken, a bad PIN, or nobody would be a supervisor.
    """
    name = clean(name)
    if not name or len(name) > NAME_CHARS_MAX:
        raise PeopleRefusedError("no-name", told("A name has 1 to {count} characters.", count=NAME_CHARS_MAX))
    checked = _checked(pin)
    if find_person(db, name) is not None:
        raise PeopleRefusedError("name-taken", told("{name} may sign in already.", name=name))
    if role is not Role.SUPERVISOR and not _supervisors(db):
        raise PeopleRefusedError(
            "no-supervisor", told("The first person has to be a supervisor, or nobody could add another one.")
        )
    return add_person(db, stamp, name, role, checked, actor)


def remove(db: Store, stamp: Stamp, person: Person, actor: str) -> None:
    """Let somebody sign in no more.

    Raises:
        PeopleRefusedError: Others would stay, and none of them a supervisor.
    """
    with write(db):
        if len(list_people(db)) > 1 and [one.person_id for one in _supervisors(db)] == [person.person_id]:
            raise PeopleRefusedError(
                "no-supervisor", told("{name} is the only supervisor; add another one first.", name=person.name)
            )
        remove_person(db, stamp, person.person_id, actor)


def change_pin(db: Store, stamp: Stamp, person: Person, pin: str, actor: str) -> None:
    """Give somebody another PIN; whatever was tried wrongly is forgotten.

    Raises:
        PeopleRefusedError: It can be no PIN.
    """
    set_pin(db, stamp, person.person_id, _checked(pin), actor)


def _supervisors(db: Store) -> list[Person]:
    return [one for one in list_people(db) if one.role is Role.SUPERVISOR]


def _checked(pin: str) -> str:
    try:
        return pins.checked(pin)
    except pins.PinRefusedError as error:
        raise PeopleRefusedError("pin-refused", error.sentence) from error
