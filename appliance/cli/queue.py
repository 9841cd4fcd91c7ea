"""``qafila queue``: every item that waits, in the order it goes, with the reason."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, print_json, reader_of, zone_now
from appliance.cli.exits import FINE
from appliance.domain import sentences
from appliance.store.snapshot import read_queue

ITEM_COUNT = 1000


def add(subparsers: Subparsers) -> None:
    """Register the ``queue`` command."""
    parser = subparsers.add_parser("queue", help="what waits for the centre, in the order it goes, and why")
    parser.add_argument("--limit", type=int, default=ITEM_COUNT, help=f"at most so many items (default {ITEM_COUNT})")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with reader_of(arguments) as reader:
        snapshot = reader.snapshot()
        items = read_queue(reader.unit_db, max(arguments.limit, 1))
        by_study = reader.forecasts(reader.live_facts()).by_study
    etas = {uid: str(forecast) for uid, forecast in by_study.items()}
    if arguments.json:
        told = {"eta": sentences.eta(snapshot), "eta_by_study": etas, "waits": snapshot.waits}
        print_json({"links": snapshot.links, **told, "items": items})
        return FINE
    now_s, zone = CLOCK.wall_s(), zone_now()
    for link in snapshot.links:
        print(sentences.link_line(link, snapshot.unsafe_study_count, now_s, zone))
    for line in snapshot.waits:
        print(line)
    print(f"Done in: {sentences.eta(snapshot)}." if items else "Nothing waits.")
    for item in items:
        stat = sentences.STAT_MARK if item.stat else ""
        since = sentences.clock_time(item.queued_at, zone, now_s)
        print(
            f"{stat:<6} {item.destination}  {sentences.item_state(item.state)}  {sentences.size(item.size_bytes)}  "
            f"since {since}  in {etas.get(item.study_instance_uid, 'unknown')}  tries {item.attempt_count}  "
            f"{item.sop_instance_uid}  {item.failure_sentence}".rstrip()
        )
    return FINE
