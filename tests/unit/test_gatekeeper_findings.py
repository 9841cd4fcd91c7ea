"""What becomes a finding, how often, and that none is lost while the database is busy."""

from __future__ import annotations

import asyncio

import pytest

from appliance.gatekeeper import findings
from appliance.gatekeeper.findings import MANY, Finding, FindingNotes, finding_of
from appliance.gatekeeper.report import Report, sentence_of
from appliance.gatekeeper.violations import RULES, Answer, Violation, ViolationError
from tests.support.clocks import ManualClock

TRUNCATED = Violation("object-truncated", "9 bytes", "10.0.0.7", "XRAY1", "1.2.3", "gate-1.dcm")


def _notes(clock: ManualClock, outcomes: list[bool] | None = None) -> tuple[FindingNotes, list[list[Finding]]]:
    written: list[list[Finding]] = []

    async def write(batch: list[Finding]) -> bool:
        written.append(batch)
        return outcomes.pop(0) if outcomes else True

    return FindingNotes(clock, write), written


async def _drain(notes: FindingNotes) -> None:
    task = asyncio.create_task(notes.run())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_every_code_has_a_rule_and_every_sentence_names_the_device() -> None:
    for code, rule in RULES.items():
        assert ViolationError(code).rule is rule
        assert not rule.sentence or "{who}" in rule.sentence
        assert rule.answer is Answer.REFUSE or not rule.is_kept


def test_finding_carries_no_more_than_titles_uids_and_numbers() -> None:
    assert finding_of(TRUNCATED) == Finding(
        kind="door-object-truncated",
        subject_id="1.2.3",
        sentence=sentence_of(TRUNCATED),
        severity="warning",
        detail="detail=9 bytes calling=XRAY1 peer=10.0.0.7 file=gate-1.dcm",
    )


def test_framing_errors_are_counted_but_nobody_is_called() -> None:
    assert finding_of(Violation("pdu-too-long", "", "10.0.0.7")) is None


@pytest.mark.asyncio
async def test_same_finding_is_noted_again_only_later() -> None:
    clock = ManualClock()
    notes, written = _notes(clock)
    for pause_s in (0.0, 1.0, findings.REPEAT_AFTER_S):
        clock.advance(pause_s)
        notes.offer(TRUNCATED)
        await _drain(notes)

    assert [len(batch) for batch in written] == [1, 1]


@pytest.mark.asyncio
async def test_invented_subjects_share_one_finding_beyond_the_bound() -> None:
    notes, written = _notes(ManualClock())
    for number in range(findings.SUBJECT_COUNT_MAX + 50):
        notes.offer(Violation("unknown-calling-ae-title", "", "10.0.0.7", f"X{number}"))
    await _drain(notes)

    subjects = [finding["subject_id"] for batch in written for finding in batch]
    assert len(subjects) == findings.SUBJECT_COUNT_MAX + 1
    assert subjects[-1] == MANY


@pytest.mark.asyncio
async def test_finding_that_could_not_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "RETRY_S", 0.0)
    notes, written = _notes(ManualClock(), [False, False, True])
    notes.offer(TRUNCATED)
    await _drain(notes)

    assert [[f["subject_id"] for f in batch] for batch in written] == [["1.2.3"]] * 3


@pytest.mark.asyncio
async def test_flood_of_one_violation_is_logged_once_a_second_with_its_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()
    report = Report(clock)
    for _ in range(50):
        report.violation(Violation("too-many-connections", "", "10.0.0.7"))
    clock.advance(1.0)
    report.violation(Violation("too-many-connections", "", "10.0.0.7"))

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "unlogged_count=49" in lines[1]
    assert report.counts["too-many-connections"] == 51
