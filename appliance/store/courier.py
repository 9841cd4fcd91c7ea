"""What sticks carry, and the proofs that came back on one.

A stick may get lost, so a copy on one is a note and moves nothing. A receipt that came on one is written down here by
the command line, checked; the sync process hands it to the engine, which alone moves items.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.values import Evidence, ItemState, OutboxItem, Receipt
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.instances import id_list
from appliance.store.outbox import load_items
from appliance.store.stamp import Stamp

EXPORTED = "exported-to-stick"
_WAITS = "o.stat = 0 AND o.item_id IN (SELECT item_id FROM quality_wait)"
"""For its check, as the sync process has it: what a policy may yet hold goes out by no way; STAT waits for nothing."""
_LATER_THAN_ANY = "9999"
BROUGHT_COUNT_MAX = 500
"""Proofs handed to the engine at a time."""


@dataclass(frozen=True, slots=True)
class StickRow:
    """One stick as this unit knows it; counts are of images."""

    stick: str
    destination: str
    verified_at: str
    """When it last gave back what was written on it."""
    image_count: int
    study_count: int
    waiting_count: int
    """Of them without a receipt."""
    waiting_study_count: int


@dataclass(frozen=True, slots=True)
class Copy:
    """One image on one stick."""

    item_id: int
    sop_instance_uid: str
    sha256: str
    """Of the bytes that the stick carries."""
    confirmed: bool


@dataclass(frozen=True, slots=True)
class BroughtReceipt:
    """A checked proof that waits for the engine."""

    brought_id: int
    item_id: int
    receipt: Receipt


def owed_items(db: Store, destination: str, study_instance_uids: Sequence[str] = ()) -> tuple[OutboxItem, ...]:
    """What a stick should carry, in the order of sending: STAT first, then the oldest, of equal age the smallest.

    That is every item without a receipt whose bytes are here, but for those that are held back or set aside, and
    routine ones that wait for their quality check. ``study_instance_uids`` chooses; none means all.
    """
    rows = db.rows(
        f"""SELECT o.item_id FROM outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id
            WHERE o.destination = ?1 AND NOT ({_WAITS}) AND o.state NOT IN ('confirmed', 'held', 'rejected')
                AND i.local_state = 'present' AND o.revision_id = o.wanted_revision_id
                AND (?2 = '[]' OR i.study_instance_uid IN (SELECT value FROM json_each(?2)))
            ORDER BY o.stat DESC, o.queued_at_s, o.size_bytes, o.item_id""",  # noqa: S608 - our condition
        (destination, json.dumps(list(study_instance_uids))),
    )
    ids = [row[0] for row in rows]
    found = {item.item_id: item for item in load_items(db, ids)}
    return tuple(found[item_id] for item_id in ids)


def left_behind_count(db: Store, destination: str) -> int:
    """Images without a receipt that no stick is offered: held, set aside, unchecked, or with bytes that are gone."""
    return int(
        db.value(
            f"""SELECT count(*) FROM outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id
                WHERE o.destination = ? AND o.state <> 'confirmed'
                    AND (o.state IN ('held', 'rejected') OR i.local_state <> 'present' OR ({_WAITS}))""",  # noqa: S608 - our condition
            (destination,),
        )
    )


def note_copies(db: Store, stamp: Stamp, stick: str, items: Sequence[tuple[int, str]], actor: str) -> None:
    """These items, by id and SHA-256, are on a stick and were read back; one journal row a study and export."""
    with write(db):
        for item_id, sha256 in items:
            db.change(
                """INSERT INTO courier_copy (stick, item_id, sha256, verified_at) VALUES (?, ?, ?, ?)
                    ON CONFLICT (stick, item_id) DO UPDATE SET
                        sha256 = excluded.sha256, verified_at = excluded.verified_at""",
                (stick, item_id, sha256, stamp.at),
            )
        counts = db.rows(
            """SELECT study_instance_uid, count(*) FROM outbox_item
                WHERE item_id IN (SELECT value FROM json_each(?)) GROUP BY study_instance_uid ORDER BY min(item_id)""",
            (id_list([item_id for item_id, _ in items]),),
        )
        for study_instance_uid, count in counts:
            journal.append(
                db,
                stamp,
                subject="study",
                subject_id=study_instance_uid,
                study_instance_uid=study_instance_uid,
                event=EXPORTED,
                actor=actor,
                detail=f"stick={stick} images={count}",
            )


def forget_copies(db: Store, stick: str, item_ids: Sequence[int]) -> None:
    """The stick carries these no more."""
    with write(db):
        db.change(
            "DELETE FROM courier_copy WHERE stick = ? AND item_id IN (SELECT value FROM json_each(?))",
            (stick, id_list(item_ids)),
        )


def copies_on(db: Store, stick: str) -> tuple[Copy, ...]:
    """What the stick carries, as far as this unit knows."""
    rows = db.rows(
        """SELECT c.item_id, o.sop_instance_uid, c.sha256, o.state FROM courier_copy AS c
            CROSS JOIN outbox_item AS o ON o.item_id = c.item_id WHERE c.stick = ? ORDER BY c.item_id""",
        (stick,),
    )
    return tuple(Copy(row[0], row[1], row[2], row[3] == ItemState.CONFIRMED) for row in rows)


def carried_item_ids(db: Store, *, without_stick: str = "") -> frozenset[int]:
    """Items that some stick carries, in the bytes that are here now."""
    rows = db.rows(
        """SELECT c.item_id FROM courier_copy AS c CROSS JOIN outbox_item AS o ON o.item_id = c.item_id
            WHERE c.stick <> ? AND c.sha256 = o.sha256""",
        (without_stick,),
    )
    return frozenset(row[0] for row in rows)


def carried_among(db: Store, item_ids: Sequence[int]) -> frozenset[int]:
    """Those of these items that some stick took along, in whatever bytes."""
    sql = "SELECT item_id FROM courier_copy WHERE item_id IN (SELECT value FROM json_each(?))"
    return frozenset(row[0] for row in db.rows(sql, (id_list(item_ids),)))


def known_sticks(db: Store) -> tuple[StickRow, ...]:
    """Every stick that carries something, the latest first."""
    rows = db.rows(
        """SELECT c.stick, o.destination, max(c.verified_at), count(*), count(DISTINCT o.study_instance_uid),
                count(*) FILTER (WHERE o.state <> 'confirmed'),
                count(DISTINCT o.study_instance_uid) FILTER (WHERE o.state <> 'confirmed')
            FROM courier_copy AS c CROSS JOIN outbox_item AS o ON o.item_id = c.item_id
            GROUP BY c.stick, o.destination ORDER BY max(c.verified_at) DESC, c.stick"""
    )
    return tuple(StickRow(*row) for row in rows)


def item_of(db: Store, destination: str, sop_instance_uid: str) -> OutboxItem | None:
    """The duty to deliver this instance there."""
    item_id = db.value(
        """SELECT o.item_id FROM instance AS i CROSS JOIN outbox AS o ON o.instance_id = i.instance_id
            WHERE i.sop_instance_uid = ? AND o.destination = ?""",
        (sop_instance_uid, destination),
    )
    return load_items(db, (item_id,))[0] if item_id else None


def is_damaged_here(db: Store, item_id: int) -> bool:
    """Whether the bytes of this item's instance are gone or not what was kept."""
    return bool(
        db.value(
            """SELECT i.local_state <> 'present' FROM outbox AS o CROSS JOIN instance AS i
                ON i.instance_id = o.instance_id WHERE o.item_id = ?""",
            (item_id,),
        )
    )


