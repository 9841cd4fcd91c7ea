"""What took the place of an instance's stored file: corrections as people made them, and the files made for them.

The original's row and file stay as they are. Whoever sends asks ``instances_of_items``, which gives the revision that
an outbox item is about. A file is made durable before its row, and its row stands before anything is sent of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.domain.values import Instance, LocalState, OutboxItem
from appliance.store import journal
from appliance.store.connect import Row, Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.instances import find_instance, id_list
from appliance.store.outbox import load_items
from appliance.store.stamp import Stamp


@dataclass(frozen=True, slots=True)
class Correction:
    """One action of a person, or of the matching in their place; ``undone_at`` is empty while it stands."""

    action_id: int
    kind: str
    study_instance_uid: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str
    actor: str
    at: str
    undone_at: str = ""
    undone_by: str = ""


@dataclass(frozen=True, slots=True)
class NewRevision:
    """A whole file, durable under its blob's name, that takes the place of what an instance had before."""

    sop_instance_uid: str
    blob_uuid: str
    size_bytes: int
    sha256: str
    dataset_sha256: str
    made_from_sha256: str
    """Of the content it was made from: when that is not the latest any more, it would undo another correction."""


@dataclass(frozen=True, slots=True)
class RevisionFile:
    """The file of what an instance says now."""

    revision_id: int
    sop_instance_uid: str
    blob_uuid: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Unrevised:
    """An outbox item that is still about something else than its instance's latest revision."""

    item: OutboxItem
    revision_id: int
    actor: str


_CORRECTION = "action_id, kind, study_instance_uid, before, after, reason, actor, at, undone_at, undone_by"


def add_correction(
    db: Store,
    stamp: Stamp,
    *,
    kind: str,
    study_instance_uid: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str,
    actor: str,
    revisions: Sequence[NewRevision] = (),
    covers: bool = False,
) -> int:
    """Write down what was corrected, with the files that were made for it; one transaction.

    Args:
        db: The unit's database.
        stamp: When.
        kind: ``reconcile``, ``correct``, ``split``, ``merge`` or ``reject``.
        study_instance_uid: The study it is about.
        before: What was there; JSON-able, shown to people, enough to undo the action's rows.
        after: What is there now.
        reason: Why.
        actor: Who.
        revisions: At most one for each instance.
        covers: It is about the study as a whole: pictures that come later are corrected as well.

    Returns:
        The action's id.

    Raises:
        StoreError: ``refused`` when a revision was made from content that is not the latest any more, or when its
            instance is unknown; nothing was written then.
    """
    with write(db):
        action_id = db.insert(
            """INSERT INTO correction (kind, study_instance_uid, before, after, reason, actor, at, covered_instance_id)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, iif(?8, (SELECT max(instance_id) FROM instance
                    WHERE study_instance_uid = ?2), 0))""",
            (kind, study_instance_uid, _json(before), _json(after), reason, actor, stamp.at, covers),
        )
        journal.append(
            db,
            stamp,
            subject="correction",
            subject_id=str(action_id),
            study_instance_uid=study_instance_uid,
            event=kind,
            to_state="standing",
            actor=actor,
            detail=f"revisions={len(revisions)}",
        )
        for revision in revisions:
            _add_revision(db, stamp, action_id, actor, revision)
    return action_id


def undo_correction(db: Store, stamp: Stamp, action_id: int, actor: str) -> None:
    """Let an action stand no more; its files stay, and what was there before is owed again.

    Raises:
        StoreError: ``refused`` when there is no such standing action, when a later one rests on its files, or when a
            destination may have seen one of them.
    """
    with write(db):
        found = find_correction(db, action_id)
        if found is None or found.undone_at:
            raise StoreError(StoreFault.REFUSED, f"{db.path}: no correction {action_id} stands")
        fault = undo_fault(db, action_id)
        if fault:
            raise StoreError(StoreFault.REFUSED, f"{db.path}: correction {action_id} cannot be undone: {fault}")
        db.change(
            "UPDATE correction SET undone_at = ?, undone_by = ? WHERE action_id = ?", (stamp.at, actor, action_id)
        )
        db.change("UPDATE revision SET undone_at = ? WHERE action_id = ?", (stamp.at, action_id))
        journal.append(
            db,
            stamp,
            subject="correction",
            subject_id=str(action_id),
            study_instance_uid=found.study_instance_uid,
            event=found.kind,
            from_state="standing",
            to_state="undone",
            actor=actor,
        )


