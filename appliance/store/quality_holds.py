"""Findings that keep their study here: the policy gives the same hold that a person gives, and takes it back.

Somebody who releases the study, or marks it STAT with a reason, has decided: the same finding does not hold it again.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from appliance.store.commands import give_command
from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp

ACTOR = "quality"


def set_gate(db: Store, is_on: bool) -> None:
    """Whether what is queued from now on waits until it was checked; when not, nothing waits any more."""
    if bool(db.value("SELECT is_on FROM quality_gate")) is is_on:
        return
    with write(db):
        db.change("UPDATE quality_gate SET is_on = ?", (int(is_on),))
        if not is_on:
            db.change("DELETE FROM quality_wait")


def let_checked_go(db: Store) -> int:
    """End the waiting of what was checked and is not to be held; the number of outbox items.

    One of a study that is to be held goes on waiting until sync has carried the hold out.
    """
    passed = """FROM quality_wait WHERE instance_id IN (
            SELECT w.instance_id FROM quality_wait AS w CROSS JOIN quality_run AS r USING (instance_id)
                CROSS JOIN instance AS i USING (instance_id)
                WHERE r.outcome <> 'due' AND NOT EXISTS (
                    SELECT 1 FROM command AS c WHERE c.study_instance_uid = i.study_instance_uid
                        AND c.finished_at = '' AND c.kind = 'hold' AND c.actor = ?))"""
    if not db.value(f"SELECT 1 {passed} LIMIT 1", (ACTOR,)):
        return 0
    with write(db):
        return db.change(f"DELETE {passed}", (ACTOR,))


def settle_holds(db: Store, stamp: Stamp, codes: Collection[str]) -> int:
    """Hold what the policy says, let go what was decided or is gone; the number of commands given.

    Args:
        db: The unit's database.
        stamp: When.
        codes: Check codes of the policy.
    """
    if not _is_anything_to_do(db, codes):
        return 0
    with write(db):
        return _hold(db, stamp, codes) + _let_go(db, stamp, codes)


def _new_holds(db: Store, codes: Collection[str]) -> list[tuple[int, str, str]]:
    """Findings of the policy that hold nothing yet, or were let go only because they had gone."""
    rows = db.rows(
        """SELECT f.finding_id, f.study_instance_uid, f.check_code FROM quality_finding AS f
            LEFT JOIN quality_hold AS h USING (finding_id)
            WHERE f.cleared_at = '' AND f.check_code IN (SELECT value FROM json_each(?))
                AND (h.finding_id IS NULL OR h.let_go_why = 'cleared')
            ORDER BY f.finding_id""",
        (json.dumps(sorted(codes)),),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def _is_anything_to_do(db: Store, codes: Collection[str]) -> bool:
    """So that an idle unit writes nothing."""
    return bool(_new_holds(db, codes) or db.value("SELECT 1 FROM quality_hold WHERE let_go_at = '' LIMIT 1"))


def _hold(db: Store, stamp: Stamp, codes: Collection[str]) -> int:
    by_study: dict[str, list[tuple[int, str]]] = {}
    for finding_id, study_instance_uid, code in _new_holds(db, codes):
        by_study.setdefault(study_instance_uid, []).append((finding_id, code))
    given_count = 0
    for study_instance_uid, findings in by_study.items():
        is_stat = _is_stat(db, study_instance_uid)
        command_id = 0
        if not is_stat:
            reason = "quality: " + ", ".join(sorted({code for _, code in findings}))
            command_id = give_command(db, stamp, "hold", study_instance_uid, ACTOR, reason)
            given_count += 1
        for finding_id, _ in findings:
            db.change(
                """INSERT INTO quality_hold (finding_id, study_instance_uid, command_id, held_at, let_go_at, let_go_why)
                        VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT (finding_id) DO UPDATE SET command_id = excluded.command_id,
                        held_at = excluded.held_at, let_go_at = excluded.let_go_at, let_go_why = excluded.let_go_why""",
                (
                    finding_id,
                    study_instance_uid,
                    command_id,
                    stamp.at,
                    stamp.at if is_stat else "",
                    "stat" if is_stat else "",
                ),
            )
    return given_count


def _let_go(db: Store, stamp: Stamp, codes: Collection[str]) -> int:
    given_count = 0
    for study_instance_uid, last_hold_id in db.rows(
        "SELECT study_instance_uid, max(command_id) FROM quality_hold WHERE let_go_at = '' GROUP BY study_instance_uid"
    ):
        if _last(db, study_instance_uid, ("hold", "release"))[:2] == ("release", False):
            _close(db, stamp, study_instance_uid, "released")
        elif _is_stat(db, study_instance_uid):
            give_command(db, stamp, "release", study_instance_uid, ACTOR, "STAT with a reason")
            given_count += 1
            _close(db, stamp, study_instance_uid, "stat")
        elif not _still_held_by(db, study_instance_uid, codes):
            kind, is_ours, command_id = _last(db, study_instance_uid, ("hold", "release"))
            if kind == "hold" and is_ours and command_id == last_hold_id:
                give_command(db, stamp, "release", study_instance_uid, ACTOR, "quality: what held it is gone")
                given_count += 1
            _close(db, stamp, study_instance_uid, "cleared")
    return given_count


def _close(db: Store, stamp: Stamp, study_instance_uid: str, why: str) -> None:
    db.change(
        "UPDATE quality_hold SET let_go_at = ?, let_go_why = ? WHERE study_instance_uid = ? AND let_go_at = ''",
        (stamp.at, why, study_instance_uid),
    )


def _still_held_by(db: Store, study_instance_uid: str, codes: Collection[str]) -> bool:
    return bool(
        db.value(
            """SELECT 1 FROM quality_hold AS h CROSS JOIN quality_finding AS f USING (finding_id)
                WHERE h.study_instance_uid = ? AND h.let_go_at = '' AND f.cleared_at = ''
                    AND f.check_code IN (SELECT value FROM json_each(?)) LIMIT 1""",
            (study_instance_uid, json.dumps(sorted(codes))),
        )
    )


def _is_stat(db: Store, study_instance_uid: str) -> bool:
    """Marked as STAT with a reason; whether sync has carried it out yet does not matter."""
    row = db.row(
        """SELECT kind, reason FROM command WHERE study_instance_uid = ? AND kind IN ('stat', 'routine')
            ORDER BY command_id DESC LIMIT 1""",
        (study_instance_uid,),
    )
    return row is not None and row[0] == "stat" and bool(row[1].strip())


def _last(db: Store, study_instance_uid: str, kinds: tuple[str, str]) -> tuple[str, bool, int]:
    """The newest of these commands about a study: its kind, whether it is ours, its id."""
    row = db.row(
        """SELECT kind, actor, command_id FROM command WHERE study_instance_uid = ? AND kind IN (?, ?)
            ORDER BY command_id DESC LIMIT 1""",
        (study_instance_uid, *kinds),
    )
    return (row[0], row[1] == ACTOR, row[2]) if row else ("", False, 0)
