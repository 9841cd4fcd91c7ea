"""``qafila central enrol | units | revoke | new-epoch``: which units there are, and what they may."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from msgspec import structs
from sqlalchemy import Connection

from appliance.cli.central_common import centre_of
from appliance.cli.common import CLOCK, print_json, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, USAGE, CliError
from appliance.clock import utc_text
from appliance.domain import sentences
from central.fleet.judging import Standing, standing
from central.fleet.sentences import sentences_of
from central.gateway.enrol import EnrolError, make_code
from central.gateway.epochs import begin_epoch
from central.store.fleet import unit_rows
from central.store.listing import UnitShown, list_units
from central.store.units import revoke_unit, unit_named
from sync.wire.proofs import shown_code

NAME_CHARS_MAX = 32


def run(arguments: argparse.Namespace) -> int:
    """Do the action that was asked for."""
    actions = {"enrol": _enrol, "units": _units, "revoke": _revoke, "new-epoch": _new_epoch}
    return actions[arguments.action](arguments)


def _enrol(arguments: argparse.Namespace) -> int:
    name = arguments.name
    if not 0 < len(name) <= NAME_CHARS_MAX or not all(c.isalnum() or c in "-_." for c in name):
        raise CliError(
            f"A unit's name has 1 to {NAME_CHARS_MAX} letters, digits, '-', '_' and '.'. Nothing was changed.",
            USAGE,
            "bad-name",
        )
    with centre_of(arguments) as (config, database), database.write() as connection:
        hours = config.gateway.enrol_code_hours
        try:
            code = shown_code(make_code(connection, name, CLOCK.wall_s(), hours * 3600))
        except EnrolError as error:
            raise CliError(str(error), USAGE, "already-enrolled") from error
    if arguments.json:
        print_json({"name": name, "code": code, "valid_hours": hours})
        return FINE
    print(code)
    print(f"Type this code at unit {name} within {hours:g} hours. It works once, and it is not shown again.")
    return FINE


def _units(arguments: argparse.Namespace) -> int:
    with centre_of(arguments) as (config, database), database.read() as connection:
        units = list_units(connection)
        judged = (standing(row, CLOCK.wall_s(), config.fleet) for row in unit_rows(connection))
        standings = {one.row.unit_id: one for one in judged}
    needs_person = any(one.alarms and not one.revoked_at for one in units) or any(
        one.alarms for one in standings.values()
    )
    if arguments.json:
        print_json({"units": [{**asdict(one), "standing": _standing(standings.get(one.unit_id))} for one in units]})
    else:
        if not units:
            print("No unit is enrolled yet. 'qafila central enrol NAME' makes a code for one.")
        for one in units:
            print(_line(one))
            for alarm in one.alarms:
                print(f"  ALARM {alarm.at} {alarm.sentence}")
            for said in sentences_of(standings[one.unit_id]) if one.unit_id in standings else ():
                print(f"  ALARM {said}")
    return NEEDS_PERSON if needs_person else FINE


def _standing(now: Standing | None) -> dict[str, Any] | None:
    """How a unit is, as the fleet page has it; of a revoked one nothing."""
    if now is None:
        return None
    return {
        "alarms": now.alarms,
        "silent_s": now.silent_s,
        "oldest_unsent_s": now.oldest_unsent_s,
        "clock_ahead_s": now.clock_ahead_s,
        "report_at": now.row.report_at,
        "report": None if now.row.report is None else structs.asdict(now.row.report),
    }


def _line(one: UnitShown) -> str:
    now_s, zone = CLOCK.wall_s(), zone_now()
    state = f"revoked {sentences.clock_time(one.revoked_at, zone, now_s)}" if one.revoked_at else "enrolled"
    seen = sentences.clock_time(one.seen_at, zone, now_s) if one.seen_at else "never"
    return f"{one.name:<20} {state:<24} last heard of {seen:<16} {one.study_count:>5} studies  {one.unit_id}"


def _revoke(arguments: argparse.Namespace) -> int:
    with centre_of(arguments) as (_, database), database.write() as connection:
        found = unit_named(connection, arguments.name)
        if found is None:
            raise CliError(
                f"There is no unit {arguments.name} here. Nothing was changed. 'qafila central units' lists them.",
                NOT_FOUND,
                "no-such-unit",
            )
        if not found.revoked:
            revoke_unit(connection, found.unit_id, utc_text(CLOCK.wall_s()))
    if arguments.json:
        print_json({"name": arguments.name, "unit_id": found.unit_id, "revoked": True})
        return FINE
    print(
        f"{arguments.name} is revoked: nothing more is taken from it, from this moment. What it has delivered stays. "
        f"'qafila central enrol {arguments.name}' lets a unit of this name in again."
    )
    return FINE


def _new_epoch(arguments: argparse.Namespace) -> int:
    def begin(connection: Connection) -> str:
        return begin_epoch(connection, utc_text(CLOCK.wall_s()), "an administrator said so")

    with centre_of(arguments) as (_, database), database.write() as connection:
        epoch = begin(connection)
    if arguments.json:
        print_json({"epoch": epoch})
        return FINE
    print(f"A new epoch has begun: {epoch}. Every unit has checked what it delivered, and sends again what is missing.")
    return FINE