def undo_fault(db: Store, action_id: int) -> str:
    """What stands against undoing an action's revisions: ``corrected-again``, ``on-its-way`` or nothing.

    What a destination may have seen is never taken back behind its back: it is corrected once more instead. The
    journal knows: a transfer that started after the item was moved on to the revision.
    """
    later = """SELECT 1 FROM revision AS mine JOIN revision AS later ON later.instance_id = mine.instance_id
        AND later.number > mine.number AND later.undone_at = '' WHERE mine.action_id = ?1
        UNION ALL SELECT 1 FROM correction AS mine JOIN correction AS later
            ON later.study_instance_uid = mine.study_instance_uid AND later.action_id > mine.action_id
            AND later.undone_at = '' AND later.covered_instance_id > 0
        WHERE mine.action_id = ?1 AND mine.covered_instance_id > 0 LIMIT 1"""
    if db.value(later, (action_id,)):
        return "corrected-again"
    seen = """SELECT 1 FROM revision AS r JOIN outbox AS o ON o.instance_id = r.instance_id
        WHERE r.action_id = ? AND (
            o.revision_id = r.revision_id AND o.state IN ('encoding', 'ready', 'sending', 'sent', 'confirmed')
            OR EXISTS (SELECT 1 FROM journal AS j WHERE j.subject_id = CAST(o.item_id AS TEXT) AND j.subject = 'item'
                AND j.event = 'started' AND j.seq > (SELECT min(seq) FROM journal AS m WHERE m.subject = 'item'
                    AND m.subject_id = CAST(o.item_id AS TEXT) AND m.event = 'revised'
                    AND m.detail LIKE '% revision=' || r.revision_id))) LIMIT 1"""
    return "on-its-way" if db.value(seen, (action_id,)) else ""


@dataclass(frozen=True, slots=True)
class Late:
    """A picture that came after its study was corrected, and the correction that it does not have yet."""

    instance_id: int
    sop_instance_uid: str
    action_id: int


def late_pictures(db: Store, count: int) -> tuple[Late, ...]:
    """Up to ``count`` of them, each with its corrections in the order in which they were made."""
    rows = db.rows(
        """SELECT i.instance_id, i.sop_instance_uid, c.action_id FROM correction AS c
            JOIN instance AS i ON i.study_instance_uid = c.study_instance_uid AND i.instance_id > c.covered_instance_id
            WHERE c.covered_instance_id > 0 AND c.undone_at = '' AND i.local_state = 'present'
            ORDER BY c.action_id, i.instance_id LIMIT ?""",
        (count,),
    )
    return tuple(Late(*row) for row in rows)


def cover(db: Store, stamp: Stamp, late: Late, actor: str, revision: NewRevision | None) -> None:
    """A late picture has its correction now; ``None`` when it said the right thing already.

    Raises:
        StoreError: ``refused`` when its content is another one meanwhile.
    """
    with write(db):
        if revision is not None:
            _add_revision(db, stamp, late.action_id, actor, revision)
        db.change(
            "UPDATE correction SET covered_instance_id = ? WHERE action_id = ? AND covered_instance_id < ?",
            (late.instance_id, late.action_id, late.instance_id),
        )


def study_header(db: Store, study_instance_uid: str, columns: Sequence[str]) -> dict[str, str] | None:
    """What lists show of a study now; ``None`` when it is not on this unit. ``columns`` are ours."""
    sql = f"SELECT {', '.join(columns)} FROM study WHERE study_instance_uid = ?"  # noqa: S608 - our own columns
    row = db.row(sql, (study_instance_uid,))
    return dict(zip(columns, row, strict=True)) if row else None


def set_study_header(db: Store, study_instance_uid: str, values: Mapping[str, str]) -> None:
    """What lists show of a study from now on; its pictures that still say the identity before are no other patient's.

    The action that is the cause journals it.
    """
    with write(db):
        db.change(
            """INSERT OR IGNORE INTO known_identity SELECT study_instance_uid, patient_id, patient_birth_date,
                patient_name FROM study WHERE study_instance_uid = ?""",
            (study_instance_uid,),
        )
        for column, value in values.items():
            db.change(
                f"UPDATE study SET {column} = ? WHERE study_instance_uid = ?",  # noqa: S608 - our own columns
                (value, study_instance_uid),
            )


