"""``qafila central courier import``: takes in a stick while the gateway runs, and writes the receipts back onto it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from appliance.cli.central_common import centre_of
from appliance.cli.common import CLOCK, print_json
from appliance.cli.exits import ENVIRONMENT, FINE, INTERRUPTED, NEEDS_PERSON, NOT_FOUND, CliError
from appliance.domain import sentences
from central.courier.importing import Importer, UnitReport, wait_until_settled
from central.courier.intake import Intake
from sync.courier.errors import StickError
from sync.courier.limits import CourierLimits
from sync.wire.messages import InstanceState

LOOK_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the action is about, beside the configuration."""
    parser.add_argument("what", choices=["import"], help="take in a stick")
    parser.add_argument("path", type=Path, metavar="PATH", help="where the stick is mounted")
    parser.add_argument("--receipts", action="store_true", help="only write the receipts back, read nothing")
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="at most so long until the PACS has all of it"
    )
    parser.add_argument("--identity", type=Path, metavar="FILE", help="open it with this age identity instead")


def run(arguments: argparse.Namespace) -> int:
    """Import and say what came of it."""
    try:
        reports = asyncio.run(_import(arguments))
    except KeyboardInterrupt:
        print("\nStopped. What was taken in stays; import the stick again for the rest.", file=sys.stderr)
        return INTERRUPTED
    except FileNotFoundError as error:
        raise CliError(
            f"{arguments.path} holds nothing of Qafila. Nothing was changed. Is it the stick, and is it mounted there?",
            NOT_FOUND,
            "nothing-there",
        ) from error
    except StickError as error:
        raise CliError(
            f"The stick cannot be read: {error.detail}. What was taken in stays. Put it in again and run this again; "
            "nothing comes twice.",
            ENVIRONMENT,
            f"stick-{error.fault}",
        ) from error
    if arguments.json:
        print_json({"units": [_as_json(report) for report in reports]})
    else:
        for report in reports:
            print(told(report, receipts_only=arguments.receipts))
        if not reports:
            print(f"There is no unit's folder on {arguments.path}. Nothing was changed.")
    return NEEDS_PERSON if any(report.problems for report in reports) else FINE


async def _import(arguments: argparse.Namespace) -> list[UnitReport]:
    with centre_of(arguments) as (config, database):
        intake = Intake(config, database, CLOCK)
        secret = arguments.identity.read_text(encoding="ascii").strip() if arguments.identity else intake.secret
        shows = sys.stderr.isatty() and not arguments.json
        importer = Importer(intake, CourierLimits(), secret, _show if shows else _silent)
        reports = await importer.bring(arguments.path, parcels=not arguments.receipts)
        if arguments.wait > 0:
            deadline_mono_s = CLOCK.mono_s() + arguments.wait
            await wait_until_settled(importer, reports, lambda: CLOCK.mono_s() > deadline_mono_s, LOOK_S)
            for again, report in zip(await importer.bring(arguments.path, parcels=False), reports, strict=True):
                report.replied = again.replied
        return reports


def _show(name: str, done: int, count: int) -> None:
    print(f"\r{name}: {done} of {count} parcels read", end="\n" if done == count else "", file=sys.stderr, flush=True)


def _silent(name: str, done: int, count: int) -> None:
    """For scripts."""


def told(report: UnitReport, *, receipts_only: bool = False) -> str:
    """What a person at the centre reads of one unit."""
    lines = [f"{report.name or report.unit_id}:"]
    if report.stick and not receipts_only:
        lines.append(f"  {_content(report)}")
        if not report.finished:
            lines.append("  The stick was removed before the unit had finished; the rest comes with its next export.")
    if report.replied:
        lines.append("  The receipts that exist so far are on the stick. ✓ You can remove the stick.")
    lines += [f"  ! {problem}" for problem in report.problems]
    return "\n".join(lines)


def _content(report: UnitReport) -> str:
    states = report.taken.states()
    verified, refused = states[InstanceState.VERIFIED], states[InstanceState.REFUSED]
    whole = states[InstanceState.REBUILDING]
    waiting = states[InstanceState.ANNOUNCED]
    parts = [
        f"{verified} in the PACS and verified" if verified else "",
        f"{whole} on their way to the PACS" if whole else "",
        f"{waiting} being put together" if waiting else "",
        f"{refused} refused, see 'qafila central studies'" if refused else "",
    ]
    total = sentences.counted(len(report.taken.instances), "image", "images")
    studies = sentences.studies(len(report.taken.study_uids))
    how = ", ".join(part for part in parts if part) or "nothing new"
    return f"{total} of {studies}: {how}; {sentences.size(report.taken.new_bytes)} new."


def _as_json(report: UnitReport) -> dict[str, object]:
    return {
        "unit_id": report.unit_id,
        "name": report.name,
        "stick": report.stick,
        "parcel_count": report.parcel_count,
        "finished": report.finished,
        "image_count": len(report.taken.instances),
        "study_count": len(report.taken.study_uids),
        "new_bytes": report.taken.new_bytes,
        "states": {state.value: count for state, count in report.taken.states().items()},
        "problems": report.problems,
        "replied": report.replied,
    }
