"""Which parts need not be kept any longer, and other rows whose time is over."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, not_, or_, select

from central.store.parts import reset_part
from central.store.tables import claim, file, part, session, skeleton
from central.store.units import drop_old_codes
from sync.wire.messages import InstanceState, PartKind


def drop_parts(connection: Connection, before: str, previews_before: str, count_max: int) -> int:
    """Give up parts, complete or not, that only files verified before ``before`` name; the oldest first.

    Args:
        connection: A writing transaction.
        before: UTC text. Nobody's parts are kept for as long as those of a verified file.
        previews_before: The same for previews, which are small and shown in lists.
        count_max: At most so many at once.

    Returns:
        How many were given up; what they occupy becomes garbage.
    """
    idle = and_(
        or_(
            and_(part.c.kind != PartKind.PREVIEW.value, part.c.changed_at < before),
            and_(part.c.kind == PartKind.PREVIEW.value, part.c.changed_at < previews_before),
        ),
        part.c.offset_bytes > 0,
        ~_wanted(claim.c.header, before),
        ~_wanted(claim.c.pixels, before),
        ~_wanted(claim.c.preview, before),
    )
    names = connection.scalars(select(part.c.sha256).where(idle).order_by(part.c.changed_at).limit(count_max)).all()
    for name in names:
        reset_part(connection, name)
        connection.execute(delete(skeleton).where(skeleton.c.header == name))
    return len(names)


def _wanted(column: ColumnElement[str], before: str) -> ColumnElement[bool]:
    """Whether a file that is not verified, or superseded, for long enough names the part."""
    superseded = file.c.superseded_at.is_not(None)
    verified = and_(file.c.state == InstanceState.VERIFIED.value, file.c.verified_at < before)
    young = not_(or_(and_(superseded, file.c.superseded_at < before), verified))
    return exists().where(column == part.c.sha256, claim.c.file_id == file.c.file_id, young)


def drop_sessions_and_codes(connection: Connection, now_wall_s: int) -> None:
    """Those whose time is over."""
    connection.execute(delete(session).where(session.c.expires_wall_s < now_wall_s))
    drop_old_codes(connection, now_wall_s)