def find_correction(db: Store, action_id: int) -> Correction | None:
    """One action."""
    row = db.row(f"SELECT {_CORRECTION} FROM correction WHERE action_id = ?", (action_id,))  # noqa: S608 - our columns
    return _correction(row) if row else None


def corrections_of(db: Store, study_instance_uid: str) -> tuple[Correction, ...]:
    """Every action about a study, those undone included, in order."""
    sql = f"SELECT {_CORRECTION} FROM correction WHERE study_instance_uid = ? ORDER BY action_id"  # noqa: S608 - as above
    return tuple(map(_correction, db.rows(sql, (study_instance_uid,))))


def standing_corrections(db: Store, kind: str) -> tuple[Correction, ...]:
    """Every action of a kind that stands, in order."""
    sql = f"SELECT {_CORRECTION} FROM correction WHERE kind = ? AND undone_at = '' ORDER BY action_id"  # noqa: S608 - as above
    return tuple(map(_correction, db.rows(sql, (kind,))))


def latest_content(db: Store, sop_instance_uid: str) -> tuple[Instance, LocalState] | None:
    """The instance as it is owed now: blob, size and digests of its latest revision, if it has one."""
    found = find_instance(db, sop_instance_uid)
    row = db.row(
        """SELECT blob_uuid, size_bytes, sha256, dataset_sha256, revision_id FROM revision
            WHERE instance_id = (SELECT instance_id FROM instance WHERE sop_instance_uid = ?) AND undone_at = ''
            ORDER BY number DESC LIMIT 1""",
        (sop_instance_uid,),
    )
    if found is None or row is None:
        return found
    one = found[0]
    identity = (one.sop_instance_uid, one.sop_class_uid, one.series_instance_uid, one.study_instance_uid)
    content = (one.transfer_syntax_uid, one.orthanc_id, *row[:4], one.calling_ae_title, one.received_at, row[4])
    return Instance(*identity, *content), found[1]


def sop_instance_uids_of(db: Store, study_instance_uid: str) -> tuple[str, ...]:
    """A study's instances in the order of arrival."""
    sql = "SELECT sop_instance_uid FROM instance WHERE study_instance_uid = ? ORDER BY instance_id"
    return tuple(row[0] for row in db.rows(sql, (study_instance_uid,)))


def unrevised(db: Store, count: int) -> tuple[Unrevised, ...]:
    """Up to ``count`` items that are to be moved on to their latest revision, by id; rejected pictures stay aside."""
    rows = db.rows(
        """SELECT o.item_id, o.wanted_revision_id, coalesce(c.actor, u.undone_by, '')
            FROM outbox AS o LEFT JOIN revision AS r ON r.revision_id = o.wanted_revision_id
            LEFT JOIN correction AS c ON c.action_id = r.action_id
            LEFT JOIN revision AS v ON v.revision_id = o.revision_id
            LEFT JOIN correction AS u ON u.action_id = v.action_id
            WHERE o.revision_id <> o.wanted_revision_id
                AND o.instance_id NOT IN (SELECT instance_id FROM rejected_image WHERE lifted_at = '')
            ORDER BY o.item_id LIMIT ?""",
        (count,),
    )
    wanted = {item_id: (revision_id, actor) for item_id, revision_id, actor in rows}
    return tuple(Unrevised(item, *wanted[item.item_id]) for item in load_items(db, list(wanted)))


def unrevised_count(db: Store, study_instance_uid: str) -> int:
    """How many items of a study are not moved on yet."""
    sql = """SELECT count(*) FROM outbox AS o JOIN instance AS i ON i.instance_id = o.instance_id
        WHERE o.revision_id <> o.wanted_revision_id AND i.study_instance_uid = ?
            AND o.instance_id NOT IN (SELECT instance_id FROM rejected_image WHERE lifted_at = '')"""
    return int(db.value(sql, (study_instance_uid,)))


