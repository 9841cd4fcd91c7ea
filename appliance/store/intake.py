"""From the door into the outbox: study, instance, one duty for each destination, cursor and journal in one transaction.

The same instance may come any number of times: the same data set is done already, another one is never taken in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.values import Instance, ItemState, LocalState, StudyHeader
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.findings import note_finding
from appliance.store.instances import point_at_blob
from appliance.store.stamp import Stamp
from appliance.store.withheld import IS_WITHHELD, is_withheld, lifted_studies, note_if_out_of_season, note_queued

AGE_STEP_S = 0.001
"""Between two intakes when the wall clock stands or runs backwards."""


@dataclass(frozen=True, slots=True)
class KeptInstance:
    """One instance as the door kept it, with what its header says of the study.

    The monotonic second and the boot are those of reception; order does not depend on the wall clock.
    """

    instance: Instance
    study: StudyHeader
    received_boot_id: str = ""
    received_mono_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """Where a feed goes on from; ``row_id`` and ``row_date`` tell whether the feed is still the one we followed."""

    feed: str
    seq: int = 0
    row_id: str = ""
    row_date: str = ""


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """SOP Instance UIDs by what became of them, in the order given."""

    new: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    conflicting: tuple[str, ...] = ()


def keep_instances(
    db: Store, stamp: Stamp, rows: Sequence[KeptInstance], destinations: Sequence[str], cursor: FeedCursor | None
) -> IntakeResult:
    """Take instances in, in one transaction with the cursor; doing it again changes nothing.

    Known (same SOP Instance UID, same ``dataset_sha256``): nothing is written, unless the pixels had left the disk or
    were damaged; then this copy takes their place. Conflicting (another ``dataset_sha256``): an alarm is raised, the
    first one stays as it is and nothing of the second is queued.

    Args:
        db: The unit's database.
        stamp: When it is taken in.
        rows: In the order of reception.
        destinations: Names of all configured destinations; each new instance is owed to every one.
        cursor: Where the feed goes on from; ``None`` leaves it (recovery).

    Raises:
        StoreError: Nothing was written then, the cursor stays.
    """
    found: dict[str, list[str]] = {"new": [], "known": [], "conflicting": []}
    with write(db):
        age_s = _next_age_s(db, stamp)
        for row in rows:
            verdict = _keep_one(db, stamp, row, destinations, age_s)
            found[verdict].append(row.instance.sop_instance_uid)
        if cursor is not None:
            set_cursor(db, cursor)
    return IntakeResult(tuple(found["new"]), tuple(found["known"]), tuple(found["conflicting"]))


def get_cursor(db: Store, feed: str) -> FeedCursor:
    """Where ``feed`` goes on from; from its start when nothing is remembered."""
    row = db.row("SELECT feed, seq, row_id, row_date FROM cursor WHERE feed = ?", (feed,))
    return FeedCursor(*row) if row else FeedCursor(feed)


def set_cursor(db: Store, cursor: FeedCursor) -> None:
    """Remember where a feed goes on from; it may go backwards, for the feed may."""
    with write(db):
        db.change(
            """INSERT INTO cursor (feed, seq, row_id, row_date) VALUES (?, ?, ?, ?) ON CONFLICT (feed) DO UPDATE
                SET seq = excluded.seq, row_id = excluded.row_id, row_date = excluded.row_date
                WHERE (seq, row_id, row_date) <> (excluded.seq, excluded.row_id, excluded.row_date)""",
            (cursor.feed, cursor.seq, cursor.row_id, cursor.row_date),
        )


def ensure_destinations(db: Store, stamp: Stamp, names: Sequence[str], study_instance_uid: str = "") -> int:
    """Queue to each named destination every instance on this disk that it is not owed yet; the number queued.

    Called at start with all configured destinations: one that was added later gets what is still here. Tests are owed
    to nobody.

    Args:
        db: The unit's database.
        stamp: Now.
        names: The destinations.
        study_instance_uid: Only of this study; empty: of all.
    """
    queued = 0
    with write(db):
        age_s = _next_age_s(db, stamp)
        for name in names:
            missing = db.rows(
                f"""SELECT instance_id, sop_instance_uid, study_instance_uid, size_bytes FROM instance AS i
                    WHERE local_state = 'present' AND (?2 = '' OR study_instance_uid = ?2) AND NOT EXISTS (
                        SELECT 1 FROM outbox WHERE instance_id = i.instance_id AND destination = ?1)
                        AND study_instance_uid NOT IN ({IS_WITHHELD})
                    ORDER BY instance_id""",  # noqa: S608 - our own text
                (name, study_instance_uid),
            )
            for instance_id, _, study_instance_uid, size_bytes in missing:
                _queue(db, stamp, instance_id, study_instance_uid, size_bytes, name, age_s)
            queued += len(missing)
    return queued


def queue_lifted(db: Store, stamp: Stamp, names: Sequence[str]) -> int:
    """Queue the pictures of studies that are tests no more; the number of studies."""
    lifted = lifted_studies(db)
    for study_instance_uid in lifted:
        with write(db):
            ensure_destinations(db, stamp, names, study_instance_uid)
            note_queued(db, stamp, study_instance_uid)
    return len(lifted)


def _next_age_s(db: Store, stamp: Stamp) -> float:
    """The wall clock, but always after the last one given: the order of the queue survives any clock step."""
    last_s = db.value("SELECT queued_at_s FROM outbox ORDER BY item_id DESC LIMIT 1")
    return stamp.wall_s if last_s is None else max(stamp.wall_s, last_s + AGE_STEP_S)


def _keep_one(db: Store, stamp: Stamp, row: KeptInstance, destinations: Sequence[str], age_s: float) -> str:
    instance = row.instance
    known = db.row(
        "SELECT instance_id, dataset_sha256, local_state, sha256 FROM instance WHERE sop_instance_uid = ?",
        (instance.sop_instance_uid,),
    )
    if known is None:
        _keep_new(db, stamp, row, destinations, age_s)
        return "new"
    _, dataset_sha256, local_state, sha256 = known
    if dataset_sha256 != instance.dataset_sha256:
        note_finding(
            db,
            stamp,
            kind="sop-conflict",
            subject_id=instance.sop_instance_uid,
            sentence="Two different pictures arrived under one identifier. The first is delivered, the second is kept "
            "aside. Tell the service who will compare them.",
            severity="alarm",
            detail=f"first sha256={sha256} second sha256={instance.sha256} blob={instance.blob_uuid}",
        )
        return "conflicting"
    if local_state != LocalState.PRESENT:
        point_at_blob(db, stamp, instance, event="came-back")
    return "known"


def _keep_new(db: Store, stamp: Stamp, row: KeptInstance, destinations: Sequence[str], age_s: float) -> None:
    instance = row.instance
    _keep_study(db, stamp, row)
    instance_id = db.insert(
        """INSERT INTO instance (sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid,
            transfer_syntax_uid, orthanc_id, blob_uuid, size_bytes, sha256, dataset_sha256, calling_ae_title,
            received_at, received_boot_id, received_mono_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            instance.sop_instance_uid,
            instance.sop_class_uid,
            instance.series_instance_uid,
            instance.study_instance_uid,
            instance.transfer_syntax_uid,
            instance.orthanc_id,
            instance.blob_uuid,
            instance.size_bytes,
            instance.sha256,
            instance.dataset_sha256,
            instance.calling_ae_title,
            instance.received_at,
            row.received_boot_id,
            row.received_mono_s,
        ),
    )
    db.change(
        "UPDATE study SET last_instance_id = ?, last_received_at = ? WHERE study_instance_uid = ?",
        (instance_id, instance.received_at, instance.study_instance_uid),
    )
    journal.append(
        db,
        stamp,
        subject="instance",
        subject_id=instance.sop_instance_uid,
        study_instance_uid=instance.study_instance_uid,
        event="kept",
        to_state=LocalState.PRESENT,
        actor="intake",
        detail=f"bytes={instance.size_bytes} sha256={instance.sha256}",
    )
    if is_withheld(db, stamp, row.study):
        note_if_out_of_season(db, stamp, instance.study_instance_uid, instance.calling_ae_title)
        return
    for destination in destinations:
        _queue(db, stamp, instance_id, instance.study_instance_uid, instance.size_bytes, destination, age_s)


