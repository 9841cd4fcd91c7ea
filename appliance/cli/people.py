"""``qafila people``: who may sign in at the screen; nobody listed: nobody has to."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json
from appliance.cli.exits import FINE, NOT_FOUND, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.domain.display import safe_text
from appliance.people import roster
from appliance.registration.folding import clean
from appliance.store.connect import Store, open_reader, open_unit
from appliance.store.people import Person, Role, find_person, list_people


def add(subparsers: Subparsers) -> None:
    """Register the ``people`` command."""
    parser = subparsers.add_parser("people", help="who may sign in at the screen", description=__doc__)
    actions = parser.add_subparsers(dest="people_action", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="let somebody sign in; asks for a PIN, or reads it from standard input")
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("--role", default=Role.TECHNOLOGIST, choices=tuple(Role))
    listing = actions.add_parser("list", help="everybody who may sign in")
    removing = actions.add_parser("remove", help="let somebody sign in no more; what they did stays theirs")
    removing.add_argument("name", metavar="NAME")
    changing = actions.add_parser("pin", help="give somebody another PIN")
    changing.add_argument("name", metavar="NAME")
    for each, handler in ((adding, _add), (listing, _list), (removing, _remove), (changing, _pin)):
        add_options(each)
        each.set_defaults(handler=handler)


def _add(arguments: argparse.Namespace) -> int:
    pin = _typed_pin()
    with _changing(arguments) as db:
        person = roster.add(db, db.stamp(), arguments.name, Role(arguments.role), pin, actor())
    return _said(arguments, person, f"{person.name} may sign in as {person.role}.")


def _list(arguments: argparse.Namespace) -> int:
    with open_reader(config_of(arguments).unit_db, clock=CLOCK) as db:
        people = list_people(db)
    if arguments.json:
        print_json({"people": people})
        return FINE
    for one in people:
        print(f"{one.role:<13} {safe_text(one.name)}")
    if not people:
        print("Nobody is listed, so nobody has to sign in.")
    return FINE


def _remove(arguments: argparse.Namespace) -> int:
    with _changing(arguments) as db:
        person = _known(db, arguments.name)
        roster.remove(db, db.stamp(), person, actor())
    return _said(arguments, person, f"{person.name} signs in no more.")


def _pin(arguments: argparse.Namespace) -> int:
    with _changing(arguments) as db:
        person = _known(db, arguments.name)
        roster.change_pin(db, db.stamp(), person, _typed_pin(), actor())
    return _said(arguments, person, f"{person.name} has another PIN.")


@contextmanager
def _changing(arguments: argparse.Namespace) -> Iterator[Store]:
    """The unit's records; what is refused changes nothing."""
    with open_unit(config_of(arguments).unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
        try:
            yield db
        except roster.PeopleRefusedError as refused:
            raise CliError(f"{refused} Nothing was changed.", USAGE, refused.code) from refused


def _known(db: Store, name: str) -> Person:
    person = find_person(db, clean(name))
    if person is None:
        raise CliError(
            f"Nobody called {safe_text(name)!r} may sign in. Nothing was changed. 'qafila people list' shows who may.",
            NOT_FOUND,
            "no-such-person",
        )
    return person


def _typed_pin() -> str:
    """From the keyboard, unseen and twice; or a line of standard input. Never an argument, which others can see."""
    if sys.stdin.isatty():
        typed = getpass.getpass("PIN: ")
        if getpass.getpass("The same again: ") != typed:
            raise CliError("The two are not the same. Nothing was changed.", USAGE, "pin-differs")
    else:
        typed = sys.stdin.readline()
    return typed


def _said(arguments: argparse.Namespace, person: Person, sentence: str) -> int:
    if arguments.json:
        print_json({"person": person})
    else:
        print(sentence)
    return FINE
