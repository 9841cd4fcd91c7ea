"""The append-only history: every move of an item writes one row here, in the same transaction.

Never patient identity: UIDs, states, counts and codes only (invariant 12).
"""

from __future__ import annotations

from appliance.domain.limits import LimitSet
from appliance.domain.values import JournalEntry
from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp

DETAIL_BYTES_MAX = LimitSet().journal_detail_bytes_max


def append(
    db: Store,
    stamp: Stamp,
    *,
    subject: str,
    subject_id: str,
    event: str,
    study_instance_uid: str = "",
    from_state: str = "",
    to_state: str = "",
    actor: str = "",
    detail: str = "",
) -> int:
    """Write one row; returns its ``seq``. ``detail`` is cut to ``DETAIL_BYTES_MAX`` bytes of UTF-8."""
    with write(db):
        return db.insert(
            """INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                stamp.at,
                stamp.boot_id,
                stamp.mono_s,
                subject,
                subject_id,
                study_instance_uid,
                event,
                from_state,
                to_state,
                actor,
                detail.encode()[:DETAIL_BYTES_MAX].decode(errors="ignore"),
            ),
        )


def read_journal(
    db: Store, subject_id: str | None = None, after_seq: int = 0, limit: int = 1000
) -> tuple[JournalEntry, ...]:
    """History in the order it happened.

    Args:
        db: The unit's database.
        subject_id: Only rows about this subject; a Study Instance UID also gives its instances, items and commands.
        after_seq: Only rows after this one, so that a reader can follow.
        limit: At most so many rows.
    """
    columns = "seq, at, subject, subject_id, event, from_state, to_state, actor, detail"
    if subject_id is None:
        sql = f"SELECT {columns} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own column list
        return tuple(JournalEntry(*row) for row in db.rows(sql, (after_seq, limit)))
    sql = f"""SELECT {columns} FROM journal WHERE subject_id = ?1 AND seq > ?2
        UNION SELECT {columns} FROM journal
            WHERE study_instance_uid = ?1 AND study_instance_uid <> '' AND seq > ?2
        ORDER BY seq LIMIT ?3"""  # noqa: S608 - our own column list
    return tuple(JournalEntry(*row) for row in db.rows(sql, (subject_id, after_seq, limit)))
