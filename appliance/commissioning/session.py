"""One commissioning of one device, begun, taken up again and brought to its end; everything seen is written down.

A test patient is registered for the device alone, as any other is, so that worklist, pictures, steps and commitment go
the way that they will go every day; what is stored for it is withheld from every destination.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from appliance.clock import Clock, utc_text
from appliance.commissioning import judging
from appliance.commissioning.heard import baseline_of, heard_since
from appliance.commissioning.judging import Seen, TestNames
from appliance.commissioning.reach import Reached
from appliance.config import ModalityTable, UnitConfig, blob_path
from appliance.dicom.header import HeaderError, HeaderReader
from appliance.domain.commissioning import Looked, Outcome, Step
from appliance.domain.registration import (
    OPEN_STATES,
    Identifier,
    IdentifierKind,
    Order,
    PatientDetails,
    PersonName,
    Registration,
    RegistrationState,
    Sex,
)
from appliance.live import read_live
from appliance.registration.desk import local_time, register_exam, register_person, unit_words
from appliance.store import commissioning, registrations
from appliance.store.commissioning import Record, TestPicture
from appliance.store.connect import Store, write
from appliance.store.findings import open_kinds, open_subjects
from appliance.store.patients import patients_with_number
from appliance.store.withheld import clear_used, withhold

EXAM_CODE = "QAFILA-TEST"
TEST_NUMBER = Identifier("QAFILA", "DEVICE-TEST", IdentifierKind.OTHER)
"""What the one test patient of a unit is found again by."""
TEST_PATIENT = PatientDetails(
    # An accent that ISO 8859-1 has and ASCII has not, and an Arabic group: what comes back shows what the device reads.
    name=PersonName(family_latin="ESSAI", given_latin="ÉQUIPEMENT", family_arabic="تجربة", given_arabic="جهاز"),
    sex=Sex.OTHER,
    birth_date="20000101",
)
_DESCRIPTIONS = {"fr": "Essai de l'appareil", "en": "Device test"}
_BODY_PARTS = {"US": "ABDOMEN"}
_ANY_BODY_PART = "CHEST"
DEFAULT_MODALITY = "DX"
WRONGLY_CALLED, UNKNOWN_CALLER = "door-wrong-called-ae-title", "door-unknown-calling-ae-title"
"""Kinds of the gatekeeper's findings."""


@dataclass
class Session:
    """Over an open database; ``record`` is what stands in it."""

    config: UnitConfig
    db: Store
    device: ModalityTable
    clock: Clock
    record: Record
    _names: dict[str, TestNames | None] = field(init=False, default_factory=dict)
    """By blob, so that each test picture is read once."""

    @property
    def is_open(self) -> bool:
        return self.record.state == "open"

    @property
    def exam(self) -> Registration:
        """The newest test exam."""
        found = registrations.find_registration(self.db, self.record.exams[-1])
        assert found is not None, "rows of registration are never deleted"
        return found

    @property
    def last_peer(self) -> str:
        """From where the device called last; empty when the gatekeeper does not know."""
        facts = self._gatekeeper()
        return heard_since(facts, self.record.ae_title, {}).peer

    def look(self, reached: Reached, waived: Collection[Step] = ()) -> tuple[Looked, ...]:
        """Judge every step anew, but for what was seen to be fine or waived before, write it down, and end if all is.

        Returns:
            Every step in order, as it stands in the record now.
        """
        kept = {row.step: row for row in self.record.steps if row.outcome in (Outcome.FINE, Outcome.WAIVED)}
        looked = tuple(
            one
            if one.step not in kept
            else Looked(step=one.step, outcome=kept[one.step].outcome, sentence=kept[one.step].sentence)
            for one in judging.judge(self._seen(reached), waived)
        )
        # Twice a second while a person is waited for: no lock is taken where nothing is new.
        commissioning.note_steps(self.db, self.db.stamp(), self.record, looked)
        if all(one.outcome.is_settled for one in looked):
            with write(self.db):
                self._close_exams(RegistrationState.COMPLETED)
                commissioning.end(self.db, self.db.stamp(), self.record, "passed", self.record.actor)
        self._read_again()
        return looked

    def abandon(self, actor: str) -> None:
        """Close it unfinished; its record stays."""
        with write(self.db):
            self._close_exams(RegistrationState.CANCELLED)
            commissioning.end(self.db, self.db.stamp(), self.record, "abandoned", actor)
        self._read_again()

    def bring_up_to_date(self, actor: str) -> None:
        """Put an exam of today onto the device's list, where the last one is of another day or closed unused."""
        if not self.is_open:
            return
        exam = self.exam
        is_of_today = local_time(exam.order.scheduled_at).date() == local_time(self.db.stamp().at).date()
        has_pictures = bool(commissioning.test_pictures(self.db, self.record))
        if (is_of_today and exam.state in OPEN_STATES) or has_pictures:
            return
        with write(self.db):
            self._close_exams(RegistrationState.CANCELLED)
            _order_exam(self.config, self.db, self.record.commissioning_id, self.device, exam.order.modality, actor)
        self._read_again()

    def _read_again(self) -> None:
        found = commissioning.last_record(self.db, self.record.ae_title)
        assert found is not None, "rows of commissioning are never deleted"
        self.record = found

    def _close_exams(self, wanted: RegistrationState) -> None:
        """Take every exam off the device's list; one under way cannot be cancelled, it is discontinued."""
        for key in self.record.exams:
            exam = registrations.find_registration(self.db, key)
            if exam is None or exam.state not in OPEN_STATES:
                continue
            is_under_way = exam.state is RegistrationState.IN_PROGRESS
            is_cancelled = wanted is RegistrationState.CANCELLED
            to_state = RegistrationState.DISCONTINUED if is_under_way and is_cancelled else wanted
            registrations.move_registration(self.db, self.db.stamp(), key, to_state, self.record.actor, "device test")

    def _gatekeeper(self) -> dict[str, object] | None:
        return read_live(self.config.run_dir, "gatekeeper", self.clock)

    def _seen(self, reached: Reached) -> Seen:
        pictures = commissioning.test_pictures(self.db, self.record)
        uids = [picture.sop_instance_uid for picture in pictures]
        title = self.record.ae_title
        return Seen(
            device=self.device,
            our_ae_title=self.config.dicom.ae_title,
            our_port=self.config.dicom.port,
            exam_name=f"{self._given_name()}, {self.exam.accession_number}",
            reached=reached,
            heard=heard_since(self._gatekeeper(), title, self.record.baseline),
            calls_us_wrongly=WRONGLY_CALLED in open_kinds(self.db, title),
            unknown_titles=open_subjects(self.db, UNKNOWN_CALLER),
            pictures=pictures,
            other_picture_count=commissioning.other_picture_count(self.db, self.record),
            names=self._names_of(pictures[0]) if pictures else None,
            steps=commissioning.test_step_states(self.db, self.record),
            commitment=commissioning.test_commitment(self.db, self.record, uids),
        )

    def _given_name(self) -> str:
        """As the worklist says it to a device of this character set."""
        column = f"name_{self.device.character_set}"
        sql = f"SELECT {column} FROM worklist_entry WHERE registration_key = ?"  # noqa: S608 - one of our own columns
        return str(self.db.value(sql, (self.record.exams[-1],)))

    def _names_of(self, picture: TestPicture) -> TestNames | None:
        if picture.blob_uuid not in self._names:
            try:
                with HeaderReader() as reader:
                    header = reader.read(blob_path(self.config.blob_dir, picture.blob_uuid))
            except (HeaderError, ValueError):
                return None
            self._names[picture.blob_uuid] = TestNames(
                given=self._given_name(),
                came_back=header.study.patient_name,
                suspect_encoding=header.suspect_encoding,
            )
        return self._names[picture.blob_uuid]


