"""``qafila import``: pictures, videos, papers and DICOM media from handheld devices, cameras, scanners and sticks.

Files are only read. What is stored is in the unit like any modality's picture; importing it again does no harm.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, print_json
from appliance.cli.exits import ENVIRONMENT, FINE, INTERRUPTED, NEEDS_PERSON, NOT_FOUND, CliError
from appliance.cli.wishes import actor
from appliance.domain import sentences
from appliance.domain.display import safe_text
from appliance.imports.finding import Found, find
from appliance.imports.identity import Device
from appliance.imports.importer import Importer, Outcome, State
from appliance.imports.problems import ImportProblem
from appliance.store.import_targets import ImportTarget

_STOPPING = frozenset({"door-closed", "door-not-admitted", "door-full", "no-room"})
"""What meets one file meets all that follow."""


def add(subparsers: Subparsers) -> None:
    """Register the ``import`` command."""
    parser = subparsers.add_parser(
        "import", help="bring in pictures, videos, papers and DICOM media", description=__doc__
    )
    parser.add_argument("path", nargs="+", type=Path, metavar="PATH", help="a file, a folder, or a medium's DICOMDIR")
    parser.add_argument(
        "--registration",
        default="",
        metavar="ACCESSION|KEY",
        help="whom pictures, videos and papers belong to; DICOM says so itself",
    )
    parser.add_argument(
        "--device",
        choices=[device.value for device in Device],
        help="what they were taken with (default: as the registered exam says)",
    )
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = config_of(arguments)
    outcomes: list[Outcome] = []
    found = Found()
    code = FINE
    with Importer(config, CLOCK, actor()) as importer:
        target = _target(importer, arguments.registration) if arguments.registration else None
        shows = sys.stderr.isatty() and not arguments.json
        try:
            found = find(arguments.path, importer, config.limits)
            outcomes += found.problems
            _bring_all(importer, found, target, arguments, outcomes, shows)
        except KeyboardInterrupt:
            code = INTERRUPTED
    if any(outcome.state is State.REFUSED for outcome in outcomes) and code == FINE:
        code = ENVIRONMENT if outcomes[-1].code in _STOPPING else NEEDS_PERSON
    left_count = len(found.files) + len(found.problems) - len(outcomes)
    if arguments.json:
        print_json(
            {
                "files": outcomes,
                "counts": {state.value: _count(outcomes)[state] for state in State},
                "left_out_count": found.left_out_count,
                "not_tried_count": left_count,
            }
        )
    else:
        _tell(outcomes, found, left_count)
    return code


def _target(importer: Importer, wanted: str) -> ImportTarget:
    try:
        return importer.target(wanted)
    except ImportProblem as problem:
        shown = safe_text(wanted)
        if problem.code == "registration-cancelled":
            raise CliError(
                f"The registration {shown} was cancelled. Nothing was imported. Register the exam again.",
                NEEDS_PERSON,
                problem.code,
            ) from problem
        raise CliError(
            f"There is no registration {shown} on this unit. Nothing was imported. 'qafila worklist' lists them.",
            NOT_FOUND,
            problem.code,
        ) from problem


def _bring_all(
    importer: Importer,
    found: Found,
    target: ImportTarget | None,
    arguments: argparse.Namespace,
    outcomes: list[Outcome],
    shows: bool,
) -> None:
    """One file after the other, until the door says that no other would go in either."""
    device = Device(arguments.device) if arguments.device else None
    for number, path in enumerate(found.files, 1):
        sent_bytes = 0

        def on_bytes(count: int, number: int = number) -> None:
            nonlocal sent_bytes
            before, sent_bytes = sent_bytes, sent_bytes + count
            if shows and before >> 20 != sent_bytes >> 20:
                _show(f"{number} of {len(found.files)}: {sentences.size(sent_bytes)} stored")

        if shows:
            _show(f"{number} of {len(found.files)}: reading {safe_text(path.name)}")
        outcomes.append(importer.bring(path, target, device, on_bytes))
        if outcomes[-1].code in _STOPPING:
            break
    if shows:
        _show("")


def _show(text: str) -> None:
    """Replace the line of progress."""
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _count(outcomes: list[Outcome]) -> Counter[State]:
    return Counter(outcome.state for outcome in outcomes)


def _tell(outcomes: list[Outcome], found: Found, left_count: int) -> None:
    for outcome in outcomes:
        if outcome.state is State.REFUSED:
            print(f"! {outcome.sentence}")
        else:
            word = "✓ stored      " if outcome.state is State.STORED else "= already here"
            print(" ".join((word, outcome.path, *outcome.notes)))
    counts = _count(outcomes)
    parts = [f"{sentences.counted(counts[State.STORED], 'file', 'files')} stored"]
    parts += [f"{counts[State.ALREADY_HERE]} already here"] if counts[State.ALREADY_HERE] else []
    parts += [f"{counts[State.REFUSED]} not imported"] if counts[State.REFUSED] else []
    parts += [f"{left_count} not tried"] if left_count else []
    parts += [f"{found.left_out_count} others left out"] if found.left_out_count else []
    print(", ".join(parts) + ". Importing again does no harm: nothing comes twice.")