def _keep_study(db: Store, stamp: Stamp, row: KeptInstance) -> None:
    """The first instance that says something of the study is believed; a later one only fills what was empty.

    One that names another patient fills nothing: an identity mixed of two would be worse than a gap.
    """
    study = row.study
    if _is_of_another_patient(db, row):
        note_finding(
            db,
            stamp,
            kind="study-of-two-patients",
            subject_id=row.instance.study_instance_uid,
            sentence="Pictures of two patients arrived in one study. All are kept and delivered as the device made "
            "them; this unit shows the patient of the first one. Check whose pictures they are before they are read.",
            severity="alarm",
            detail=f"uid={row.instance.sop_instance_uid} ae={row.instance.calling_ae_title}",
        )
        return
    db.change(
        """INSERT INTO study (study_instance_uid, patient_name, patient_id, patient_birth_date, patient_sex,
                accession_number, study_date, study_description, modality, first_received_at, last_received_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
            ON CONFLICT (study_instance_uid) DO UPDATE SET
                patient_name = iif(patient_name = '', excluded.patient_name, patient_name),
                patient_id = iif(patient_id = '', excluded.patient_id, patient_id),
                patient_birth_date = iif(patient_birth_date = '', excluded.patient_birth_date, patient_birth_date),
                patient_sex = iif(patient_sex = '', excluded.patient_sex, patient_sex),
                accession_number = iif(accession_number = '', excluded.accession_number, accession_number),
                study_date = iif(study_date = '', excluded.study_date, study_date),
                study_description = iif(study_description = '', excluded.study_description, study_description),
                modality = iif(modality = '', excluded.modality, modality)""",
        (
            row.instance.study_instance_uid,
            study.patient_name,
            study.patient_id,
            study.patient_birth_date,
            study.patient_sex,
            study.accession_number,
            study.study_date,
            study.study_description,
            study.modality,
            row.instance.received_at,
        ),
    )


