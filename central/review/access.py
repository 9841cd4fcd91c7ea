"""Who may come in: passwords, sessions, locks and roles. No page and no HTTP here.

A session is a random token in the browser and its SHA-256 in the database, so that it ends the moment its row goes:
when somebody signs out, gets another password, or is disabled.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from appliance.clock import Clock, utc_text
from central.review.limits import ReviewLimits
from central.store import accounts as rows
from central.store.accounts import AccountRow
from central.store.database import Database

PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 200
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_USE_GRAIN_S = 60
"""How stale ``used_wall_s`` may be: pages that look every two seconds do not write every two seconds."""


class Role(StrEnum):
    """What an account may do; each page names the roles that it is for."""

    READER = "reader"
    COORDINATOR = "coordinator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in."""

    account_id: int
    name: str
    shown_name: str
    role: Role
    session: str
    """SHA-256 of the token; names the session in memory and in the audit, and opens nothing."""
    csrf: str
    language: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nobody came in."""

    reason: str
    """``wrong``, ``locked`` (for this account) or ``busy`` (for this address)."""
    wait_s: int = 0


class PasswordError(Exception):
    """A password that cannot be taken; the text says why."""


def hash_password(password: str, name: str) -> str:
    """What is stored of a password.

    Raises:
        PasswordError: If it is too short, too long, or the account's name.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise PasswordError(f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.")
    if name.casefold() in password.casefold() and len(password) < len(name) + PASSWORD_CHARS_MIN:
        raise PasswordError("A password is not made of the account's name.")
    return _HASHER.hash(password)


_NOBODY = _HASHER.hash(secrets.token_hex(16))
"""Checked where there is no such account, so that the answer takes as long."""


