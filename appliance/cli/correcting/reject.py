"""``qafila reject``: pictures that cannot be used are kept, marked and not sent."""

from __future__ import annotations

import argparse

from appliance.cli.common import Subparsers, find_study
from appliance.cli.correcting.common import add_who_and_why, at_desk, said
from appliance.corrections.reasons import REASONS
from appliance.corrections.rejecting import reject


def add(subparsers: Subparsers) -> None:
    """Register the ``reject`` command."""
    parser = subparsers.add_parser("reject", help="reject pictures for a reason of the list")
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    parser.add_argument("why", metavar="WHY", choices=REASONS, help=", ".join(REASONS))
    parser.add_argument(
        "--image", action="append", required=True, metavar="UID", help="SOP Instance UID; again for more"
    )
    add_who_and_why(parser, reason_required=False)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with at_desk(arguments) as (actions, who):
        study = find_study(actions.db, arguments.uid)
        done = reject(actions, study, arguments.image, arguments.why, arguments.reason, who)
        return said(arguments, actions, [done])
