"""What pages read and write through, beside the snapshot: one interface for each duty, given to the app when it starts.

A page whose service is missing says so and stays greyed in the menu. Every call may block, runs in a thread of
``tui.work`` and raises ``tui.reader.ReadTrouble`` with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from tui.glass import GlassKeyboard
from tui.graphics.canvas import Display
from tui.reader import ReadTrouble

if TYPE_CHECKING:  # the first paint does not wait for what only other pages need
    from appliance.corrections.actions import Done
    from appliance.domain.answers import UnitAnswer
    from appliance.domain.registration import Patient, PersonName
    from appliance.domain.rendered import Previews
    from appliance.domain.wording import Wording
    from appliance.health.check import Result
    from appliance.registration.catalogue import Catalogue
    from appliance.registration.counter import Result as Attempt
    from appliance.registration.duplicates import Likeness
    from appliance.registration.entry import Entry
    from appliance.store.courier import StickRow
    from appliance.store.people import Person, SignIn
    from appliance.store.registrations import RegistrationRow


class FieldTrouble(ReadTrouble):
    """One field of a form cannot be used so; ``proposal`` is a Latin spelling to look at."""

    def __init__(self, field: str, sentence: Wording, proposal: PersonName | None = None) -> None:
        super().__init__(sentence)
        self.field = field
        self.proposal = proposal


class Counter(Protocol):
    """Registers people and exams, and keeps what is being typed."""

    def exams(self) -> Catalogue:
        """What can be ordered."""
        ...

    def alike(self, entry: Entry) -> tuple[Likeness, ...]:
        """Known people who may be the one being typed, the likeliest first."""
        ...

    def register(self, entry: Entry, actor: str, *, is_emergency: bool, is_nobody_known: bool) -> Attempt:
        """Write it down; ``Attempt.alike`` when somebody has to look first.

        Raises:
            FieldTrouble: One field cannot be used so; nothing was written.
        """
        ...

    def keep_draft(self, entry: Entry) -> None:
        """Keep what is being typed through a crash; an empty form keeps nothing."""
        ...

    def draft(self) -> Entry:
        """What was being typed when the screen ended."""
        ...


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """What the unit is."""

    name: str
    version: str
    devices: tuple[tuple[str, str], ...]
    """AE title and, where it is known, when it sent last (UTC text)."""


class Health(Protocol):
    """The checks of ``qafila doctor``, one by one."""

    def facts(self) -> UnitFacts:
        """Name, version, devices."""
        ...

    def checks(self) -> tuple[str, ...]:
        """Names of the checks, in the order to read them."""
        ...

    def look(self, check: str) -> tuple[Result, ...]:
        """The answers of one check; one that fails itself answers ``unknown``."""
        ...


class People(Protocol):
    """Who may sign in; nobody listed: nobody has to."""

    def everybody(self) -> tuple[Person, ...]:
        """By name."""
        ...

    def sign_in(self, person_id: int, pin: str) -> SignIn:
        """Look at a PIN; the answer may be to wait."""
        ...

    def add(self, name: str, role: str, pin: str, actor: str) -> Person:
        """Let somebody sign in: the same functions as ``qafila people``; what is refused is a ``ReadTrouble``."""
        ...

    def change_pin(self, person: Person, pin: str, actor: str) -> None:
        """Give somebody another PIN."""
        ...

    def remove(self, person: Person, actor: str) -> None:
        """Let somebody sign in no more."""
        ...


class Desk(Protocol):
    """What people do about whose pictures these are: the same functions as ``qafila correct`` and its like.

    What is refused is a ``ReadTrouble``, and nothing was changed then.
    """

    def exams(self) -> tuple[RegistrationRow, ...]:
        """What pictures may belong to, the latest first."""
        ...

    def people(self, typed: str) -> tuple[Patient, ...]:
        """Standing records by name or number."""
        ...

    def patient_of(self, study_instance_uid: str) -> Patient | None:
        """Whose record the study belongs to, as far as that is clear."""
        ...

    def correct(
        self, study_instance_uid: str, values: Mapping[str, str], reason: str, actor: str, images: Sequence[str] = ()
    ) -> Done:
        """Other values in all pictures, or in some."""
        ...

    def reconcile(self, study_instance_uid: str, registration_key: str, reason: str, actor: str) -> Done:
        """The study belongs to that exam."""
        ...

    def split(
        self, study_instance_uid: str, images: Sequence[str], registration_key: str, reason: str, actor: str
    ) -> Done:
        """These pictures belong to that exam."""
        ...

    def reject(self, study_instance_uid: str, images: Sequence[str], reason_code: str, reason: str, actor: str) -> Done:
        """These pictures cannot be used."""
        ...

    def merge(self, patient_key: str, into_key: str, reason: str, actor: str) -> tuple[Done, ...]:
        """Two records are one person."""
        ...

    def undo(self, action_id: int, actor: str) -> tuple[int, ...]:
        """Take an action back."""
        ...


class Inbox(Protocol):
    """What people at the centre said."""

    def answers(self) -> tuple[UnitAnswer, ...]:
        """New ones first, critical ones before all."""
        ...

    def acknowledge(self, answer_id: str, by: str) -> bool:
        """Somebody has seen it; ``False`` when another one said so before."""
        ...


@dataclass(frozen=True, slots=True)
class Stick:
    """One that is plugged in and mounted."""

    path: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class CourierStep:
    """Where an export is: ``copying`` or ``checking``."""

    phase: str
    done_bytes: int
    total_bytes: int
    done_count: int
    total_count: int


@dataclass(frozen=True, slots=True)
class CourierEnd:
    """How a courier command ended: its exit code, its JSON, and its sentence when it could not do it."""

    exit_code: int
    facts: Mapping[str, Any]
    trouble: str = ""


class Courier(Protocol):
    """Studies on a USB stick; ``qafila courier``."""

    def sticks(self) -> tuple[Stick, ...]:
        """Those plugged in."""
        ...

    def carried(self) -> tuple[StickRow, ...]:
        """Those that carry something of this unit, the latest first."""
        ...

    def run(self, action: str, path: str, on_step: Callable[[CourierStep], None], stopped: Event) -> CourierEnd:
        """``export``, ``verify`` or ``import``; returns when it has ended, soon after ``stopped`` is set."""
        ...


class PowerOff(Protocol):
    """What is done before power goes."""

    @property
    def switches_off(self) -> bool:
        """Whether the machine is a unit and nothing else: ``off`` ends it."""
        ...

    def leave(self) -> None:
        """Nobody new is let in for the next seconds; to be said again every second."""
        ...

    def stay(self) -> None:
        """Power does not go after all."""
        ...

    def off(self) -> None:
        """Have the machine end: the same as its power key."""
        ...


HALF_CELLS = Display()


@dataclass(frozen=True, slots=True)
class Services:
    """All of them; tests give fakes of those they need."""

    counter: Counter | None = None
    health: Health | None = None
    people: People | None = None
    desk: Desk | None = None
    previews: Previews | None = None
    inbox: Inbox | None = None
    courier: Courier | None = None
    power: PowerOff | None = None
    display: Display = HALF_CELLS
    keyboard: GlassKeyboard = field(default_factory=GlassKeyboard)
    lock_after_s: int = 600
    """Of nobody pressing a key, where people sign in."""
