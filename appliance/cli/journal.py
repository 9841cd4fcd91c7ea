"""``qafila journal``: the append-only history, by study, and followed as it grows."""

from __future__ import annotations

import argparse
import json
import threading

import msgspec

from appliance.cli.common import Subparsers, add_options, find_study, reader_of
from appliance.cli.exits import FINE
from appliance.domain.display import safe_text
from appliance.domain.values import JournalEntry
from appliance.store.connect import Store, data_version
from appliance.store.journal import read_journal

PAGE_ROW_COUNT = 1000
FOLLOW_S = 0.25


def add(subparsers: Subparsers) -> None:
    """Register the ``journal`` command."""
    parser = subparsers.add_parser("journal", help="what happened, line by line")
    parser.add_argument("uid", nargs="?", metavar="UID", help="only this study (its beginning or end is enough)")
    parser.add_argument("--after", type=int, default=0, metavar="SEQ", help="only lines after this number")
    parser.add_argument("--follow", action="store_true", help="go on as it grows, until Ctrl-C")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    """With ``--json`` one object a line, so that a follower can read while it grows."""
    with reader_of(arguments) as reader:
        subject = find_study(reader.unit_db, arguments.uid) if arguments.uid else None
        seq = _print_after(reader.unit_db, subject, arguments.after, arguments.json)
        seen = data_version(reader.unit_db)
        pause = threading.Event()
        while arguments.follow:
            pause.wait(FOLLOW_S)
            version = data_version(reader.unit_db)
            if version != seen:
                seen = version
                seq = _print_after(reader.unit_db, subject, seq, arguments.json)
    return FINE


def _print_after(db: Store, subject: str | None, seq: int, as_json: bool) -> int:
    """Print every line after ``seq``; the number of the last one."""
    while rows := read_journal(db, subject, after_seq=seq, limit=PAGE_ROW_COUNT):
        for row in rows:
            print(json.dumps(msgspec.to_builtins(row), ensure_ascii=False) if as_json else _line(row), flush=True)
        seq = rows[-1].seq
    return seq


def _line(row: JournalEntry) -> str:
    move = f" {row.from_state or '-'} -> {row.to_state}" if row.to_state else ""
    return f"{row.seq} {row.at} {row.subject} {row.subject_id} {row.event}{move} {row.actor} {safe_text(row.detail)}"
