"""The study page's way to a real unit: the functions of ``qafila reconcile``, ``correct``, ``split`` and their like.

What they make for the door waits there for the unit's quality process, which brings it through within seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.clock import Clock, local_day
from appliance.config import UnitConfig
from appliance.domain.registration import RegistrationState
from appliance.domain.wording import stored
from appliance.store.commands import open_unit
from tui.reader import ReadTrouble
from tui.unit_reader import WRITE_WAIT_S, as_trouble

if TYPE_CHECKING:  # its parts start the process that reads and writes DICOM
    from appliance.corrections.actions import Actions, Done
    from appliance.domain.registration import Patient
    from appliance.store.connect import Store
    from appliance.store.registrations import RegistrationRow

EXAM_COUNT_MAX = 200
EXAM_DAYS = 14
DAY_S = 86_400
PEOPLE_COUNT_MAX = 50


class UnitDesk:
    """Implements ``tui.services.Desk``; each call has a connection of its own."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def exams(self) -> tuple[RegistrationRow, ...]:
        """As the protocol says; of the last two weeks and to come."""
        from appliance.store.registrations import list_registrations

        since = local_day(self._clock.wall_s() - EXAM_DAYS * DAY_S)[0].replace("-", "")
        states = frozenset(RegistrationState) - {RegistrationState.CANCELLED}
        with self._reading() as db:
            found = list_registrations(db, from_date=since, states=states, limit=EXAM_COUNT_MAX)
        return tuple(sorted(found, key=lambda one: one.scheduled_at, reverse=True))

    def people(self, typed: str) -> tuple[Patient, ...]:
        """As the protocol says."""
        from appliance.registration.desk import find_person
        from appliance.store.patients import search_patients

        with self._reading() as db:
            return find_person(db, typed) or search_patients(db, typed, PEOPLE_COUNT_MAX)

    def patient_of(self, study_instance_uid: str) -> Patient | None:
        """As the protocol says."""
        from appliance.corrections.identity import belonging
        from appliance.corrections.problems import ActionRefused
        from appliance.store.matching import find_match

        with self._reading() as db:
            match = find_match(db, study_instance_uid)
            if match is None or not match.registration_key:
                return None
            try:
                return belonging(db, match.registration_key).patient
            except ActionRefused:
                return None

    def correct(
        self, study_instance_uid: str, values: Mapping[str, str], reason: str, actor: str, images: Sequence[str] = ()
    ) -> Done:
        """As the protocol says."""
        with self._acting() as actions:
            return actions.correct(study_instance_uid, values, reason, actor, images)

    def reconcile(self, study_instance_uid: str, registration_key: str, reason: str, actor: str) -> Done:
        """As the protocol says."""
        from appliance.corrections.identity import belonging

        with self._acting() as actions:
            return actions.reconcile(study_instance_uid, belonging(actions.db, registration_key), reason, actor)

    def split(
        self, study_instance_uid: str, images: Sequence[str], registration_key: str, reason: str, actor: str
    ) -> Done:
        """As the protocol says."""
        from appliance.corrections.identity import belonging
        from appliance.corrections.rejecting import split

        with self._acting() as actions:
            return split(actions, study_instance_uid, images, belonging(actions.db, registration_key), reason, actor)

    def reject(self, study_instance_uid: str, images: Sequence[str], reason_code: str, reason: str, actor: str) -> Done:
        """As the protocol says."""
        from appliance.corrections.rejecting import reject

        with self._acting() as actions:
            return reject(actions, study_instance_uid, images, reason_code, reason, actor)

    def merge(self, patient_key: str, into_key: str, reason: str, actor: str) -> tuple[Done, ...]:
        """As the protocol says."""
        with self._acting() as actions:
            return actions.merge(patient_key, into_key, reason, actor)

    def undo(self, action_id: int, actor: str) -> tuple[int, ...]:
        """As the protocol says."""
        with self._acting() as actions:
            return actions.undo(action_id, actor)

    @contextmanager
    def _reading(self) -> Iterator[Store]:
        from appliance.store.connect import open_reader

        with as_trouble(), open_reader(self._config.unit_db, clock=self._clock) as db:
            yield db

    @contextmanager
    def _acting(self) -> Iterator[Actions]:
        from appliance.corrections.actions import Actions
        from appliance.corrections.problems import ActionRefused
        from appliance.dicom.reviser import Reviser
        from appliance.stored import revision_dir

        with (
            as_trouble(),
            open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db,
            Reviser(revision_dir(self._config)) as reviser,
        ):
            try:
                yield Actions(self._config, db, reviser)
            except ActionRefused as refused:
                raise ReadTrouble(stored(refused.sentence)) from refused
