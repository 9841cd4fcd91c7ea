"""The day, step by step: what people and devices do, in their order, with what each of them must see.

Every step may be broken off and done again, as people and devices do it; the day is the same however often that is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from tests.integration.unit_day.console import Console
from tests.integration.unit_day.people import BY_KEY, PEOPLE, SONO, WHO_IT_WAS, XRAY, Person
from tests.integration.unit_day.pictures import Picture, echo, film, other_pixels
from tests.integration.unit_day.stage import Stage
from tests.support.world import wait_for

DESK_COUNT = 2
ARRIVE_S_MAX = 300.0
CORRECTED = "Thorax de face, couché"
"""With an accent: a film of the ASCII station becomes UTF-8 by it."""


@dataclass(slots=True)
class Day:
    """What happened so far.

    Attributes:
        registered: The answer of ``qafila register``, by person.
        pictures: Everything a device made, by key.
    """

    stage: Stage
    registered: dict[str, dict[str, Any]] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    items: dict[str, Dataset] = field(default_factory=dict)
    refusal: str = ""
    xray: Console = field(init=False)
    sono: Console = field(init=False)

    def __post_init__(self) -> None:
        self.xray = Console(self.stage, XRAY, "DX")
        self.sono = Console(self.stage, SONO, "US", "ISO_IR 192")

    def steps(self) -> dict[str, Callable[[], None]]:
        """The offline day and its end, in order, by name."""
        simple = (
            "benali",
            "alaoui",
            "haddad",
            "dupont",
            "emergency",
            "berrada",
            "tazi",
            "ouazzani",
            "bennani",
            "smith",
        )
        examined = {f"examine-{key}": self._examining(key) for key in simple}
        return {
            "register": self.register,
            "worklists": self.worklists,
            **examined,
            "wrong-patient": self.wrong_patient,
            "duplicate": self.duplicate,
            "commit": self.commit,
            "split": self.split,
            "reconcile": self.reconcile,
            "correct": self.correct,
            "link": self.give_link,
            "reject": self.reject_after_arrival,
        }

    # --- at the desk

    def register(self) -> None:
        """Twelve people, by two desks at a time."""
        with ThreadPoolExecutor(DESK_COUNT) as desks:
            for person, answer in zip(PEOPLE, desks.map(self._register, PEOPLE), strict=True):
                self.registered[person.key] = answer

    def _register(self, person: Person) -> dict[str, Any]:
        return self.stage.at_unit(*person.words())

    def accession(self, key: str) -> str:
        return str(self.registered[key]["registration"]["accession_number"])

    def study(self, key: str) -> str:
        return str(self.registered[key]["registration"]["study_instance_uid"])

    # --- at the devices

    def worklists(self) -> None:
        """Each device sees its own people, in the letters it can read."""
        for console, title in ((self.xray, XRAY), (self.sono, SONO)):
            found = console.worklist()
            mine = {person.key: self.accession(person.key) for person in PEOPLE if person.station == title}
            assert set(found) == set(mine.values())
            self.items.update({key: found[accession] for key, accession in mine.items()})
        for key, item in self.items.items():
            person = BY_KEY[key]
            name = str(item.PatientName)
            if person.station == XRAY:
                assert "SpecificCharacterSet" not in item
                assert name.isascii()
            else:
                assert item.SpecificCharacterSet == "ISO_IR 192"
                arabic = f"{person.family_ar}^{person.given_ar}" if person.family_ar else ""
                assert name.partition("=")[2] == arabic
            assert item.PatientBirthDate == person.birth_date.replace("-", "")

    def _examining(self, key: str) -> Callable[[], None]:
        return lambda: self._examine(key)

    def _examine(self, key: str) -> None:
        """A whole exam: in progress, pictures, completed."""
        console = self.console(key)
        step = console.begin(self.items[key])
        made = self._expose(key)
        console.send(*made)
        console.end(step, *made)

    def console(self, key: str) -> Console:
        return self.xray if BY_KEY[key].station == XRAY else self.sono

    def _expose(self, key: str) -> list[Picture]:
        """What the device makes in this exam."""
        if BY_KEY[key].station == SONO:
            return [self._made(key, lambda folder, name: echo(folder, name, self.items[key], self._example(key)))]
        views = ("PA", "LL") if key == "haddad" else ("AP",) if key == "emergency" else ("PA",)
        return [self._film(f"{key}-{view.lower()}", key, view) for view in views]

    @staticmethod
    def _example(key: str) -> str:
        return "ybr_color" if key == "smith" else "rgb_color"

    def _film(self, name: str, whose: str, view: str = "PA") -> Picture:
        seed = 1 + len(self.pictures)
        return self._made(name, lambda folder, key: film(folder, key, self.items[whose], seed, view))

    def _made(self, name: str, make: Callable[..., Picture]) -> Picture:
        self.pictures[name] = make(self.stage.pictures, name)
        return self.pictures[name]

    def wrong_patient(self) -> None:
        """The next patient is under way, and the device still had the last one."""
        first = self.xray.begin(self.items["idrissi"])
        right = self._film("idrissi-pa", "idrissi")
        self.xray.send(right)
        self.xray.end(first, right)
        second = self.xray.begin(self.items["mansouri"])
        self.xray.send(self._film("mansouri-as-idrissi", "idrissi"))
        proper = self._film("mansouri-pa", "mansouri")
        self.xray.send(proper)
        self.xray.end(second, proper)

    def duplicate(self) -> None:
        """Other pixels under a SOP Instance UID that is here; then the same film once more, which does no harm."""
        first = self.pictures["dupont-pa"]
        other = self._made("dupont-other", lambda folder, key: other_pixels(folder, key, first))
        self.refusal = self.xray.send_in_vain(other)
        self.xray.send(first)

    def commit(self) -> None:
        """Each device asks for all that it sent, and may delete its own copies then."""
        for console, title in ((self.xray, XRAY), (self.sono, SONO)):
            stations = {key: BY_KEY[key.partition("-")[0]].station for key in self.pictures}
            mine = [
                picture
                for key, picture in self.pictures.items()
                if stations[key] == title and not key.startswith("dupont")
            ]
            console.commit(*mine)
            assert console.worklist() == {}, "every exam is done"

    # --- people look, offline still

    def split(self) -> None:
        """The wrong patient's film is found, and goes to the patient it is of."""
        assert not self.stage.unit.confirmed_uids(), "something arrived without a link"
        found = self.exceptions()
        assert {(one["study_instance_uid"], one["exception"]) for one in found} == {
            (self.study("idrissi"), "patient-switched")
        }
        wrong = self.pictures["mansouri-as-idrissi"].sop_instance_uid
        why = ("--reason", "still on the screen")
        self.stage.at_unit("split", self.study("idrissi"), self.accession("mansouri"), "--image", wrong, *why)

    def exceptions(self) -> list[dict[str, Any]]:
        """What waits for a person."""
        found: list[dict[str, Any]] = self.stage.at_unit("exceptions", needs_person=True)["exceptions"]
        return found

    def reconcile(self) -> None:
        """Somebody brought the emergency's papers."""
        self.registered[WHO_IT_WAS.key] = self._register(WHO_IT_WAS)
        why = ("--reason", "identity card seen")
        self.stage.at_unit("reconcile", self.study("emergency"), self.accession(WHO_IT_WAS.key), *why)

    def correct(self) -> None:
        """A description was wrong, in all pictures; and a view, in one of two."""
        why = ("--reason", "as it was done")
        self.stage.at_unit("correct", self.study("berrada"), f"StudyDescription={CORRECTED}", *why)
        lateral = self.pictures["haddad-ll"].sop_instance_uid
        self.stage.at_unit("correct", self.study("haddad"), "ViewPosition=RL", "--image", lateral, *why)

    # --- the link

    def give_link(self) -> None:
        """Everything that is owed arrives."""
        self.stage.link.restore()
        wait_for(self.settled, "everything at the centre", ARRIVE_S_MAX)

    def settled(self) -> bool:
        """Whether nothing is owed, untold, or to be made or checked; every study is complete and knows whose it is."""
        count = """SELECT (SELECT count(*) FROM outbox WHERE state NOT IN ('confirmed', 'rejected')),
            (SELECT count(*) FROM outbox WHERE revision_id <> wanted_revision_id),
            (SELECT count(*) FROM made_object WHERE withdrawn_at = ''
                AND sop_instance_uid NOT IN (SELECT sop_instance_uid FROM instance)),
            (SELECT count(*) FROM command WHERE finished_at = ''),
            (SELECT count(*) FROM study_completion WHERE state = 'open'),
            (SELECT count(*) FROM study WHERE study_instance_uid NOT IN (SELECT study_instance_uid FROM study_match)),
            (SELECT count(*) FROM instance WHERE instance_id NOT IN (
                SELECT instance_id FROM quality_run WHERE outcome <> 'due')),
            (SELECT count(*) FROM study_note AS n LEFT JOIN study_note_told AS t USING (study_instance_uid)
                WHERE t.change_number IS NOT n.change_number)"""
        return self.stage.unit.query(count) == [(0, 0, 0, 0, 0, 0, 0, 0)]

    def reject_after_arrival(self) -> None:
        """A film that has arrived cannot be used: the centre is told by a rejection note."""
        moved = self.pictures["haddad-pa"].sop_instance_uid
        self.stage.at_unit("reject", self.study("haddad"), "motion", "--image", moved)
        notes = "SELECT count(*) FROM made_object WHERE role = 'rejection-note' AND stored_at <> ''"
        wait_for(lambda: self.stage.unit.query(notes) == [(1,)] and self.settled(), "the note", ARRIVE_S_MAX)

    def come_to_rest(self) -> None:
        """Unit and centre run, and nothing is owed."""
        wait_for(lambda: self.stage.unit.ready, "the unit to be ready")
        wait_for(self.stage.centre.answers, "the centre's PACS to answer")
        wait_for(self.settled, "everything at the centre", ARRIVE_S_MAX)