def _is_of_another_patient(db: Store, row: KeptInstance) -> bool:
    """Judged by Patient ID and birth date; by the name only where nobody gave an ID, for names are typed twice.

    What the files of a corrected study said before is no other patient: a person decided whose they are.
    """
    study = row.study
    if db.value(
        """SELECT 1 FROM known_identity WHERE study_instance_uid = ? AND patient_id = ? AND patient_birth_date = ?
            AND patient_name = ?""",
        (study.study_instance_uid, study.patient_id, study.patient_birth_date, study.patient_name),
    ):
        return False
    known = db.row(
        "SELECT patient_id, patient_birth_date, patient_name FROM study WHERE study_instance_uid = ?",
        (row.instance.study_instance_uid,),
    )
    if known is None:
        return False
    ids, births, names = zip(
        known, (row.study.patient_id, row.study.patient_birth_date, row.study.patient_name), strict=True
    )
    return _differ(*ids) or _differ(*births) or (not any(ids) and _differ(*names))


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _queue(
    db: Store,
    stamp: Stamp,
    instance_id: int,
    study_instance_uid: str,
    size_bytes: int,
    destination: str,
    age_s: float,
) -> None:
    """One new duty. It is born as urgent as its study, held when a person holds the study, set aside when rejected."""
    state = ItemState.HELD if _is_held(db, study_instance_uid) else ItemState.PENDING
    if db.value("SELECT 1 FROM rejected_image WHERE instance_id = ? AND lifted_at = ''", (instance_id,)):
        state = ItemState.REJECTED
    item_id = db.insert(
        """INSERT INTO outbox (instance_id, destination, state, stat, size_bytes, queued_at, queued_at_s, changed_at)
            SELECT ?1, ?2, ?3, priority = 'stat', ?4, ?5, ?6, ?5 FROM study WHERE study_instance_uid = ?7""",
        (instance_id, destination, state, size_bytes, stamp.at, age_s, study_instance_uid),
    )
    journal.append(
        db,
        stamp,
        subject="item",
        subject_id=str(item_id),
        study_instance_uid=study_instance_uid,
        event="queued",
        to_state=state,
        actor="intake",
        detail=f"destination={destination}",
    )


def _is_held(db: Store, study_instance_uid: str) -> bool:
    """By a wish that is not carried out yet (it waits for a running attempt, or for sync), else as its items are."""
    wish = db.value(
        """SELECT kind FROM command WHERE finished_at = '' AND study_instance_uid = ? AND kind IN ('hold', 'release')
            ORDER BY command_id DESC LIMIT 1""",
        (study_instance_uid,),
    )
    if wish is not None:
        return bool(wish == "hold")
    held = db.value(
        """SELECT 1 FROM instance AS i JOIN outbox AS o ON o.instance_id = i.instance_id
            WHERE i.study_instance_uid = ? AND o.state = 'held' LIMIT 1""",
        (study_instance_uid,),
    )
    return held is not None
