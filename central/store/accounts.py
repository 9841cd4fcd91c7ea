"""Rows of the people who may look: accounts and their sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from central.store.review_tables import account, account_session


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One person's account."""

    account_id: int
    name: str
    shown_name: str
    role: str
    password_hash: str
    made_at: str
    disabled_at: str | None
    wrong_count: int
    locked_until_wall_s: int
    language: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that a token stands for, with its account."""

    token_sha256: str
    used_wall_s: int
    expires_wall_s: int
    account: AccountRow


def _account(row: Row[Any]) -> AccountRow:
    return AccountRow(**{name: getattr(row, name) for name in AccountRow.__slots__})


def add_account(connection: Connection, name: str, shown_name: str, role: str, password_hash: str, at: str) -> bool:
    """Make an account; ``False`` when there is one of this name."""
    if account_named(connection, name) is not None:
        return False
    row = {"name": name, "shown_name": shown_name, "role": role, "password_hash": password_hash, "made_at": at}
    connection.execute(insert(account).values(wrong_count=0, locked_until_wall_s=0, language="", **row))
    return True


def account_named(connection: Connection, name: str) -> AccountRow | None:
    """The account that is signed in to with ``name``."""
    found = connection.execute(select(account).where(account.c.name == name)).one_or_none()
    return None if found is None else _account(found)


def list_accounts(connection: Connection) -> list[AccountRow]:
    """All accounts, by name."""
    return [_account(row) for row in connection.execute(select(account).order_by(account.c.name))]


def set_password(connection: Connection, account_id: int, password_hash: str) -> None:
    """Another password; every open session ends, and a lock with it."""
    free = {"password_hash": password_hash, "wrong_count": 0, "locked_until_wall_s": 0}
    connection.execute(update(account).where(account.c.account_id == account_id).values(**free))
    end_sessions(connection, account_id)


def disable_account(connection: Connection, account_id: int, at: str | None) -> None:
    """Nobody signs in with it from now on, and who is signed in is out; ``None`` opens it again."""
    connection.execute(update(account).where(account.c.account_id == account_id).values(disabled_at=at))
    end_sessions(connection, account_id)


def note_wrong(connection: Connection, account_id: int, wrong_count: int, locked_until_wall_s: int) -> None:
    """A wrong password; 0 forgets all of them."""
    said = {"wrong_count": wrong_count, "locked_until_wall_s": locked_until_wall_s}
    connection.execute(update(account).where(account.c.account_id == account_id).values(**said))


def set_language(connection: Connection, account_id: int, language: str) -> None:
    """The language that this person reads."""
    connection.execute(update(account).where(account.c.account_id == account_id).values(language=language))


def open_session(
    connection: Connection, token_sha256: str, account_id: int, at: str, now_wall_s: int, expires_wall_s: int, keep: int
) -> None:
    """Open a session; of the account's older ones at most ``keep - 1`` stay, and none whose time is over."""
    connection.execute(delete(account_session).where(account_session.c.expires_wall_s <= now_wall_s))
    mine = select(account_session.c.token_sha256).where(account_session.c.account_id == account_id)
    surplus = list(connection.scalars(mine.order_by(account_session.c.opened_at.desc())))[max(0, keep - 1) :]
    if surplus:
        connection.execute(delete(account_session).where(account_session.c.token_sha256.in_(surplus)))
    row = {"token_sha256": token_sha256, "account_id": account_id, "opened_at": at}
    connection.execute(insert(account_session).values(used_wall_s=now_wall_s, expires_wall_s=expires_wall_s, **row))


def session_of(connection: Connection, token_sha256: str) -> OpenSession | None:
    """The session of a token, whether its time is over or not."""
    both = select(account, account_session.c.used_wall_s, account_session.c.expires_wall_s)
    joined = both.join(account_session, account_session.c.account_id == account.c.account_id)
    row = connection.execute(joined.where(account_session.c.token_sha256 == token_sha256)).one_or_none()
    return None if row is None else OpenSession(token_sha256, row.used_wall_s, row.expires_wall_s, _account(row))


def use_session(connection: Connection, token_sha256: str, now_wall_s: int) -> None:
    """It was used now."""
    mine = account_session.c.token_sha256 == token_sha256
    connection.execute(update(account_session).where(mine).values(used_wall_s=now_wall_s))


def end_session(connection: Connection, token_sha256: str) -> None:
    """Sign out."""
    connection.execute(delete(account_session).where(account_session.c.token_sha256 == token_sha256))


def end_sessions(connection: Connection, account_id: int) -> None:
    """Sign out everywhere."""
    connection.execute(delete(account_session).where(account_session.c.account_id == account_id))
