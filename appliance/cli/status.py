"""``qafila status``: what is safe, what waits, whether power may go; exit code 1 when something needs a person."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, as_text, print_json, reader_of, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON
from appliance.domain import sentences


def add(subparsers: Subparsers) -> None:
    """Register the ``status`` command."""
    parser = subparsers.add_parser("status", help="what is safe, what waits, and whether power may go")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with reader_of(arguments) as reader:
        snapshot = reader.snapshot()
    needs_person = sentences.needs_person(snapshot)
    if arguments.json:
        print_json({"needs_person": needs_person, "eta": sentences.eta(snapshot), **_facts(snapshot)})
        return NEEDS_PERSON if needs_person else FINE
    now_s, zone = CLOCK.wall_s(), zone_now()
    for line in (*sentences.status_segments(snapshot, now_s, zone), *snapshot.waits):
        print(line)
    for link in snapshot.links:
        print(sentences.link_line(link, snapshot.unsafe_study_count, now_s, zone))
    for finding in snapshot.findings:
        print(sentences.finding_line(finding))
    print(sentences.power_line(snapshot.power))
    return NEEDS_PERSON if needs_person else FINE


def _facts(snapshot: object) -> dict[str, object]:
    """All of the snapshot but its studies and exams, which ``qafila studies`` and ``qafila worklist`` list."""
    import msgspec

    facts: dict[str, object] = msgspec.to_builtins(snapshot, enc_hook=as_text)
    del facts["studies"], facts["expected"]
    return facts
