"""What people do to a study's place on the list, each in the caller's writing transaction."""

from __future__ import annotations

from sqlalchemy import Connection

from central.review.follow import refresh
from central.store import reviewing as rows


def mark_read(connection: Connection, uid: str, reader: str, at: str) -> bool:
    """Somebody signed a report: the study is read until further images of it are verified. ``False``: unknown."""
    return _did(connection, uid, at, "read", reader, read_at=at, reader=reader)


def mark_unread(connection: Connection, uid: str, reader: str, at: str) -> bool:
    """The reading was taken back."""
    return _did(connection, uid, at, "unread", reader, read_at=None, reader="")


def raise_to_stat(connection: Connection, uid: str, who: str, at: str) -> bool:
    """Somebody at the centre needs it now: it goes to the top, whatever its unit says."""
    return _did(connection, uid, at, "raised", who, raised=True)


def _did(connection: Connection, uid: str, at: str, kind: str, who: str, **values: object) -> bool:
    if not rows.people_did(connection, uid, **values):
        return False
    rows.add_event(connection, uid, at, kind, who)
    refresh(connection, [uid], anyway=True)
    return True
