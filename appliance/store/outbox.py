"""The outbox: bounded reads in the order of urgency, and moves that write their journal row in the same transaction.

Only the transition table in ``sync/core`` decides a move; this module applies it, and only from the state it was
decided in. Everything here may run alone or inside one ``write(db)`` of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, LocalState, OutboxItem, Priority, Receipt, TrafficClass
from appliance.store import journal
from appliance.store.connect import Row, Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.findings import note_finding
from appliance.store.instances import id_list, set_local_state
from appliance.store.stamp import Stamp

_BY_AGE = "queued_at_s, size_bytes, item_id"
_PREVIEWS = (TrafficClass.STAT_PREVIEW, TrafficClass.PREVIEW)
_STATS = (TrafficClass.STAT_PREVIEW, TrafficClass.STAT)


def candidates(
    db: Store,
    destination: str,
    count: int,
    busy_item_ids: Sequence[int] = (),
    *,
    classes: Sequence[TrafficClass] = tuple(TrafficClass),
    announces: bool = False,
    least_tried_first: bool = False,
) -> tuple[OutboxItem, ...]:
    """The best ``count`` items that wait for ``destination``: class by class, then the oldest, the smallest of equals.

    One that is still about an earlier revision than the latest is not offered: it is moved on first. Nor is a routine
    one that waits for its check (``quality_holds``).

    Args:
        db: The unit's database.
        destination: Its name.
        count: At most so many.
        busy_item_ids: Items to leave out, in flight or in back-off; bounded by the engine.
        classes: Only these, whatever their order here; the preview classes mean nothing where nothing is announced.
        announces: Whether items not announced yet are of the preview classes there.
        least_tried_first: Attempt count before age; this sorts all that wait in a class, so it is the exception.
    """
    order = "attempt_count, queued_at_s, size_bytes, item_id" if least_tried_first else _BY_AGE
    found: list[OutboxItem] = []
    for each in TrafficClass:
        if each not in classes or (each in _PREVIEWS and not announces):
            continue
        unchecked = "" if each in _STATS else "AND item_id NOT IN (SELECT item_id FROM quality_wait)"
        announced = ("= 0" if each in _PREVIEWS else "= 1") if announces else "IN (0, 1)"
        sql = f"""SELECT * FROM outbox_item WHERE destination = ? AND state IN ('pending', 'ready') AND stat = ?
            AND announced {announced} AND revision_id = wanted_revision_id {unchecked}
            AND item_id NOT IN (SELECT value FROM json_each(?))
            ORDER BY {order} LIMIT ?"""  # noqa: S608 - our own text
        parameters = (destination, int(each in _STATS), id_list(busy_item_ids), count - len(found))
        found.extend(map(_item, db.rows(sql, parameters)))
        if len(found) == count:
            break
    return tuple(found)


def oldest_routine(
    db: Store, destination: str, busy_item_ids: Sequence[int], *, classes: Sequence[TrafficClass], announces: bool
) -> OutboxItem | None:
    """The routine item of these classes that waits longest; parameters as for ``candidates``."""
    heads = [
        item
        for each in classes
        if each not in _STATS
        for item in candidates(db, destination, 1, busy_item_ids, classes=(each,), announces=announces)
    ]
    return min(heads, key=lambda item: (item.queued_at_s, item.size_bytes, item.item_id), default=None)


def sent_after(db: Store, destination: str, after_item_id: int, count: int) -> tuple[OutboxItem, ...]:
    """Up to ``count`` items in ``sent`` with an id above ``after_item_id``, by id; empty at the end."""
    sql = """SELECT * FROM outbox_item WHERE destination = ? AND state = 'sent' AND state <> 'confirmed'
        AND item_id > ? ORDER BY item_id LIMIT ?"""
    return tuple(map(_item, db.rows(sql, (destination, after_item_id, count))))


def confirmed_in_another_epoch(
    db: Store, destination: str, epoch: str, after_item_id: int, count: int
) -> tuple[OutboxItem, ...]:
    """Up to ``count`` confirmed items above ``after_item_id``, by id, whose receipt is not of ``epoch``.

    Only those whose file is on this disk: what left it could not be sent again. Empty at the end.
    """
    found: list[OutboxItem] = []
    for other in _epochs_of_receipts(db, destination):
        if other != epoch:
            sql = """SELECT o.* FROM receipt AS r CROSS JOIN outbox_item AS o ON o.item_id = r.item_id
                CROSS JOIN instance AS i ON i.sop_instance_uid = r.sop_instance_uid
                WHERE r.destination = ? AND r.epoch = ? AND r.revoked_at = '' AND r.item_id > ?
                    AND i.local_state = 'present' ORDER BY r.item_id LIMIT ?"""
            found.extend(map(_item, db.rows(sql, (destination, other, after_item_id, count))))
    return tuple(sorted(found, key=lambda item: item.item_id)[:count])


def _epochs_of_receipts(db: Store, destination: str) -> list[str]:
    """Every epoch that a standing receipt is of; a jump in the index for each, however many receipts there are."""
    found: list[str] = []
    sql = "SELECT min(epoch) FROM receipt WHERE destination = ? AND revoked_at = ''"
    epoch = db.value(sql, (destination,))
    while epoch is not None:
        found.append(epoch)
        epoch = db.value(f"{sql} AND epoch > ?", (destination, epoch))
    return found


def unfinished(db: Store) -> tuple[OutboxItem, ...]:
    """All items in ``encoding``, ``ready`` or ``sending``: what was in flight, for a fresh start of the engine."""
    sql = """SELECT * FROM outbox_item WHERE state IN ('encoding', 'ready', 'sending')
        AND state <> 'confirmed' ORDER BY item_id"""
    return tuple(map(_item, db.rows(sql)))


def owed_counts(db: Store) -> dict[str, int]:
    """How many items are not confirmed yet, by destination; also for destinations that are configured no more."""
    return dict(db.rows("SELECT destination, count(*) FROM outbox WHERE state <> 'confirmed' GROUP BY destination"))


def items_of_study(db: Store, study_instance_uid: str) -> tuple[OutboxItem, ...]:
    """Every item of a study, whatever its state, by id."""
    sql = "SELECT * FROM outbox_item WHERE study_instance_uid = ? ORDER BY item_id"
    return tuple(map(_item, db.rows(sql, (study_instance_uid,))))


def load_items(db: Store, item_ids: Sequence[int]) -> tuple[OutboxItem, ...]:
    """These items, by id; unknown ids are left out."""
    sql = "SELECT * FROM outbox_item WHERE item_id IN (SELECT value FROM json_each(?)) ORDER BY item_id"
    return tuple(map(_item, db.rows(sql, (id_list(item_ids),))))


def move_item(
    db: Store,
    stamp: Stamp,
    item_id: int,
    from_state: ItemState,
    to_state: ItemState,
    event: str,
    *,
    attempt_count: int,
    failure: Failure | None = None,
    receipt: Receipt | None = None,
    actor: str = "sync",
    announced: bool | None = None,
    revision_id: int | None = None,
) -> OutboxItem | None:
    """Move one item and write its journal row, if it still is in ``from_state``.

    An item that is about another revision than the latest is not taken up (``encoding``): its row has then moved on as
    well, for whoever decided did not know of the correction.

    Args:
        db: The unit's database.
        stamp: When.
        item_id: Which.
        from_state: Where the decision was taken.
        to_state: Where it goes.
        event: Name of the event that moved it, as in the transition table.
        attempt_count: Its new count.
        failure: Why, shown to people; ``None`` clears what the row said before.
        receipt: The proof, with ``confirmed`` and only there; it is kept in the same transaction.
        actor: Who asked for it.
        announced: Whether the destination knows of it from now on; ``None`` leaves what the row says.
        revision_id: What the item is about from now on, 0 for the original; ``None`` leaves what the row says.

    Returns:
        ``None`` when it was moved; else the item as it is, and nothing of this call was written.

    Raises:
        StoreError: ``refused`` for an unknown item, for ``confirmed`` without a receipt, and for a receipt about other
            bytes, another item or another destination.
    """
    if (to_state is ItemState.CONFIRMED) != (receipt is not None):
        raise StoreError(StoreFault.REFUSED, f"{db.path}: a receipt belongs to a move to confirmed, and only there")
    with write(db):
        item = _the_item(db, item_id)
        if item.state is not from_state or (to_state is ItemState.ENCODING and _is_outdated(db, item_id)):
            return item
        if receipt is not None:
            _keep_receipt(db, stamp, item_id, receipt)
        db.change(
            """UPDATE outbox SET state = ?, attempt_count = ?, changed_at = ?, failure_kind = ?, failure_code = ?,
                failure_sentence = ? WHERE item_id = ?""",
            (to_state, attempt_count, stamp.at, *_failure_columns(failure), item_id),
        )
        if revision_id is not None:
            _set_content(db, item_id, revision_id)
        if announced is not None and announced is not item.announced:
            announced_at = stamp.at if announced else ""
            db.change("UPDATE outbox SET announced_at = ? WHERE item_id = ?", (announced_at, item_id))
        journal.append(
            db,
            stamp,
            subject="item",
            subject_id=str(item_id),
            study_instance_uid=item.study_instance_uid,
            event=event,
            from_state=from_state,
            to_state=to_state,
            actor=actor,
            detail=_move_detail(item, failure, receipt, revision_id),
        )
    return None


def _is_outdated(db: Store, item_id: int) -> bool:
    sql = "SELECT 1 FROM outbox WHERE item_id = ? AND revision_id <> wanted_revision_id"
    return db.value(sql, (item_id,)) is not None


def _set_content(db: Store, item_id: int, revision_id: int) -> None:
    """What the item is about; how long it is on a link is not known of the new content."""
    db.change(
        """UPDATE outbox SET revision_id = ?1, coded_bytes = 0, size_bytes = coalesce(
                (SELECT size_bytes FROM revision WHERE revision_id = ?1),
                (SELECT size_bytes FROM instance AS i WHERE i.instance_id = outbox.instance_id))
            WHERE item_id = ?2""",
        (revision_id, item_id),
    )


def note_recheck(db: Store, stamp: Stamp, item_id: int, receipt: Receipt) -> bool:
    """The destination proved a ``confirmed`` item once more; whether its standing receipt is about the same bytes."""
    with write(db):
        marked = db.change(
            """UPDATE receipt SET checked_again_at = ?, epoch = ?
                WHERE item_id = ? AND revoked_at = '' AND sha256 = ?""",
            (stamp.at, receipt.evidence.epoch, item_id, receipt.sha256),
        )
        if marked:
            item = _the_item(db, item_id)
            journal.append(
                db,
                stamp,
                subject="item",
                subject_id=str(item_id),
                study_instance_uid=item.study_instance_uid,
                event="rechecked",
                from_state=item.state,
                to_state=item.state,
                actor="sync",
                detail=f"destination={item.destination} method={receipt.evidence.method}",
            )
    return bool(marked)


def note_failure(db: Store, stamp: Stamp, item_id: int, failure: Failure) -> None:
    """What people are shown of an item that stays where it is; journalled when it is another failure than before."""
    with write(db):
        item = _the_item(db, item_id)
        is_news = db.change(
            """UPDATE outbox SET failure_kind = ?1, failure_code = ?2, failure_sentence = ?3
                WHERE item_id = ?4 AND (failure_code, failure_sentence) <> (?2, ?3)""",
            (*_failure_columns(failure), item_id),
        )
        if not is_news:
            return
        journal.append(
            db,
            stamp,
            subject="item",
            subject_id=str(item_id),
            study_instance_uid=item.study_instance_uid,
            event="failure-noted",
            from_state=item.state,
            to_state=item.state,
            actor="sync",
            detail=_move_detail(item, failure, None),
        )


def note_damage(
    db: Store, stamp: Stamp, item_id: int, failure: Failure, state: LocalState = LocalState.CORRUPT
) -> None:
    """The stored bytes are unreadable or not what was kept: mark the instance and raise an alarm.

    Of a revision only the alarm: the original is another file, and the correction can be made of it again.
    """
    with write(db):
        item = _the_item(db, item_id)
        if not item.revision_id:
            set_local_state(db, stamp, item.sop_instance_uid, state, failure.code, actor="sync")
        note_finding(
            db,
            stamp,
            kind="damaged-here",
            subject_id=item.sop_instance_uid,
            sentence=failure.sentence,
            severity="alarm",
            detail=f"code={failure.code} study={item.study_instance_uid}",
        )


def set_priority(db: Store, stamp: Stamp, item_ids: Sequence[int], priority: Priority, actor: str) -> int:
    """Make items and their studies STAT or routine, so that later instances follow; the number of items changed."""
    stat = int(priority is Priority.STAT)
    with write(db):
        items = [item for item in load_items(db, item_ids) if item.priority is not priority]
        db.change(
            "UPDATE outbox SET stat = ? WHERE item_id IN (SELECT value FROM json_each(?))",
            (stat, id_list([item.item_id for item in items])),
        )
        for study_instance_uid in dict.fromkeys(item.study_instance_uid for item in load_items(db, item_ids)):
            if db.change(
                "UPDATE study SET priority = ?1 WHERE study_instance_uid = ?2 AND priority <> ?1",
                (priority, study_instance_uid),
            ):
                journal.append(
                    db,
                    stamp,
                    subject="study",
                    subject_id=study_instance_uid,
                    study_instance_uid=study_instance_uid,
                    event="priority",
                    to_state=priority,
                    actor=actor,
                )
    return len(items)


def _keep_receipt(db: Store, stamp: Stamp, item_id: int, receipt: Receipt) -> None:
    """Private, so that no receipt is ever kept without the move it belongs to. The schema checks what it is about."""
    if receipt.evidence.sha256 != receipt.sha256:
        raise StoreError(StoreFault.REFUSED, f"{db.path}: the evidence is about other bytes than the receipt")
    db.change(
        """INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at, epoch)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            item_id,
            receipt.destination,
            receipt.sop_instance_uid,
            receipt.sha256,
            receipt.evidence.method,
            _evidence_json(receipt),
            stamp.at,
            receipt.evidence.epoch,
        ),
    )