def _is_right(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def csrf_of(token: str) -> str:
    """What a form must bring back: known to pages of ours, and to nobody who has not the token."""
    return hmac.new(token.encode(), b"qafila csrf v1", hashlib.sha256).hexdigest()


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Access:
    """The pages' doorkeeper."""

    def __init__(
        self, database: Database, limits: ReviewLimits, clock: Clock, *, session_s: float, idle_s: float
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._session_s = int(session_s)
        self._idle_s = int(idle_s)
        self._hashing = asyncio.Semaphore(limits.hashing_count_max)
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    async def sign_in(self, name: str, password: str, address: str) -> tuple[str, Visitor] | Refused:
        """A token and who it stands for.

        The password is looked at only when neither the address nor the account has to wait; a lock is kept in the
        database and outlives restarts.
        """
        if (wait_s := self.wait_of_address(address)) > 0:
            return Refused("busy", wait_s)
        name, now_wall_s = name.strip().casefold()[:64], int(self._clock.wall_s())
        found: AccountRow | None = await self._database.reading(rows.account_named, name)
        if found is not None and found.locked_until_wall_s > now_wall_s:
            return Refused("locked", found.locked_until_wall_s - now_wall_s)
        usable = found is not None and found.disabled_at is None
        async with self._hashing:
            stored = found.password_hash if found is not None and usable else _NOBODY
            right = await asyncio.to_thread(_is_right, stored, password[:PASSWORD_CHARS_MAX])
        if found is None or not usable:
            return Refused("wrong")
        if not right:
            return await self._database.writing(self._note_wrong, found.name, now_wall_s)
        token = secrets.token_urlsafe(32)
        await self._database.writing(self._open, found, token, now_wall_s)
        return token, _visitor(found, _sha256(token), csrf_of(token))

    def wait_of_address(self, address: str) -> int:
        """Seconds until this address may try again; a try is counted when it may now."""
        now_mono_s, window_s = self._clock.mono_s(), self._limits.sign_in_window_s
        tries = self._tries.setdefault(address, deque())
        self._tries.move_to_end(address)
        while len(self._tries) > self._limits.address_count_max:
            self._tries.popitem(last=False)
        while tries and tries[0] <= now_mono_s - window_s:
            tries.popleft()
        if len(tries) >= self._limits.sign_in_count_max:
            return max(1, int(tries[0] + window_s - now_mono_s))
        tries.append(now_mono_s)
        return 0

    def _note_wrong(self, connection: Connection, name: str, now_wall_s: int) -> Refused:
        """Counted on what the row says now: tries that came together count each."""
        known = rows.account_named(connection, name)
        assert known is not None
        count, over = known.wrong_count + 1, known.wrong_count + 1 - self._limits.wrong_count_max
        wait_s = min(self._limits.lock_s_first * 2 ** min(over, 20), self._limits.lock_s_max) if over >= 0 else 0
        rows.note_wrong(connection, known.account_id, count, now_wall_s + wait_s if wait_s else 0)
        return Refused("locked", wait_s) if wait_s else Refused("wrong")

    def _open(self, connection: Connection, of: AccountRow, token: str, now_wall_s: int) -> None:
        rows.note_wrong(connection, of.account_id, 0, 0)
        keep, at = self._limits.session_count_per_account_max, utc_text(now_wall_s)
        until = now_wall_s + self._session_s
        rows.open_session(connection, _sha256(token), of.account_id, at, now_wall_s, until, keep)

    async def visitor(self, token: str, *, by_itself: bool = False) -> Visitor | None:
        """Whoever holds this token now; ``None`` when nobody does any more.

        Args:
            token: Of the browser's cookie.
            by_itself: The page asks, and nobody touched anything: this keeps no session open.
        """
        if not token or len(token) > 128:
            return None
        found = await self._alive(_sha256(token), by_itself=by_itself)
        return _visitor(found.account, found.token_sha256, csrf_of(token)) if found else None

    async def holder(self, session: str) -> Visitor | None:
        """Whose session this is, by its name; for the full viewer, in which looking is using."""
        found = await self._alive(session, by_itself=False)
        return _visitor(found.account, found.token_sha256, "") if found else None

    async def _alive(self, session: str, *, by_itself: bool) -> rows.OpenSession | None:
        found = await self._database.reading(rows.session_of, session)
        now_wall_s = int(self._clock.wall_s())
        if found is None or found.account.disabled_at is not None:
            return None
        idle_s = now_wall_s - found.used_wall_s
        if now_wall_s >= found.expires_wall_s or idle_s >= self._idle_s:
            await self._database.writing(rows.end_session, found.token_sha256)
            return None
        if idle_s >= _USE_GRAIN_S and not by_itself:
            await self._database.writing(rows.use_session, found.token_sha256, now_wall_s)
        return found

    async def sign_out(self, visitor: Visitor) -> None:
        """This session ends."""
        await self._database.writing(rows.end_session, visitor.session)

    async def confirm(self, visitor: Visitor, password: str, address: str) -> Refused | None:
        """Whether it is still the same person who signs something; ``None``: yes. Counted as signing in is."""
        if (wait_s := self.wait_of_address(address)) > 0:
            return Refused("busy", wait_s)
        found, now_wall_s = await self._database.reading(rows.account_named, visitor.name), int(self._clock.wall_s())
        if found is None or found.disabled_at is not None:
            return Refused("wrong")
        if found.locked_until_wall_s > now_wall_s:
            return Refused("locked", found.locked_until_wall_s - now_wall_s)
        async with self._hashing:
            right = await asyncio.to_thread(_is_right, found.password_hash, password[:PASSWORD_CHARS_MAX])
        if not right:
            return await self._database.writing(self._note_wrong, found.name, now_wall_s)
        await self._database.writing(rows.note_wrong, found.account_id, 0, 0)
        return None

    async def change_password(self, visitor: Visitor, old: str, new: str) -> bool:
        """Another password for who is signed in; every session of the account ends. ``False``: the old one is wrong.

        Raises:
            PasswordError: If the new one cannot be taken.
        """
        found = await self._database.reading(rows.account_named, visitor.name)
        async with self._hashing:
            stored = found.password_hash if found is not None else _NOBODY
            right = await asyncio.to_thread(_is_right, stored, old[:PASSWORD_CHARS_MAX])
            if not right or found is None:
                return False
            hashed = await asyncio.to_thread(hash_password, new, visitor.name)
        await self._database.writing(rows.set_password, found.account_id, hashed)
        return True


def _visitor(of: AccountRow, session: str, csrf: str) -> Visitor:
    return Visitor(of.account_id, of.name, of.shown_name, Role(of.role), session, csrf, of.language)
