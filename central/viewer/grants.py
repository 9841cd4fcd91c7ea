"""Who may see what in the full viewer: from a click on the pages to the last image, and no longer than the session.

A ticket in an address is good once and for a minute. It becomes a cookie of the viewer's own origin, which is worth
something only while the session of the pages lives: signing out, a new password or a disabled account end both.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from appliance.clock import Clock
from central.review.access import Access, Visitor
from central.review.limits import ReviewLimits
from central.store import viewing as rows
from central.store.database import Database


@dataclass(frozen=True, slots=True)
class Viewing:
    """What a browser may see now."""

    visitor: Visitor
    token_sha256: str
    studies: Mapping[str, Row[Any]]


class Grants:
    """Tickets out, tokens in."""

    def __init__(self, database: Database, access: Access, limits: ReviewLimits, clock: Clock) -> None:
        self._database = database
        self._access = access
        self._limits = limits
        self._clock = clock

    async def ticket(self, visitor: Visitor, uid: str) -> str:
        """For the address of the viewer; whether the study may be seen was looked at by the caller."""
        ticket, now_wall_s = secrets.token_urlsafe(32), int(self._clock.wall_s())
        until = now_wall_s + self._limits.viewer_ticket_s
        await self._database.writing(rows.add_ticket, _sha256(ticket), visitor.session, uid, now_wall_s, until)
        return ticket

    async def enter(self, ticket: str, token: str) -> tuple[str, str] | None:
        """The browser's token from now on and the study that was opened; ``None`` when the ticket is none.

        Args:
            ticket: Of the address.
            token: That the browser has already; it is kept when it is of the same session.
        """
        now_wall_s = int(self._clock.wall_s())
        fresh = secrets.token_urlsafe(32)

        def take(connection: Connection) -> tuple[str, str] | None:
            found = rows.take_ticket(connection, _sha256(ticket), now_wall_s)
            if found is None:
                return None
            session, uid = found
            same = token and rows.session_of_token(connection, _sha256(token), now_wall_s) == session
            kept = token if same else fresh
            rows.add_grant(connection, _sha256(kept), session, uid, now_wall_s + self._limits.viewer_grant_s)
            return kept, uid

        return await self._database.writing(take) if 0 < len(ticket) <= 128 and len(token) <= 128 else None

    async def viewing(self, token: str) -> Viewing | None:
        """What a token shows now; ``None`` when its time or its session is over."""
        if not 0 < len(token) <= 128:
            return None
        now_wall_s, sha256 = int(self._clock.wall_s()), _sha256(token)
        session = await self._database.reading(rows.session_of_token, sha256, now_wall_s)
        visitor = await self._access.holder(session) if session else None
        if visitor is None:
            return None
        count_max = self._limits.viewer_prior_count_max
        studies = await self._database.reading(rows.visible_studies, sha256, session, now_wall_s, count_max)
        return Viewing(visitor, sha256, studies)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