def _the_item(db: Store, item_id: int) -> OutboxItem:
    found = load_items(db, (item_id,))
    if not found:
        raise StoreError(StoreFault.REFUSED, f"{db.path}: there is no outbox item {item_id}")
    return found[0]


def _item(row: Row) -> OutboxItem:
    """A row of the view ``outbox_item``."""
    return OutboxItem(
        item_id=row[0],
        destination=row[1],
        state=ItemState(row[2]),
        sop_instance_uid=row[3],
        study_instance_uid=row[4],
        priority=Priority.STAT if row[5] else Priority.ROUTINE,
        size_bytes=row[6],
        sha256=row[7],
        queued_at_s=row[8],
        attempt_count=row[9],
        announced=bool(row[10]),
        revision_id=row[11],
    )


def _failure_columns(failure: Failure | None) -> tuple[str, str, str]:
    return (failure.kind, failure.code, failure.sentence) if failure else ("", "", "")


def _move_detail(
    item: OutboxItem, failure: Failure | None, receipt: Receipt | None, revision_id: int | None = None
) -> str:
    words = [f"destination={item.destination}"]
    if failure:
        words.append(f"code={failure.code}")
    if receipt:
        words.append(f"method={receipt.evidence.method} sha256={receipt.sha256}")
    if revision_id is not None:
        words.append(f"revision={revision_id}")
    return " ".join(words)


def _evidence_json(receipt: Receipt) -> str:
    evidence = receipt.evidence
    return json.dumps(
        {
            "method": evidence.method,
            "sha256": evidence.sha256,
            "dataset_sha256": evidence.dataset_sha256,
            "pixel_sha256": evidence.pixel_sha256,
            "detail": dict(evidence.detail),
        },
        sort_keys=True,
    )
