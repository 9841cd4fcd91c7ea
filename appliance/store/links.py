"""What is remembered of each way out: the centre's epoch, the measured rate, how well things pack, what was used up."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.domain.eta import Goodput
from appliance.domain.values import LinkKind
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp


def note_epoch(db: Store, stamp: Stamp, destination: str, epoch: str) -> bool:
    """Remember what the centre calls its life; whether that is news.

    A new life may have forgotten what the one before was told, so nothing that waits there counts as announced any
    more. Receipts keep the epoch they are of, and differ from this one now.
    """
    with write(db):
        before = epochs(db).get(destination, "")
        if before == epoch:
            return False
        db.change(
            """INSERT INTO link (destination, changed_at, epoch) VALUES (?, ?, ?)
                ON CONFLICT (destination) DO UPDATE SET epoch = excluded.epoch""",
            (destination, stamp.at, epoch),
        )
        if before:
            db.change(
                "UPDATE outbox SET announced_at = '' WHERE destination = ? AND announced_at <> ''"
                " AND state <> 'confirmed'",
                (destination,),
            )
        journal.append(
            db,
            stamp,
            subject="link",
            subject_id=destination,
            event="epoch",
            from_state=before,
            to_state=epoch,
            actor="sync",
        )
    return True


def epochs(db: Store) -> dict[str, str]:
    """What each centre last called its life, by destination; those that never said are left out."""
    return dict(db.rows("SELECT destination, epoch FROM link WHERE epoch <> ''"))


def note_rate(db: Store, stamp: Stamp, destination: str, goodput: Goodput | None, round_trip_s: float | None) -> None:
    """What was measured of a link; ``None`` forgets it, because the link is another one now."""
    low, typical, high = (
        (goodput.low_bytes_per_s, goodput.typical_bytes_per_s, goodput.high_bytes_per_s) if goodput else (0.0, 0.0, 0.0)
    )
    with write(db):
        db.change(
            """INSERT INTO link (destination, changed_at, rate_low_bytes_per_s, rate_bytes_per_s,
                    rate_high_bytes_per_s, round_trip_s) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (destination) DO UPDATE SET rate_low_bytes_per_s = excluded.rate_low_bytes_per_s,
                    rate_bytes_per_s = excluded.rate_bytes_per_s,
                    rate_high_bytes_per_s = excluded.rate_high_bytes_per_s, round_trip_s = excluded.round_trip_s""",
            (destination, stamp.at, low, typical, high, round_trip_s or 0.0),
        )


def rates(db: Store) -> dict[str, float]:
    """Typical goodput in bytes a second, by destination; of links that are down, or were never measured, none."""
    return dict(
        db.rows("SELECT destination, rate_bytes_per_s FROM link WHERE rate_bytes_per_s > 0 AND state <> 'down'")
    )


def unmeasured(db: Store) -> set[str]:
    """Destinations that can be reached and of whose rate nothing is known yet."""
    return {name for (name,) in db.rows("SELECT destination FROM link WHERE rate_bytes_per_s = 0 AND state = 'up'")}


def backlog_bytes(db: Store, destination: str) -> int:
    """Size of the stored files that still have to go there."""
    sql = """SELECT coalesce(sum(size_bytes), 0) FROM outbox
        WHERE destination = ? AND state IN ('pending', 'encoding', 'ready', 'sending')"""
    return int(db.value(sql, (destination,)))


def note_coded(db: Store, stamp: Stamp, destination: str, coded: Sequence[tuple[int, int]]) -> None:
    """How long items are on their link: ``(item_id, coded_bytes)`` each, > 0; one that is known already is replaced."""
    with write(db):
        for item_id, coded_bytes in coded:
            row = db.row(
                "SELECT size_bytes, coded_bytes FROM outbox WHERE item_id = ? AND destination = ?",
                (item_id, destination),
            )
            if row is None or coded_bytes <= 0 or row[1] == coded_bytes:
                continue
            size_bytes, coded_bytes_before = row
            db.change("UPDATE outbox SET coded_bytes = ? WHERE item_id = ?", (coded_bytes, item_id))
            db.change(
                """INSERT INTO link (destination, changed_at, plain_bytes_sum, coded_bytes_sum) VALUES (?, ?, ?, ?)
                    ON CONFLICT (destination) DO UPDATE SET
                        plain_bytes_sum = plain_bytes_sum + excluded.plain_bytes_sum,
                        coded_bytes_sum = coded_bytes_sum + excluded.coded_bytes_sum""",
                (destination, stamp.at, 0 if coded_bytes_before else size_bytes, coded_bytes - coded_bytes_before),
            )


def add_usage(db: Store, kind: LinkKind, day: str, link_bytes: int) -> None:
    """Book bytes on the account of a day."""
    with write(db):
        db.change(
            """INSERT INTO link_usage (kind, day, link_bytes) VALUES (?, ?, ?)
                ON CONFLICT (kind, day) DO UPDATE SET link_bytes = link_bytes + excluded.link_bytes""",
            (kind, day, link_bytes),
        )


def usage_of(db: Store, day: str) -> dict[LinkKind, int]:
    """What was booked on that day, by kind of link; kinds that this release does not know are left out."""
    booked: dict[str, int] = dict(db.rows("SELECT kind, link_bytes FROM link_usage WHERE day = ?", (day,)))
    return {kind: booked[kind] for kind in LinkKind if kind in booked}
