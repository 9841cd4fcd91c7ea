"""``qafila complete UID``: say that all of a study is here, when its device does not; a late image reopens it."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of, find_study, print_json
from appliance.cli.exits import FINE
from appliance.cli.wishes import WRITE_WAIT_S, actor
from appliance.domain.completion import Complete
from appliance.domain.sentences import counted
from appliance.store.completion import mark_complete, read_completion
from appliance.store.connect import open_unit


def add(subparsers: Subparsers) -> None:
    """Register the ``complete`` command."""
    parser = subparsers.add_parser("complete", help="say that all of a study is here", description=__doc__)
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    parser.add_argument("--reason", default="", help="why; kept in the history")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with open_unit(config_of(arguments).unit_db, wait_s=WRITE_WAIT_S, clock=CLOCK) as db:
        uid = find_study(db, arguments.uid)
        mark_complete(db, db.stamp(), uid, Complete.PERSON, actor=actor(), detail=arguments.reason)
        completion = read_completion(db, uid)
    if arguments.json:
        print_json({"study_instance_uid": uid, "completion": completion})
        return FINE
    missing_count = completion.missing_count if completion else 0
    lacking = f", though {counted(missing_count, 'image', 'images')} that its device named did not come"
    print(f"Study {uid} is complete{lacking if missing_count else ''}. An image that comes later reopens it.")
    return FINE
