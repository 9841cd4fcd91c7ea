"""What a person should know or decide; one row for each kind and subject, reopened when it comes back."""

from __future__ import annotations

from typing import Literal

from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp

Severity = Literal["notice", "warning", "alarm"]


def note_finding(
    db: Store,
    stamp: Stamp | None = None,
    *,
    kind: str,
    subject_id: str,
    sentence: str,
    severity: Severity,
    detail: str = "",
) -> bool:
    """Raise a finding, or renew the open one of the same kind and subject.

    Args:
        db: The unit's database.
        stamp: When; by default now, by the clock ``db`` was opened with.
        kind: Short stable word (``sop-conflict``, ``feed-lag``).
        subject_id: What it is about: a UID, an AE title, a destination; never a patient.
        sentence: What happened and what to do, for a nurse; shown as it is.
        severity: ``notice``, ``warning`` or ``alarm``.
        detail: Facts for the service person.

    Returns:
        Whether it was not open before; only then a journal row is written, so a finding may be noted every second.
    """
    stamp = stamp or db.stamp()
    with write(db):
        is_open = db.value(
            "SELECT 1 FROM finding WHERE kind = ? AND subject_id = ? AND cleared_at = ''", (kind, subject_id)
        )
        db.change(
            """INSERT INTO finding (kind, subject_id, sentence, detail, severity, found_at) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (kind, subject_id) DO UPDATE SET
                    sentence = excluded.sentence, detail = excluded.detail, severity = excluded.severity,
                    found_at = iif(finding.cleared_at = '', finding.found_at, excluded.found_at), cleared_at = ''""",
            (kind, subject_id, sentence, detail, severity, stamp.at),
        )
        if not is_open:
            journal.append(
                db, stamp, subject="finding", subject_id=subject_id, event=kind, to_state=severity, detail=detail
            )
    return not is_open


def clear_finding(db: Store, stamp: Stamp | None = None, *, kind: str, subject_id: str, actor: str = "") -> bool:
    """Close a finding because its cause is gone or a person dealt with it; whether one was open."""
    stamp = stamp or db.stamp()
    with write(db):
        cleared = db.change(
            "UPDATE finding SET cleared_at = ? WHERE kind = ? AND subject_id = ? AND cleared_at = ''",
            (stamp.at, kind, subject_id),
        )
        if cleared:
            journal.append(
                db, stamp, subject="finding", subject_id=subject_id, event=kind, to_state="cleared", actor=actor
            )
    return bool(cleared)


def open_subjects(db: Store, kind: str) -> tuple[str, ...]:
    """What the open findings of one kind are about, the oldest first."""
    rows = db.rows("SELECT subject_id FROM finding WHERE kind = ? AND cleared_at = '' ORDER BY finding_id", (kind,))
    return tuple(row[0] for row in rows)


def open_kinds(db: Store, subject_id: str) -> frozenset[str]:
    """Kinds of the open findings about one subject."""
    return frozenset(
        row[0] for row in db.rows("SELECT kind FROM finding WHERE subject_id = ? AND cleared_at = ''", (subject_id,))
    )
