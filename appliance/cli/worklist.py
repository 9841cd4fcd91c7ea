"""``qafila worklist``: who is to be examined, and taking an exam off the list or putting it back."""

from __future__ import annotations

import argparse
import re
from datetime import date, datetime, timedelta

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.domain import display, sentences
from appliance.domain.registration import OPEN_STATES, Registration, RegistrationState
from appliance.domain.values import Priority
from appliance.registration.folding import ascii_digits, clean
from appliance.registration.identifiers import as_typed
from appliance.store.connect import Store, open_reader, open_unit, write
from appliance.store.registrations import (
    MoveRefusedError,
    RegistrationRow,
    list_registrations,
    move_registration,
    registration_row,
    registrations_named,
)

ROW_COUNT = 500
ACTIONS = {
    "list": None,
    "cancel": RegistrationState.CANCELLED,
    "discontinue": RegistrationState.DISCONTINUED,
    "complete": RegistrationState.COMPLETED,
    "reopen": RegistrationState.SCHEDULED,
}
STATES = {
    "open": OPEN_STATES,
    "all": frozenset(RegistrationState),
    **{state.value: frozenset({state}) for state in RegistrationState},
}
DONE = {
    RegistrationState.CANCELLED: "cancelled; consoles see it no more",
    RegistrationState.DISCONTINUED: "discontinued; consoles see it no more",
    RegistrationState.COMPLETED: "completed; consoles see it no more",
    RegistrationState.SCHEDULED: "on the worklist again",
}


def add(subparsers: Subparsers) -> None:
    """Register the ``worklist`` command."""
    parser = subparsers.add_parser(
        "worklist", help="who is to be examined; cancel, discontinue, complete or reopen an exam", description=__doc__
    )
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS, help="default: list")
    parser.add_argument("exam", nargs="?", default="", metavar="EXAM", help="accession number, or its end")
    parser.add_argument("--day", default="", metavar="DAY", help="today (default), yesterday, tomorrow, all, or a date")
    parser.add_argument("--modality", default="", type=str.upper)
    parser.add_argument("--state", default="", choices=STATES, metavar="STATE", help=f"{', '.join(STATES)}")
    parser.add_argument("--limit", type=int, default=ROW_COUNT, help=f"at most so many (default {ROW_COUNT})")
    parser.add_argument("--reason", default="", help="why; kept in the history")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    to_state = ACTIONS[arguments.action]
    if to_state is None:
        return _list(arguments)
    if not arguments.exam:
        raise CliError(
            f"Which exam? Give its accession number: qafila worklist {arguments.action} NUMBER. Nothing was changed.",
            USAGE,
            "no-exam-given",
        )
    return _move(arguments, to_state)


def _list(arguments: argparse.Namespace) -> int:
    from_date, to_date = _days(arguments.day)
    if not arguments.day:
        # What is still open from days before is today's work too.
        from_date = ""
    states = STATES[arguments.state or "open"]
    with open_reader(config_of(arguments).unit_db, clock=CLOCK) as db:
        rows = list_registrations(
            db,
            from_date=from_date,
            to_date=to_date,
            modality=arguments.modality,
            states=states,
            limit=max(arguments.limit, 1),
        )
    if arguments.json:
        print_json({"registrations": rows})
        return FINE
    for row in rows:
        print(_line(row))
    if not rows:
        print("Nobody waits.")
    return FINE


def _move(arguments: argparse.Namespace, to_state: RegistrationState) -> int:
    with open_unit(config_of(arguments).unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db, write(db):
        found = find_exam(db, arguments.exam)
        try:
            move_registration(db, db.stamp(), found.registration_key, to_state, actor(), arguments.reason)
        except MoveRefusedError as error:
            raise CliError(str(error), NEEDS_PERSON, "move-refused") from error
        row = registration_row(db, found.registration_key)
    if arguments.json:
        print_json({"registration": row})
    else:
        print(f"{found.accession_number}, {found.order.description}: {DONE[to_state]}.")
    return FINE


def find_exam(db: Store, typed: str) -> Registration:
    """The one registration that is, or whose accession number ends with, what was typed.

    Raises:
        CliError: None or several are.
    """
    wanted = ascii_digits(clean(typed))
    found = registrations_named(db, wanted, 2) or registrations_named(db, as_typed(wanted), 2)
    exact = [one for one in found if wanted in (one.registration_key, one.accession_number, one.study_instance_uid)]
    if len(exact or found) == 1:
        return (exact or list(found))[0]
    shown = display.safe_text(typed)
    if found:
        raise CliError(f"{shown!r} means several exams. Nothing was changed. Give more of it.", NOT_FOUND, "ambiguous")
    raise CliError(
        f"There is no exam {shown!r} on this unit. Nothing was changed. 'qafila worklist --day all --state all' lists "
        "all of them.",
        NOT_FOUND,
        "no-such-exam",
    )


def _days(typed: str) -> tuple[str, str]:
    """First and last day asked for, ``YYYYMMDD``; both empty for all."""
    today = datetime.fromtimestamp(CLOCK.wall_s(), zone_now()).date()
    words = {"": 0, "today": 0, "yesterday": -1, "tomorrow": 1}
    if typed == "all":
        return "", ""
    if typed in words:
        day = today + timedelta(days=words[typed])
    else:
        digits = re.sub(r"[-/.]", "", ascii_digits(clean(typed)))
        try:
            day = date.fromisoformat(digits)
        except ValueError:
            raise CliError(
                f"{display.safe_text(typed)!r} is no day; write today, yesterday, tomorrow, all or 2026-11-22.",
                USAGE,
                "no-day",
            ) from None
    text = day.isoformat().replace("-", "")
    return text, text


def _line(row: RegistrationRow) -> str:
    stat = sentences.STAT_MARK if row.priority == Priority.STAT else ""
    when = sentences.clock_time(row.scheduled_at, zone_now(), CLOCK.wall_s())
    name = display.fit(display.person_name(row.patient_name), 24)
    patient_id = display.fit(display.safe_text(row.patient_id), 16)
    images = "images here" if row.has_images else ""
    return (
        f"{stat:<6} {when:<16} {name} {patient_id} {row.modality:<3} {display.fit(row.description, 36)} "
        f"{row.accession_number:<16} {row.state} {images}"
    ).rstrip()
