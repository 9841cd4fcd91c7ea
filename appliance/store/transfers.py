"""Attempts and links: what was tried over which way, for people and the rate shown; delivery never depends on it."""

from __future__ import annotations

from appliance.clock import utc_text
from appliance.domain.failure import Failure
from appliance.domain.values import LinkState
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp


def transfer_id_last(db: Store) -> int:
    """The greatest transfer id ever given, 0 at first; the engine counts on from it."""
    return int(db.value("SELECT coalesce(max(transfer_id), 0) FROM transfer"))


def open_transfer(db: Store, stamp: Stamp, transfer_id: int, destination: str, item_count: int) -> None:
    """An attempt begins."""
    with write(db):
        db.change(
            """INSERT INTO transfer (transfer_id, destination, item_count, started_at, started_boot_id, started_mono_s)
                VALUES (?, ?, ?, ?, ?, ?)""",
            (transfer_id, destination, item_count, stamp.at, stamp.boot_id, stamp.mono_s),
        )


def close_transfer(
    db: Store, stamp: Stamp, transfer_id: int, *, bytes_sent: int, accepted_count: int, failure: Failure | None
) -> None:
    """The attempt ended. Its duration is monotonic; 0 when it began in another boot.

    Raises:
        StoreError: ``refused`` when no such attempt is open.
    """
    with write(db):
        closed = db.change(
            """UPDATE transfer SET ended_at = ?1, bytes_sent = ?2, accepted_count = ?3,
                duration_s = iif(started_boot_id = ?4, max(?5 - started_mono_s, 0), 0.0),
                failure_code = ?6, failure_sentence = ?7 WHERE transfer_id = ?8 AND ended_at = ''""",
            (
                stamp.at,
                bytes_sent,
                accepted_count,
                stamp.boot_id,
                stamp.mono_s,
                failure.code if failure else "",
                failure.sentence if failure else "",
                transfer_id,
            ),
        )
        if not closed:
            raise StoreError(StoreFault.REFUSED, f"{db.path}: transfer {transfer_id} is not open")
        if accepted_count:
            db.change(
                """INSERT INTO link (destination, changed_at, last_success_at)
                    SELECT destination, ?1, ?1 FROM transfer WHERE transfer_id = ?2
                    ON CONFLICT (destination) DO UPDATE SET last_success_at = excluded.last_success_at""",
                (stamp.at, transfer_id),
            )


def close_interrupted_transfers(db: Store, stamp: Stamp) -> int:
    """Close, at a start, the attempts that the last run left open; the number closed."""
    with write(db):
        return db.change(
            """UPDATE transfer SET ended_at = ?, failure_code = 'interrupted',
                failure_sentence = 'The unit was switched off or restarted during this attempt.'
                WHERE ended_at = ''""",
            (stamp.at,),
        )


def note_link(
    db: Store, stamp: Stamp, destination: str, state: LinkState, failure: Failure | None, retry_in_s: float | None
) -> None:
    """What people are shown of a link; a change of state is journalled, a further failed try is not."""
    next_try_at = "" if retry_in_s is None else utc_text(stamp.wall_s + retry_in_s)
    failure_columns = (failure.code, failure.sentence) if failure else ("", "")
    with write(db):
        before = db.value("SELECT state FROM link WHERE destination = ?", (destination,)) or LinkState.UNKNOWN
        db.change(
            """INSERT INTO link (destination, state, failure_code, failure_sentence, changed_at, next_try_at)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (destination) DO UPDATE SET
                    changed_at = iif(link.state = excluded.state, link.changed_at, excluded.changed_at),
                    state = excluded.state, failure_code = excluded.failure_code,
                    failure_sentence = excluded.failure_sentence, next_try_at = excluded.next_try_at""",
            (destination, state, *failure_columns, stamp.at, next_try_at),
        )
        if before != state:
            journal.append(
                db,
                stamp,
                subject="link",
                subject_id=destination,
                event="link",
                from_state=before,
                to_state=state,
                actor="sync",
                detail=f"code={failure.code}" if failure else "",
            )


def links_in_state(db: Store, state: LinkState) -> set[str]:
    """Destinations whose link was last seen so."""
    return {row[0] for row in db.rows("SELECT destination FROM link WHERE state = ?", (state,))}
