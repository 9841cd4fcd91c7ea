"""What checks saw of each instance and what they found; the row that says "checked" comes with its findings.

Instances are taken newest first: the patient of the newest may still be there. A process killed at any moment leaves
either all of a run or nothing of it, and what was not written is done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from appliance.domain.quality import Finding, Severity
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp

Outcome = Literal["checked", "failed", "gone"]
"""``failed``: no reading of the file came to an end; ``gone``: its bytes are not on this disk."""


@dataclass(frozen=True, slots=True)
class DueInstance:
    """An instance to look at."""

    instance_id: int
    sop_instance_uid: str
    study_instance_uid: str
    received_at: str
    attempt_count: int


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One finding as it is stored; ``check_code`` may be of a later release."""

    sop_instance_uid: str
    check_code: str
    severity: Severity
    values: Mapping[str, Any]
    checks_version: int
    found_at: str
    cleared_at: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """How far one instance was looked at: ``due``, ``checked``, ``failed`` or ``gone``."""

    sop_instance_uid: str
    outcome: str
    checks_version: int
    checked_at: str


_DUE = "i.instance_id, i.sop_instance_uid, i.study_instance_uid, i.received_at"


def next_due(db: Store, checks_version: int) -> DueInstance | None:
    """The newest instance that nothing has looked at; when there is none, one that only older checks saw."""
    row = db.row(
        f"""SELECT {_DUE}, 0 FROM instance AS i
            WHERE i.instance_id > (SELECT ifnull(max(instance_id), 0) FROM quality_run)
            ORDER BY i.instance_id DESC LIMIT 1"""  # noqa: S608 - our columns
    ) or db.row(
        f"""SELECT {_DUE}, r.attempt_count FROM quality_run AS r CROSS JOIN instance AS i USING (instance_id)
            WHERE r.checks_version < ? ORDER BY r.instance_id DESC LIMIT 1""",  # noqa: S608 - our columns
        (checks_version,),
    )
    return DueInstance(*row) if row else None


def note_attempt(db: Store, due: DueInstance) -> None:
    """A reading of the file ended without an answer."""
    with write(db):
        _enrol(db, due)
        db.change("UPDATE quality_run SET attempt_count = attempt_count + 1 WHERE instance_id = ?", (due.instance_id,))


def save_run(
    db: Store,
    stamp: Stamp,
    due: DueInstance,
    *,
    checks_version: int,
    blob_uuid: str,
    order_digest: str,
    outcome: Outcome,
    findings: Sequence[Finding],
) -> tuple[str, ...]:
    """Write what one run found: new findings are raised, those that are gone are cleared, all in one transaction.

    Of an instance whose bytes are gone earlier findings stay as they are.

    Returns:
        Codes that are open now and were not before.
    """
    with write(db):
        _enrol(db, due)
        db.change(
            """UPDATE quality_run SET checks_version = ?, blob_uuid = ?, order_digest = ?, outcome = ?, checked_at = ?
                WHERE instance_id = ?""",
            (checks_version, blob_uuid, order_digest, outcome, stamp.at, due.instance_id),
        )
        if outcome == "gone":
            return ()  # its findings stay: they say what was there
        before = _open_codes(db, due.sop_instance_uid)
        for finding in findings:
            _raise(db, stamp, due, checks_version, finding)
        after = {finding.code.value for finding in findings}
        for code in before - after:
            db.change(
                "UPDATE quality_finding SET cleared_at = ? WHERE sop_instance_uid = ? AND check_code = ?",
                (stamp.at, due.sop_instance_uid, code),
            )
        raised, cleared = sorted(after - before), sorted(before - after)
        if raised or cleared:
            journal.append(
                db,
                stamp,
                subject="instance",
                subject_id=due.sop_instance_uid,
                study_instance_uid=due.study_instance_uid,
                event="quality",
                actor="quality",
                detail=" ".join([*(f"+{code}" for code in raised), *(f"-{code}" for code in cleared)]),
            )
    return tuple(raised)


def _enrol(db: Store, due: DueInstance) -> None:
    """Rows for this instance and all before it, so that none is passed over when the newest is done first."""
    db.change(
        """INSERT INTO quality_run (instance_id) SELECT instance_id FROM instance
            WHERE instance_id > (SELECT ifnull(max(instance_id), 0) FROM quality_run) AND instance_id <= ?""",
        (due.instance_id,),
    )


