"""What happens on the demo's day: people are registered, a device sends, the link goes and comes, a report comes back.

Whatever is registered on the screen is photographed some seconds later, so a trainee sees every state to its end.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from appliance.cli.tui_demo.centre import DemoCentre
from appliance.cli.tui_demo.pictures import picture_of
from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.corrections.step import match_studies
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.domain.registration import Laterality, Order, PatientDetails, PersonName, Sex
from appliance.domain.values import Priority
from appliance.live import write_live
from appliance.power.leaving import read_leaving
from appliance.registration.desk import register_person, unit_words
from appliance.store.answers import NewAnswer, keep_answer
from appliance.store.commands import give_command
from appliance.store.connect import Store, open_unit
from appliance.store.intake import keep_instances
from appliance.store.quality import DueInstance, save_run
from appliance.store.registrations import RegistrationRow, list_registrations

TICK_S = 1.0
PICTURES_AFTER_TICKS = 8
REPORT_AFTER_TICKS = 12
DOWN_TICKS = range(25, 60)
"""The vehicle drives through a valley."""
PICTURE_COUNT = 2
EXAM_COUNT_MAX = 200


@dataclass(frozen=True, slots=True)
class Someone:
    """One person of the day, invented."""

    name: PersonName
    sex: Sex
    birth_date: str
    is_stat: bool = False
    finding: Finding | None = None


def _named(family: str, given: str, family_arabic: str = "", given_arabic: str = "") -> PersonName:
    return PersonName(family_latin=family, given_latin=given, family_arabic=family_arabic, given_arabic=given_arabic)


PEOPLE = (
    Someone(_named("Benali", "Amina", "بن علي", "أمينة"), Sex.FEMALE, "19840312", is_stat=True),
    Someone(
        _named("Haddad", "Youssef", "حداد", "يوسف"),
        Sex.MALE,
        "19710905",
        finding=Finding(CheckCode.LATERALITY_MISSING, Severity.WARNING, {"ordered": "L"}),
    ),
    Someone(_named("Dupont", "Marie-Thérèse"), Sex.FEMALE, "19561123"),
    Someone(
        _named("Traoré", "Ibrahim"),
        Sex.MALE,
        "20150630",
        finding=Finding(CheckCode.SPACING_MISSING, Severity.NOTICE, {}),
    ),
)
REPORT = {
    "author": "Dr. Okafor",
    "status": "final",
    "findings": "Lungs clear. Heart of usual size.",
    "impression": "No sign of tuberculosis.",
}


class Day:
    """One thread's; ``begin`` first."""

    def __init__(self, config: UnitConfig, clock: Clock, centre: DemoCentre, stop: threading.Event) -> None:
        self._config, self._clock, self._centre, self._stop = config, clock, centre, stop
        self._tick = 0
        self._seen_at_tick: dict[str, int] = {}
        self._complete_at_tick: dict[str, int] = {}
        self._reported: set[str] = set()
        self._findings = {one.name.family_latin: one.finding for one in PEOPLE if one.finding}

    def begin(self) -> None:
        """People are registered already when the screen opens."""
        with open_unit(self._config.unit_db, clock=self._clock) as db:
            for someone in PEOPLE:
                self._register(db, someone)
        self._say_alive(receiving_count=0)

    def run(self) -> None:
        """Until the screen ends."""
        with open_unit(self._config.unit_db, clock=self._clock) as db:
            while not self._stop.wait(TICK_S):
                self.step(db)

    def step(self, db: Store) -> None:
        """One second of the day."""
        self._tick += 1
        if self._tick in DOWN_TICKS:
            self._centre.is_down.set()
        else:
            self._centre.is_down.clear()
        due = self._due(db)
        self._say_alive(receiving_count=1 if due else 0)
        if due is not None:
            self._take_picture(db, *due)
        match_studies(db, ())
        self._report(db)

    def _register(self, db: Store, someone: Someone) -> None:
        details = PatientDetails(name=someone.name, sex=someone.sex, birth_date=someone.birth_date)
        stamp = db.stamp()
        order = Order(
            exam_code="XR-CHEST-PA",
            modality="DX",
            body_part="CHEST",
            description="Chest PA",
            laterality=Laterality.NONE,
            views="PA",
            priority=Priority.STAT if someone.is_stat else Priority.ROUTINE,
            scheduled_at=stamp.at,
        )
        register_person(db, stamp, unit_words(self._config), details, (), order, "demo")

    def _due(self, db: Store) -> tuple[RegistrationRow, int] | None:
        """The exam that the device is at, and its next picture; one picture a second."""
        for exam in list_registrations(db, limit=EXAM_COUNT_MAX):
            seen = self._seen_at_tick.setdefault(exam.registration_key, self._tick)
            sql = "SELECT count(*) FROM instance WHERE study_instance_uid = ?"
            number = int(db.value(sql, (exam.study_instance_uid,)))
            position = 1 + list(self._seen_at_tick).index(exam.registration_key) % len(PEOPLE)
            if number < PICTURE_COUNT and self._tick - seen >= PICTURES_AFTER_TICKS * position:
                return exam, number + 1
        return None

    def _take_picture(self, db: Store, exam: RegistrationRow, number: int) -> None:
        kept = picture_of(self._config, exam, number, db.stamp())
        names = [one.name for one in self._config.destination]
        keep_instances(db, db.stamp(), [kept], names, None)
        if exam.priority == Priority.STAT and number == 1:
            give_command(db, db.stamp(), "stat", exam.study_instance_uid, "demo")
        family = exam.patient_name.partition("^")[0]
        finding = self._findings.get(family) if number == 1 else None
        instance = kept.instance
        sql = "SELECT instance_id FROM instance WHERE sop_instance_uid = ?"
        instance_id = int(db.value(sql, (instance.sop_instance_uid,)))
        due = DueInstance(instance_id, instance.sop_instance_uid, instance.study_instance_uid, instance.received_at, 0)
        save_run(
            db,
            db.stamp(),
            due,
            checks_version=1,
            blob_uuid=instance.blob_uuid,
            order_digest="",
            outcome="checked",
            findings=[finding] if finding else [],
        )

    def _report(self, db: Store) -> None:
        """Some seconds after the centre has a whole study, somebody there has read it."""
        rows = db.rows(
            """SELECT study_instance_uid FROM instance GROUP BY study_instance_uid
                HAVING count(*) >= ? AND min(owed_count > 0 AND confirmed_count >= owed_count)""",
            (PICTURE_COUNT,),
        )
        for (uid,) in rows:
            since = self._complete_at_tick.setdefault(uid, self._tick)
            if uid not in self._reported and self._tick - since >= REPORT_AFTER_TICKS:
                self._reported.add(uid)
                answer_id = f"demo-{len(self._reported)}"
                new = NewAnswer(
                    answer_id=answer_id,
                    seq=len(self._reported),
                    kind="report",
                    body=json.dumps(REPORT),
                    study_instance_uid=uid,
                    subject_id=answer_id,
                    version=1,
                )
                keep_answer(db, db.stamp(), self._centre.name, "demo", new)

    def _say_alive(self, receiving_count: int) -> None:
        leaving = bool(read_leaving(self._config.run_dir, self._clock))
        door = {"receiving_count": receiving_count, "open_count": receiving_count, "is_leaving": leaving}
        for name, facts in (("gatekeeper", door), ("intake", {})):
            write_live(self._config.run_dir, name, dict(facts), self._clock)
