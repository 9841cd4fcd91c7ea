"""The centre's epoch: its life since it was last restored from a backup.

It is a random name. It changes when a unit remembers more than the centre does, which only a restore can explain, or
when an administrator says so. Units then have everything checked that they count as delivered.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from appliance.logging import log
from central.store import units as rows
from central.store.units import UnitRow
from sync.wire.messages import SessionRequest

FIRST = "the first start"
RESTORED_ALARM = "restored"


def begin_epoch(connection: Connection, at: str, reason: str) -> str:
    """A new epoch from now on."""
    name = secrets.token_hex(8)
    rows.add_epoch(connection, name, at, reason)
    log("gateway.epoch", "new epoch", epoch=name, why=reason)
    return name


def first_epoch(connection: Connection, at: str) -> str:
    """The current epoch; begun when there is none yet."""
    return rows.current_epoch(connection) or begin_epoch(connection, at, FIRST)


def epoch_for(connection: Connection, unit: UnitRow, request: SessionRequest, at: str) -> str:
    """The epoch after what this unit remembers was taken into account."""
    lost_life = bool(request.epoch_seen) and not rows.knows_epoch(connection, request.epoch_seen)
    ahead = request.inbox_seen > unit.inbox_head
    if not lost_life and not ahead:
        return first_epoch(connection, at)
    if lost_life:
        # Other units remember it too; one new epoch is enough for all of them.
        rows.add_epoch(connection, request.epoch_seen[:64], at, "remembered by a unit", foreign_life=True)
    if ahead:
        rows.lift_inbox(connection, unit.unit_id, request.inbox_seen)
    sentence = (
        f"Unit {unit.name} remembers more of this centre than the centre itself: it was restored from a backup. Units "
        "now have checked what they delivered, and send again what is missing."
    )
    rows.raise_alarm(connection, unit.unit_id, RESTORED_ALARM, sentence, at)
    return begin_epoch(connection, at, "a unit remembers more than the centre")
