"""Who a request comes from: nonces, signatures, sessions, and whether there are two copies of one unit.

A token is stored as its digest only. A unit's sessions form one line: each names the one used before it. Two copies of
one key soon tell two different stories, and the second one is not let in; an answer that was lost breaks no line,
because a session nobody has used yet may be named or left out.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import OrderedDict
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection

from appliance.clock import Clock, utc_text
from appliance.logging import log
from central.gateway.epochs import epoch_for
from central.gateway.problems import Refusal, revoked, unauthorized
from central.limits import GatewayLimits
from central.store import units as rows
from central.store.database import Database
from central.store.units import SessionRow, UnitRow
from sync.wire.messages import SessionAnswer, SessionRequest
from sync.wire.proofs import session_message

LINEAGE_ALARM = "lineage"


@dataclass(frozen=True, slots=True)
class Caller:
    """The unit that a request comes from, and what every answer to it tells."""

    unit: UnitRow
    epoch: str


class Doorkeeper:
    """Lets units in."""

    def __init__(self, database: Database, limits: GatewayLimits, clock: Clock, backup_horizon_days: float) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._backup_horizon_days = backup_horizon_days
        self._nonces: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def nonce(self, unit_id: str) -> bytes:
        """32 random bytes for one signature; also for a unit that nobody knows, which learns nothing by it."""
        while len(self._nonces) >= self._limits.nonce_count_max:
            self._nonces.popitem(last=False)
        made = secrets.token_bytes(32)
        self._nonces[made] = (unit_id, self._clock.mono_s() + self._limits.nonce_s_max)
        return made

    async def open_session(self, request: SessionRequest) -> SessionAnswer:
        """A session for whoever holds the unit's key.

        Raises:
            Refusal: 401 when the nonce or the signature is not good, 403 when the unit is revoked, or a copy.
        """
        nonce = self._spend_nonce(request)
        unit = await self._database.reading(rows.unit_row, request.unit_id)
        if unit is None or not _signed(unit, nonce, request):
            raise unauthorized("signature", "The signature is not that of a unit of this centre. Open a session anew.")
        if unit.revoked:
            raise revoked()
        token = secrets.token_urlsafe(32)
        answer = await self._database.writing(self._open, request, token)
        if isinstance(answer, Refusal):
            raise answer
        log("gateway.auth", "session", unit=unit.name)
        return answer

    async def caller(self, authorization: str) -> Caller:
        """The unit of an ``Authorization`` header.

        Raises:
            Refusal: 401 without a living session, 403 when the unit is revoked.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized("no-token", "This needs a session. Open one and try again.")
        digest = _token_sha256(token.strip())

        def work(connection: Connection) -> tuple[SessionRow | None, str]:
            return rows.session_of_token(connection, digest), rows.current_epoch(connection)

        session, epoch = await self._database.reading(work)
        if session is None or session.expires_wall_s < self._clock.wall_s():
            raise unauthorized("session-over", "This session is over. Open a new one; nothing that is here is lost.")
        if session.unit.revoked:
            raise revoked()
        if not session.used:
            await self._database.writing(rows.use_session, session, self._now())
        return Caller(session.unit, epoch)

    def _spend_nonce(self, request: SessionRequest) -> bytes:
        nonce = raw_bytes(request.nonce)
        unit_id, until_mono_s = self._nonces.pop(nonce, ("", 0.0))
        if unit_id != request.unit_id or until_mono_s < self._clock.mono_s():
            raise unauthorized("nonce", "The nonce is unknown, used or too old. Ask for a new one.")
        return nonce

    def _open(self, connection: Connection, request: SessionRequest, token: str) -> SessionAnswer | Refusal:
        unit = rows.unit_row(connection, request.unit_id)
        if unit is None or unit.revoked:
            return revoked()
        if request.lineage not in rows.acceptable_lineage(connection, unit):
            return self._block_copy(connection, unit)
        epoch = epoch_for(connection, unit, request, self._now())
        session_id = secrets.token_hex(16)
        rows.add_session(
            connection,
            session_id,
            unit.unit_id,
            _token_sha256(token),
            self._now(),
            int(self._clock.wall_s()) + self._limits.session_s_max,
            self._limits.session_count_per_unit_max - 1,
        )
        rows.note_opened(connection, unit.unit_id, self._now(), request.software[:64])
        head = rows.unit_row(connection, unit.unit_id)
        return SessionAnswer(
            token=token,
            session_id=session_id,
            expires_in_s=self._limits.session_s_max,
            epoch=epoch,
            inbox_head=unit.inbox_head if head is None else head.inbox_head,
            backup_horizon_days=self._backup_horizon_days,
        )

    def _block_copy(self, connection: Connection, unit: UnitRow) -> Refusal:
        sentence = (
            f"Somebody with the key of unit {unit.name} tells of another past than the unit itself: there are two "
            "copies of it (a cloned disk), or its disk was put back to an older state. This one was not let in. Find "
            "out which one is right; revoke the unit and enrol the right one anew."
        )
        rows.raise_alarm(connection, unit.unit_id, LINEAGE_ALARM, sentence, self._now())
        log("gateway.auth", "second copy of a unit blocked", unit=unit.name)
        detail = (
            "Another copy of this unit is in use, or this one was put back to an older state. Its studies are safe on "
            "it; the administrator of the centre has to decide which one goes on."
        )
        return unauthorized("lineage", detail, 403)

    def _now(self) -> str:
        return utc_text(self._clock.wall_s())


def _signed(unit: UnitRow, nonce: bytes, request: SessionRequest) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(unit.public_key)
        key.verify(raw_bytes(request.signature), session_message(nonce, request.unit_id, request.lineage))
    except (InvalidSignature, ValueError):
        return False
    return True


def raw_bytes(text: str) -> bytes:
    """Of Base64; nothing at all for what is none."""
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return b""


def shown(raw: bytes) -> str:
    """Base64."""
    return b64encode(raw).decode("ascii")


def _token_sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
