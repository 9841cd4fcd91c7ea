"""``qafila study UID``: one study with its progress, its images and its history."""

from __future__ import annotations

import argparse

from appliance.cli.common import CLOCK, Subparsers, add_options, find_study, print_json, reader_of, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, CliError
from appliance.domain import display, sentences
from appliance.domain.snapshot import StudyRow, StudyState
from appliance.store.journal import read_journal
from appliance.store.snapshot import read_study

JOURNAL_COUNT = 1000


def add(subparsers: Subparsers) -> None:
    """Register the ``study`` command."""
    parser = subparsers.add_parser("study", help="one study: progress, images, history")
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with reader_of(arguments) as reader:
        uid = find_study(reader.unit_db, arguments.uid)
        found = read_study(reader.unit_db, uid, reader.live_facts().in_flight_bytes_by_item)
        journal = read_journal(reader.unit_db, uid, limit=JOURNAL_COUNT)
        links = reader.snapshot().links
    if found is None:
        raise CliError(f"Study {uid} is not on this unit any more. Nothing was changed.", NOT_FOUND, "no-such-study")
    study, instances = found
    code = NEEDS_PERSON if study.state is StudyState.SET_ASIDE else FINE
    why = sentences.why_waiting(study, links, 0)
    if arguments.json:
        print_json({"study": study, "why": why, "instances": instances, "journal": journal})
        return code
    now_s, zone = CLOCK.wall_s(), zone_now()
    for line in _head(study):
        print(line)
    if why:
        print(why)
    for progress in study.progress:
        print(sentences.progress_line(progress))
    for instance in instances:
        items = ", ".join(f"{item.destination}: {sentences.item_state(item.state)}" for item in instance.items)
        print(f"  {instance.sop_instance_uid}  {sentences.size(instance.size_bytes)}  {instance.local_state}  {items}")
    for entry in journal:
        at = sentences.clock_time(entry.at, zone, now_s)
        print(f"  {at}  {entry.subject} {sentences.journal_move(entry)} ({display.safe_text(entry.actor)})")
    return code


def _head(study: StudyRow) -> list[str]:
    """Who, what, how far."""
    stat = f"{sentences.STAT_MARK} " if study.stat else ""
    return [
        f"{display.person_name(study.patient_name)}, ID {display.safe_text(study.patient_id) or '(none)'}",
        f"{stat}{sentences.study_state(study)}",
        f"{sentences.counted(study.instance_count, 'image', 'images')}, {sentences.size(study.size_bytes)}, "
        f"{study.on_disk_count} on this unit",
        study.study_instance_uid,
    ]