def _open_codes(db: Store, sop_instance_uid: str) -> set[str]:
    rows = db.rows(
        "SELECT check_code FROM quality_finding WHERE sop_instance_uid = ? AND cleared_at = ''", (sop_instance_uid,)
    )
    return {row[0] for row in rows}


def _raise(db: Store, stamp: Stamp, due: DueInstance, checks_version: int, finding: Finding) -> None:
    db.change(
        """INSERT INTO quality_finding (sop_instance_uid, study_instance_uid, check_code, severity, values_json,
                checks_version, found_at) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (sop_instance_uid, check_code) DO UPDATE SET severity = excluded.severity,
                values_json = excluded.values_json, checks_version = excluded.checks_version,
                found_at = iif(cleared_at = '', found_at, excluded.found_at), cleared_at = ''""",
        (
            due.sop_instance_uid,
            due.study_instance_uid,
            finding.code,
            finding.severity,
            json.dumps(dict(finding.values), sort_keys=True),
            checks_version,
            stamp.at,
        ),
    )


def look_again(db: Store, study_instance_uid: str) -> int:
    """Let every instance of a study be checked anew (its order changed); the number of instances."""
    with write(db):
        return db.change(
            """UPDATE quality_run SET checks_version = 0, attempt_count = 0, outcome = 'due' WHERE instance_id IN
                (SELECT instance_id FROM instance WHERE study_instance_uid = ?)""",
            (study_instance_uid,),
        )


def findings_of_study(db: Store, study_instance_uid: str, *, with_cleared: bool = False) -> tuple[QualityRow, ...]:
    """Findings of a study, the gravest first."""
    rows = db.rows(
        """SELECT sop_instance_uid, check_code, severity, values_json, checks_version, found_at, cleared_at
            FROM quality_finding WHERE study_instance_uid = ? AND (cleared_at = '' OR ?)
            ORDER BY cleared_at <> '', severity <> 'alarm', severity <> 'warning', check_code, finding_id""",
        (study_instance_uid, with_cleared),
    )
    return tuple(QualityRow(row[0], row[1], Severity(row[2]), json.loads(row[3]), *row[4:]) for row in rows)


def runs_of_study(db: Store, study_instance_uid: str) -> tuple[RunRow, ...]:
    """How far each instance of a study was looked at, in the order of arrival."""
    rows = db.rows(
        """SELECT i.sop_instance_uid, ifnull(r.outcome, 'due'), ifnull(r.checks_version, 0), ifnull(r.checked_at, '')
            FROM instance AS i LEFT JOIN quality_run AS r USING (instance_id)
            WHERE i.study_instance_uid = ? ORDER BY i.instance_id""",
        (study_instance_uid,),
    )
    return tuple(RunRow(*row) for row in rows)


def studies_with_findings(db: Store, limit: int) -> tuple[tuple[str, Mapping[Severity, int]], ...]:
    """Studies with open findings, the newest first, and how many findings of each severity."""
    rows = db.rows(
        """SELECT s.study_instance_uid, sum(f.severity = 'alarm'), sum(f.severity = 'warning'),
                sum(f.severity = 'notice')
            FROM quality_finding AS f CROSS JOIN study AS s USING (study_instance_uid) WHERE f.cleared_at = ''
            GROUP BY s.study_instance_uid ORDER BY s.last_instance_id DESC LIMIT ?""",
        (limit,),
    )
    order = (Severity.ALARM, Severity.WARNING, Severity.NOTICE)
    return tuple((row[0], dict(zip(order, row[1:], strict=True))) for row in rows)


def alarmed_studies(db: Store) -> tuple[str, ...]:
    """Studies with an open finding that is an alarm."""
    rows = db.rows(
        "SELECT DISTINCT study_instance_uid FROM quality_finding WHERE cleared_at = '' AND severity = 'alarm'"
    )
    return tuple(row[0] for row in rows)


def due_count(db: Store, checks_version: int) -> int:
    """Instances that these checks have not seen yet."""
    return int(
        db.value(
            """SELECT (SELECT count(*) FROM quality_run WHERE checks_version < ?)
                + (SELECT count(*) FROM instance
                    WHERE instance_id > (SELECT ifnull(max(instance_id), 0) FROM quality_run))""",
            (checks_version,),
        )
    )
