"""``qafila studies``: today's and all unsent studies; with ``--all`` or a text to find, the archive."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, print_json, reader_of, zone_now
from appliance.cli.exits import FINE
from appliance.domain import display, sentences
from appliance.domain.snapshot import StudyRow
from appliance.picture import UnitReader

PAGE_STUDY_COUNT = 200


def add(subparsers: Subparsers) -> None:
    """Register the ``studies`` command."""
    parser = subparsers.add_parser("studies", help="today's and unsent studies, or the archive")
    parser.add_argument("find", nargs="?", default="", help="text in name, ID, accession number, date or description")
    parser.add_argument("--all", action="store_true", help="every study, newest first, not only today's and unsent")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with reader_of(arguments) as reader:
        archive = arguments.all or arguments.find
        rows = _archive(reader, arguments.find) if archive else reader.snapshot().studies
    if arguments.json:
        print_json({"studies": rows})
        return FINE
    if not rows:
        print("No such study on this unit." if arguments.find else "No studies on this unit yet.")
    now_s, zone = CLOCK.wall_s(), zone_now()
    for row in rows:
        stat = sentences.STAT_MARK if row.stat else ""
        name = display.fit(display.person_name(row.patient_name), 24)
        patient_id = display.fit(display.safe_text(row.patient_id), 12)
        state = display.fit(sentences.study_state(row), 24)
        arrived = sentences.clock_time(row.last_received_at, zone, now_s)
        print(f"{stat:<6} {arrived:<16} {name} {patient_id} {row.instance_count:>4} {state} {row.study_instance_uid}")
    return FINE


def _archive(reader: UnitReader, text: str) -> tuple[StudyRow, ...]:
    """Every study that holds ``text``, page by page."""
    from appliance.store.snapshot import search_studies

    rows: list[StudyRow] = []
    before: int | None = None
    while True:
        page, before = search_studies(reader.unit_db, text, before_instance_id=before, limit=PAGE_STUDY_COUNT)
        rows += page
        if before is None:
            return tuple(rows)