def revoked_proof_at(db: Store, item_id: int) -> str:
    """When the destination last proved this item in vain: what it had stated turned out untrue afterwards.

    Times are the centre's; empty when that never happened, and later than any when the time is not known.
    """
    rows = db.rows(
        "SELECT json_extract(evidence, '$.detail.verified_at') FROM receipt WHERE item_id = ? AND revoked_at <> ''",
        (item_id,),
    )
    return max((str(at or _LATER_THAN_ANY) for (at,) in rows), default="")


def newest_proof(db: Store, destination: str) -> tuple[str, str]:
    """The epoch in which a destination was last heard, and its newest statement in that; empty where unknown."""
    epoch = str(db.value("SELECT epoch FROM link WHERE destination = ?", (destination,)) or "")
    at = db.value(
        """SELECT max(json_extract(evidence, '$.detail.verified_at')) FROM receipt
            WHERE destination = ? AND epoch = ? AND epoch <> '' AND revoked_at = ''""",
        (destination, epoch),
    )
    return epoch, str(at or "")


def note_brought(db: Store, stamp: Stamp, item_id: int, receipt: Receipt, source: str) -> bool:
    """Write a checked proof down for the engine; whether none waited yet for this item."""
    with write(db):
        return bool(
            db.change(
                """INSERT INTO brought_receipt (item_id, sha256, evidence, source, brought_at) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (item_id) WHERE settled_at = '' DO NOTHING""",
                (item_id, receipt.sha256, _evidence_text(receipt.evidence), source, stamp.at),
            )
        )


def open_brought(db: Store, count: int = BROUGHT_COUNT_MAX) -> tuple[BroughtReceipt, ...]:
    """Proofs that the engine has not settled yet, oldest first."""
    rows = db.rows(
        """SELECT b.brought_id, b.item_id, o.destination, o.sop_instance_uid, b.sha256, b.evidence
            FROM brought_receipt AS b CROSS JOIN outbox_item AS o ON o.item_id = b.item_id
            WHERE b.settled_at = '' ORDER BY b.brought_id LIMIT ?""",
        (count,),
    )
    return tuple(
        BroughtReceipt(row[0], row[1], Receipt(row[2], row[3], row[4], _evidence(row[5], row[4]))) for row in rows
    )


def count_open_brought(db: Store) -> int:
    """How many proofs wait for the engine."""
    return int(db.value("SELECT count(*) FROM brought_receipt WHERE settled_at = ''"))


def settle_brought(db: Store, stamp: Stamp, brought_id: int, outcome: str) -> None:
    """The engine is done with a proof."""
    with write(db):
        db.change(
            "UPDATE brought_receipt SET settled_at = ?, outcome = ? WHERE brought_id = ? AND settled_at = ''",
            (stamp.at, outcome, brought_id),
        )


def _evidence_text(evidence: Evidence) -> str:
    return json.dumps(
        {
            "method": evidence.method,
            "dataset_sha256": evidence.dataset_sha256,
            "pixel_sha256": evidence.pixel_sha256,
            "detail": list(evidence.detail),
            "epoch": evidence.epoch,
        }
    )


def _evidence(text: str, sha256: str) -> Evidence:
    said = json.loads(text)
    return Evidence(
        method=said["method"],
        sha256=sha256,
        dataset_sha256=said["dataset_sha256"],
        pixel_sha256=said["pixel_sha256"],
        detail=tuple((key, value) for key, value in said["detail"]),
        epoch=said["epoch"],
    )
