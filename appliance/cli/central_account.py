"""``qafila central account add | list | password | disable | enable``: the people who may look at the review pages."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys

from appliance.cli.central_common import centre_of
from appliance.cli.common import CLOCK, print_json
from appliance.cli.exits import FINE, NOT_FOUND, USAGE, CliError
from appliance.clock import utc_text
from central.review.access import PasswordError, Role, hash_password
from central.store import accounts as rows

NAME_CHARS_MAX = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the action needs besides the configuration."""
    parser.add_argument("what", choices=("add", "list", "password", "disable", "enable"))
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="what the person signs in with")
    parser.add_argument("--role", choices=[role.value for role in Role], help="for 'add'")
    parser.add_argument("--shown-name", default="", metavar="TEXT", help="for 'add': as reports are signed")
    parser.add_argument("--generate", action="store_true", help="make a password and print it, once")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    if arguments.what == "list":
        return _list(arguments)
    name = _name(arguments.name)
    if arguments.what in ("disable", "enable"):
        return _open_or_close(arguments, name)
    return _add(arguments, name) if arguments.what == "add" else _password(arguments, name)


def _list(arguments: argparse.Namespace) -> int:
    with centre_of(arguments) as (_, database), database.read() as connection:
        found = rows.list_accounts(connection)
    if arguments.json:
        print_json({"accounts": [{"name": a.name, "role": a.role, "disabled_at": a.disabled_at} for a in found]})
        return FINE
    if not found:
        print("There is no account yet. 'qafila central account add NAME --role admin' makes one.")
    for one in found:
        state = f"disabled {one.disabled_at}" if one.disabled_at else "may sign in"
        print(f"{one.name:<24} {one.role:<12} {state:<36} {one.shown_name}")
    return FINE


def _add(arguments: argparse.Namespace, name: str) -> int:
    if not arguments.role:
        raise CliError("Say what the account is for: --role reader, coordinator or admin.", USAGE, "no-role")
    with centre_of(arguments) as (_, database):
        password = _new_password(arguments)
        hashed = _hashed(password, name)
        shown = " ".join(arguments.shown_name.split())[:128] or name
        with database.write() as connection:
            made = rows.add_account(connection, name, shown, arguments.role, hashed, utc_text(CLOCK.wall_s()))
    if not made:
        raise CliError(f"There is an account {name} already. Nothing was changed.", USAGE, "account-exists")
    return _tell(arguments, name, password, f"{name} may sign in as {arguments.role}.")


def _password(arguments: argparse.Namespace, name: str) -> int:
    with centre_of(arguments) as (_, database):
        with database.read() as connection:
            found = _found(rows.account_named(connection, name), name)
        password = _new_password(arguments)
        hashed = _hashed(password, name)
        with database.write() as connection:
            rows.set_password(connection, found.account_id, hashed)
    return _tell(arguments, name, password, f"{name} has a new password; whoever was signed in with it is out.")


def _open_or_close(arguments: argparse.Namespace, name: str) -> int:
    closing = arguments.what == "disable"
    with centre_of(arguments) as (_, database), database.write() as connection:
        found = _found(rows.account_named(connection, name), name)
        rows.disable_account(connection, found.account_id, utc_text(CLOCK.wall_s()) if closing else None)
    sentence = f"{name} is out, from this moment. What was signed stays." if closing else f"{name} may sign in again."
    return _tell(arguments, name, "", sentence)


def _found(row: rows.AccountRow | None, name: str) -> rows.AccountRow:
    if row is None:
        raise CliError(
            f"There is no account {name} here. Nothing was changed. 'qafila central account list' lists them.",
            NOT_FOUND,
            "no-such-account",
        )
    return row


def _name(given: str) -> str:
    name = str(given).strip().casefold()
    if not 0 < len(name) <= NAME_CHARS_MAX or not all(c.isalnum() or c in "-_.@" for c in name):
        raise CliError(
            f"An account's name has 1 to {NAME_CHARS_MAX} letters, digits, '-', '_', '.' and '@'. Nothing was changed.",
            USAGE,
            "bad-name",
        )
    return name


def _new_password(arguments: argparse.Namespace) -> str:
    """Made, typed twice, or the first line of standard input; never an argument, which every user here would see."""
    if arguments.generate:
        return secrets.token_urlsafe(15)
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != password:
        raise CliError("The two are not the same. Nothing was changed.", USAGE, "passwords-differ")
    return password


def _hashed(password: str, name: str) -> str:
    try:
        return hash_password(password, name)
    except PasswordError as error:
        raise CliError(f"{error} Nothing was changed.", USAGE, "bad-password") from error


def _tell(arguments: argparse.Namespace, name: str, password: str, sentence: str) -> int:
    shown = password if arguments.generate else ""
    if arguments.json:
        print_json({"name": name, **({"password": shown} if shown else {})})
        return FINE
    if shown:
        print(shown)
    print(sentence)
    return FINE
