"""Rows of what readers opened in the full viewer: a ticket that leads there once, and what a browser may then see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from central.store.database import insert_missing
from central.store.review_tables import review_study, viewer_grant, viewer_ticket


def add_ticket(
    connection: Connection, ticket_sha256: str, session_sha256: str, uid: str, now_wall_s: int, expires_wall_s: int
) -> None:
    """Somebody opens a study; tickets and grants whose time is over go."""
    for table in (viewer_ticket, viewer_grant):
        connection.execute(delete(table).where(table.c.expires_wall_s <= now_wall_s))
    row = {"ticket_sha256": ticket_sha256, "session_sha256": session_sha256, "study_instance_uid": uid}
    connection.execute(insert(viewer_ticket).values(expires_wall_s=expires_wall_s, **row))


def take_ticket(connection: Connection, ticket_sha256: str, now_wall_s: int) -> tuple[str, str] | None:
    """The session and the study of a ticket, which is gone then; ``None`` when it was used, or came too late."""
    mine = viewer_ticket.c.ticket_sha256 == ticket_sha256
    row = connection.execute(select(viewer_ticket).where(mine)).one_or_none()
    # Two requests may have read the row; one of them deletes it.
    if row is None or connection.execute(delete(viewer_ticket).where(mine)).rowcount != 1:
        return None
    return None if row.expires_wall_s <= now_wall_s else (row.session_sha256, row.study_instance_uid)


def add_grant(connection: Connection, token_sha256: str, session_sha256: str, uid: str, expires_wall_s: int) -> None:
    """This browser may see this study (again)."""
    key = {"token_sha256": token_sha256, "study_instance_uid": uid}
    said = {"session_sha256": session_sha256, "expires_wall_s": expires_wall_s}
    insert_missing(connection, viewer_grant, [{**key, **said}])
    mine = (viewer_grant.c.token_sha256 == token_sha256, viewer_grant.c.study_instance_uid == uid)
    connection.execute(update(viewer_grant).where(*mine).values(**said))


def session_of_token(connection: Connection, token_sha256: str, now_wall_s: int) -> str:
    """The session of the pages that a browser's token belongs to; empty when it may see nothing any more."""
    mine = (viewer_grant.c.token_sha256 == token_sha256, viewer_grant.c.expires_wall_s > now_wall_s)
    return connection.scalar(select(viewer_grant.c.session_sha256).where(*mine).limit(1)) or ""


def visible_studies(
    connection: Connection, token_sha256: str, session_sha256: str, now_wall_s: int, prior_count_max: int
) -> dict[str, Row[Any]]:
    """Rows of the list that a token may see: what was opened with it, and other studies of the same patients."""
    mine = (viewer_grant.c.token_sha256 == token_sha256, viewer_grant.c.session_sha256 == session_sha256)
    opened = select(viewer_grant.c.study_instance_uid).where(*mine, viewer_grant.c.expires_wall_s > now_wall_s)
    uids = list(connection.scalars(opened))
    found = {
        row.study_instance_uid: row
        for row in connection.execute(select(review_study).where(review_study.c.study_instance_uid.in_(uids)))
    }
    keys = {row.patient_key for row in found.values() if row.patient_key}
    if keys:
        same = or_(*(review_study.c.patient_key == key for key in sorted(keys)))
        newest = select(review_study).where(same).order_by(review_study.c.sort_at.desc()).limit(prior_count_max)
        for row in connection.execute(newest):
            found.setdefault(row.study_instance_uid, row)
    return found
