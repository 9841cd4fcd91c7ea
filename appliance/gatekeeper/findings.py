"""Hands findings to the unit's database without ever waiting for it: a short child process writes them.

A child, because the store with its libraries weighs as much as this whole process, and a database that is busy, full or
broken must not cost the door anything. What could not be written is tried again; what people can read is bounded.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypedDict

from appliance.clock import Clock
from appliance.gatekeeper.report import sentence_of
from appliance.gatekeeper.violations import RULES, Answer, Violation
from appliance.logging import log

REPEAT_AFTER_S = 600.0
"""The same finding is not noted more often."""
RETRY_S = 10.0
WRITE_S_MAX = 120.0
"""Twice what the store waits for another writer."""
SUBJECT_COUNT_MAX = 200
"""Titles and UIDs are the sender's to invent: beyond so many in one run they share one finding of their kind."""
MANY = "many"
WAITING_COUNT_MAX = 256


class Finding(TypedDict):
    """Arguments of ``appliance.store.findings.note_finding``."""

    kind: str
    subject_id: str
    sentence: str
    severity: str
    detail: str


def finding_of(violation: Violation) -> Finding | None:
    """What to note of a violation; nothing when nobody needs to act."""
    sentence = sentence_of(violation)
    if not sentence:
        return None
    facts = {
        "detail": violation.detail,
        "calling": violation.calling_ae_title,
        "peer": violation.peer,
        "file": violation.file_name,
    }
    return Finding(
        kind=f"door-{violation.code}",
        subject_id=violation.sop_instance_uid or violation.calling_ae_title or violation.peer,
        sentence=sentence,
        severity="notice" if RULES[violation.code].answer is Answer.REJECT else "warning",
        detail=" ".join(f"{key}={value}" for key, value in facts.items() if value),
    )


class FindingNotes:
    """Findings on their way to the database."""

    def __init__(self, clock: Clock, write: Callable[[list[Finding]], Awaitable[bool]]) -> None:
        self._clock = clock
        self._write = write
        self._waiting: deque[Finding] = deque(maxlen=WAITING_COUNT_MAX)
        self._noted_mono_s: dict[tuple[str, str], float] = {}
        self._some = asyncio.Event()

    def offer(self, violation: Violation) -> None:
        """Take a violation; returns at once."""
        finding = finding_of(violation)
        if finding is None or not self._is_due(finding):
            return
        self._waiting.append(finding)
        self._some.set()

    async def run(self) -> None:
        """Write what is offered, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            batch = list(self._waiting)
            if await self._write(batch):
                for _ in batch:
                    self._waiting.popleft()
                if self._waiting:
                    self._some.set()
            else:
                await asyncio.sleep(RETRY_S)
                self._some.set()

    def _is_due(self, finding: Finding) -> bool:
        key = (finding["kind"], finding["subject_id"])
        if key not in self._noted_mono_s and len(self._noted_mono_s) >= SUBJECT_COUNT_MAX:
            finding["subject_id"] = MANY
            key = (finding["kind"], MANY)
        now_s = self._clock.mono_s()
        if now_s - self._noted_mono_s.get(key, float("-inf")) < REPEAT_AFTER_S:
            return False
        self._noted_mono_s[key] = now_s
        return True


async def write_in_child(config_path: Path, findings: list[Finding]) -> bool:
    """Run ``appliance.gatekeeper.note`` over these findings; whether all are durable."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.gatekeeper.note", "--config", str(config_path), stdin=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WRITE_S_MAX):
            await child.communicate(json.dumps(findings).encode())
    except TimeoutError:
        log("unit.gatekeeper", "findings not written in time", count=len(findings))
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode == 0