def earlier_digests(db: Store, item_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """File digests of everything that each item was about before its present revision, the original's first.

    Those undone are among them: a destination that was never sent one is not hurt by its name. Items about their
    original are left out.
    """
    rows = db.rows(
        """SELECT o.item_id, i.sha256, (SELECT json_group_array(e.sha256) FROM revision AS e
                WHERE e.instance_id = r.instance_id AND e.number < r.number ORDER BY e.number)
            FROM outbox AS o JOIN revision AS r ON r.revision_id = o.revision_id
            JOIN instance AS i ON i.instance_id = o.instance_id
            WHERE o.item_id IN (SELECT value FROM json_each(?))""",
        (id_list(item_ids),),
    )
    return {item_id: (original, *json.loads(earlier)) for item_id, original, earlier in rows}


def sent_before(db: Store, item_ids: Sequence[int]) -> set[int]:
    """Those of the items whose destination may have been sent something else than what they are about now."""
    sql = """SELECT o.item_id FROM outbox AS o WHERE o.item_id IN (SELECT value FROM json_each(?)) AND EXISTS (
            SELECT 1 FROM journal AS j WHERE j.subject = 'item' AND j.subject_id = CAST(o.item_id AS TEXT)
                AND j.event = 'started' AND j.seq < (SELECT max(seq) FROM journal AS m WHERE m.subject = 'item'
                    AND m.subject_id = CAST(o.item_id AS TEXT) AND m.event = 'revised'))"""
    return {row[0] for row in db.rows(sql, (id_list(item_ids),))}


def blobs_of_revisions(db: Store) -> dict[str, bool]:
    """Every file that an action made, and whether it stays on this disk.

    A revision stays until the pixels of its instance were evicted, what goes through the door until it is an instance.
    """
    rows = db.rows(
        """SELECT r.blob_uuid, i.local_state <> 'evicted' FROM revision AS r
                JOIN instance AS i ON i.instance_id = r.instance_id
            UNION ALL SELECT m.blob_uuid, m.withdrawn_at = '' AND NOT EXISTS
                (SELECT 1 FROM instance AS i WHERE i.sop_instance_uid = m.sop_instance_uid) FROM made_object AS m"""
    )
    return {blob_uuid: bool(stays) for blob_uuid, stays in rows}


def revision_files_after(db: Store, revision_id: int, count: int) -> tuple[RevisionFile, ...]:
    """Files of the latest standing revisions whose pixels are on this disk, by id; what was undone counts no more."""
    rows = db.rows(
        """SELECT r.revision_id, i.sop_instance_uid, r.blob_uuid, r.size_bytes, r.sha256
            FROM revision AS r JOIN instance AS i ON i.instance_id = r.instance_id
            WHERE r.revision_id > ? AND r.undone_at = '' AND i.local_state <> 'evicted' AND NOT EXISTS (
                SELECT 1 FROM revision AS later WHERE later.instance_id = r.instance_id AND later.number > r.number
                    AND later.undone_at = '')
            ORDER BY r.revision_id LIMIT ?""",
        (revision_id, count),
    )
    return tuple(RevisionFile(*row) for row in rows)


def _add_revision(db: Store, stamp: Stamp, action_id: int, actor: str, new: NewRevision) -> None:
    latest = latest_content(db, new.sop_instance_uid)
    if latest is None or latest[0].sha256 != new.made_from_sha256 or latest[1] is LocalState.EVICTED:
        raise StoreError(StoreFault.REFUSED, f"{db.path}: {new.sop_instance_uid} was changed meanwhile")
    db.insert(
        """INSERT INTO revision (instance_id, number, action_id, blob_uuid, size_bytes, sha256, dataset_sha256)
            SELECT instance_id, 1 + coalesce((SELECT max(number) FROM revision AS r
                WHERE r.instance_id = i.instance_id), 0), ?, ?, ?, ?, ?
                FROM instance AS i WHERE sop_instance_uid = ?""",
        (action_id, new.blob_uuid, new.size_bytes, new.sha256, new.dataset_sha256, new.sop_instance_uid),
    )
    journal.append(
        db,
        stamp,
        subject="instance",
        subject_id=new.sop_instance_uid,
        study_instance_uid=latest[0].study_instance_uid,
        event="revised",
        actor=actor,
        detail=f"action={action_id} blob={new.blob_uuid} sha256={new.sha256} from={new.made_from_sha256}",
    )


def _correction(row: Row) -> Correction:
    action_id, kind, study_instance_uid, before, after, *rest = row
    return Correction(action_id, kind, study_instance_uid, json.loads(before), json.loads(after), *rest)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
