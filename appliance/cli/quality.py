"""``qafila quality [UID]``: what checks found in the pictures of a study, or which studies have findings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.cli.common import Subparsers, add_options, find_study, print_json, reader_of
from appliance.cli.exits import FINE, NEEDS_PERSON
from appliance.domain.display import safe_text
from appliance.domain.quality import Severity
from appliance.quality.sentences import LANGUAGES, Language, sentence, word
from appliance.store.connect import Store
from appliance.store.quality import RunRow, findings_of_study, runs_of_study, studies_with_findings

STUDY_COUNT_MAX = 1000


@dataclass(frozen=True, slots=True)
class SpokenFinding:
    """One finding with its sentence, as ``--json`` shows it."""

    sop_instance_uid: str
    check_code: str
    severity: Severity
    sentence: str
    values: Mapping[str, Any]
    checks_version: int
    found_at: str
    cleared_at: str


def add(subparsers: Subparsers) -> None:
    """Register the ``quality`` command."""
    parser = subparsers.add_parser("quality", help="what is wrong with pictures, in words")
    parser.add_argument("uid", metavar="UID", nargs="?", help="Study Instance UID, or its beginning or end")
    parser.add_argument("--cleared", action="store_true", help="also what was found once and is gone")
    add_language(parser)
    add_options(parser)
    parser.set_defaults(handler=_run)


def add_language(parser: argparse.ArgumentParser) -> None:
    """``--lang``; by default that of the terminal, English for any other."""
    own = os.environ.get("LANG", "")[:2]
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        default=own if own in LANGUAGES else "en",
        help="language of sentences (default: from $LANG)",
    )


def spoken_findings(db: Store, uid: str, language: Language, *, with_cleared: bool = False) -> list[SpokenFinding]:
    """The findings of a study with their sentences, the gravest first."""
    return [
        SpokenFinding(
            row.sop_instance_uid,
            row.check_code,
            row.severity,
            safe_text(sentence(row.check_code, row.values, language)),
            row.values,
            row.checks_version,
            row.found_at,
            row.cleared_at,
        )
        for row in findings_of_study(db, uid, with_cleared=with_cleared)
    ]


def finding_lines(findings: Sequence[SpokenFinding], runs: Sequence[RunRow], language: Language) -> list[str]:
    """What is said of several images alike is said once, with their numbers; what was not looked at is said too."""
    number_by_uid = {run.sop_instance_uid: number for number, run in enumerate(runs, 1)}
    numbers: dict[tuple[str, Severity, bool], list[int]] = {}
    for finding in findings:
        key = (finding.sentence, finding.severity, bool(finding.cleared_at))
        numbers.setdefault(key, []).append(number_by_uid.get(finding.sop_instance_uid, 0))
    lines = []
    for (text, severity, is_cleared), images in numbers.items():
        where = "" if len(images) == len(runs) else f" [{', '.join(str(number) for number in sorted(images))}]"
        mark = "(cleared) " if is_cleared else ""
        lines.append(f"{mark}{word(severity, language)}: {text}{where}")
    due_count = sum(run.outcome == "due" for run in runs)
    if due_count:
        lines.append(f"Not checked yet: {due_count} of {len(runs)}.")
    return lines


def _run(arguments: argparse.Namespace) -> int:
    with reader_of(arguments) as reader:
        if arguments.uid is None:
            return _overview(reader.unit_db, arguments.json)
        uid = find_study(reader.unit_db, arguments.uid)
        findings = spoken_findings(reader.unit_db, uid, arguments.lang, with_cleared=arguments.cleared)
        runs = runs_of_study(reader.unit_db, uid)
    if arguments.json:
        print_json({"study_instance_uid": uid, "instances": runs, "findings": findings})
    else:
        lines = finding_lines(findings, runs, arguments.lang)
        print("\n".join(lines) if lines else "Nothing found.")
    open_severities = {finding.severity for finding in findings if not finding.cleared_at}
    return NEEDS_PERSON if open_severities & {Severity.ALARM, Severity.WARNING} else FINE


def _overview(db: Store, as_json: bool) -> int:
    studies = studies_with_findings(db, STUDY_COUNT_MAX)
    if as_json:
        print_json({"studies": [{"study_instance_uid": uid, "findings": dict(counts)} for uid, counts in studies]})
    else:
        for uid, counts in studies:
            print(f"{uid}  " + ", ".join(f"{count} {severity}" for severity, count in counts.items() if count))
        if not studies:
            print("Nothing found.")
    graves = sum(counts[Severity.ALARM] + counts[Severity.WARNING] for _, counts in studies)
    return NEEDS_PERSON if graves else FINE
