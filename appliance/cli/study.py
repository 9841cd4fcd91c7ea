"""``qafila study UID``: one study with its progress, its images and its history."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from appliance.cli.common import CLOCK, Subparsers, add_options, find_study, print_json, reader_of, zone_now
from appliance.cli.exits import FINE, NEEDS_PERSON, NOT_FOUND, CliError
from appliance.cli.quality import add_language, finding_lines, spoken_findings
from appliance.domain import display, sentences
from appliance.domain.completion import Complete
from appliance.domain.snapshot import StudyRow, StudyState
from appliance.store.completion import Completion, read_completion
from appliance.store.journal import read_journal
from appliance.store.performed import StepRow, steps_of_study
from appliance.store.quality import runs_of_study

JOURNAL_COUNT = 1000


def add(subparsers: Subparsers) -> None:
    """Register the ``study`` command."""
    parser = subparsers.add_parser("study", help="one study: progress, images, history")
    parser.add_argument("uid", metavar="UID", help="Study Instance UID, or its beginning or end")
    add_language(parser)
    add_options(parser)
    parser.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    with reader_of(arguments) as reader:
        uid = find_study(reader.unit_db, arguments.uid)
        found = reader.study(uid)
        journal = read_journal(reader.unit_db, uid, limit=JOURNAL_COUNT)
        links = reader.snapshot().links
        findings = spoken_findings(reader.unit_db, uid, arguments.lang)
        runs = runs_of_study(reader.unit_db, uid)
        completion = read_completion(reader.unit_db, uid)
        steps = steps_of_study(reader.unit_db, uid)
    if found is None:
        raise CliError(f"Study {uid} is not on this unit any more. Nothing was changed.", NOT_FOUND, "no-such-study")
    study, instances = found
    code = NEEDS_PERSON if study.state is StudyState.SET_ASIDE else FINE
    why = sentences.why_waiting(study, links, 0)
    if arguments.json:
        told = {"study": study, "why": why, "eta": sentences.study_eta(study)}
        performed = {"completion": completion, "steps": steps}
        print_json({**told, **performed, "findings": findings, "instances": instances, "journal": journal})
        return code
    now_s, zone = CLOCK.wall_s(), zone_now()
    for line in _head(study):
        print(line)
    if why:
        print(why)
    if eta := sentences.study_eta(study):
        print(f"at the centre in: {eta}")
    for line in _performed(completion, steps):
        print(line)
    for progress in study.progress:
        print(sentences.progress_line(progress))
    for line in finding_lines(findings, runs, arguments.lang):
        print(line)
    for instance in instances:
        items = ", ".join(f"{item.destination}: {sentences.item_state(item.state)}" for item in instance.items)
        print(f"  {instance.sop_instance_uid}  {sentences.size(instance.size_bytes)}  {instance.local_state}  {items}")
    for entry in journal:
        at = sentences.clock_time(entry.at, zone, now_s)
        print(f"  {at}  {entry.subject} {sentences.journal_move(entry)} ({display.safe_text(entry.actor)})")
    return code


_COMPLETE = {
    Complete.STEPS: "its device says so, and all it named is here",
    Complete.QUIET: "nothing came for as long as is usual",
    Complete.PERSON: "a person said so",
}


def _performed(completion: Completion | None, steps: Sequence[StepRow]) -> list[str]:
    """What devices say was done (MPPS), and whether all of it is here."""
    if completion is None:
        return []
    reason, missing_count = completion.reason, completion.missing_count
    lacking = f"; {sentences.counted(missing_count, 'image', 'images')} that its device named did not come"
    whole = f"complete: {_COMPLETE[reason]}{lacking if missing_count else ''}" if reason else "more images may come"
    return [
        whole,
        *(
            f"  {display.safe_text(step.station_ae_title)} {step.state}, "
            f"{step.arrived_count} of {sentences.counted(step.instance_count, 'image', 'images')} here"
            for step in steps
        ),
    ]


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