def open_session(
    config: UnitConfig,
    db: Store,
    device: ModalityTable,
    clock: Clock,
    *,
    actor: str,
    modality: str = "",
    again: bool = False,
) -> Session:
    """The device's last commissioning, taken up again where it is open; a new one when there is none, or ``again``.

    Args:
        config: The unit's.
        db: Its database.
        device: Its table.
        clock: For live facts.
        actor: Who tries it out, for the history.
        modality: Of the test exam; empty: what the device sent last, else ``DX``.
        again: Begin anew; one that is open is abandoned.
    """
    title = device.ae_title.strip(" ")
    record = commissioning.last_record(db, title)
    if record is not None and again and record.state == "open":
        Session(config, db, device, clock, record).abandon(actor)
    if record is None or again or record.state == "abandoned":
        record = _begin(config, db, device, clock, actor, modality)
    session = Session(config, db, device, clock, record)
    session.bring_up_to_date(actor)
    return session


def _begin(config: UnitConfig, db: Store, device: ModalityTable, clock: Clock, actor: str, modality: str) -> Record:
    title = device.ae_title.strip(" ")
    baseline = baseline_of(read_live(config.run_dir, "gatekeeper", clock), title)
    with write(db):
        clear_used(db, db.stamp(), title, actor)
        commissioning_id = commissioning.begin(db, db.stamp(), title, actor, baseline)
        wanted = modality or commissioning.last_modality(db, title) or DEFAULT_MODALITY
        _order_exam(config, db, commissioning_id, device, wanted, actor)
        record = commissioning.last_record(db, title)
    assert record is not None, "it was written just now"
    return record


def _order_exam(
    config: UnitConfig, db: Store, commissioning_id: int, device: ModalityTable, modality: str, actor: str
) -> None:
    """A test exam for this device alone, and its study withheld, inside the caller's transaction."""
    stamp, words = db.stamp(), unit_words(config)
    order = Order(
        exam_code=EXAM_CODE,
        modality=modality,
        body_part=_BODY_PARTS.get(modality, _ANY_BODY_PART),
        description=_DESCRIPTIONS[config.registration.language],
        station_ae_title=device.ae_title.strip(" "),
        scheduled_at=utc_text(stamp.wall_s),
    )
    known = patients_with_number(db, TEST_NUMBER.value, TEST_NUMBER.issuer)
    if known:
        exam = register_exam(db, stamp, words, known[0].patient_key, order, actor).registration
    else:
        exam = register_person(db, stamp, words, TEST_PATIENT, [TEST_NUMBER], order, actor).registration
    commissioning.add_exam(db, commissioning_id, exam.registration_key)
    withhold(db, stamp, exam.study_instance_uid, exam.registration_key, actor)
