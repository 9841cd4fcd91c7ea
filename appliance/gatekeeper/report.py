"""What the gatekeeper tells: one log line a violation, counters and last sentences for screens, a call for findings."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from appliance.clock import Clock, utc_text
from appliance.gatekeeper.tally import Tally
from appliance.gatekeeper.violations import RULES, Violation
from appliance.logging import log

_RECENT_COUNT_MAX = 8
_LOG_INTERVAL_S = 1.0
"""Between two lines of one code: a flood of refusals must not fill the disk."""


class Report:
    """Shared by all associations of one process."""

    def __init__(self, clock: Clock, on_violation: Callable[[Violation], None] = lambda _: None) -> None:
        self.clock = clock
        self.counts: Counter[str] = Counter()
        """Violations by code since the start."""
        self.recent: deque[dict[str, str]] = deque(maxlen=_RECENT_COUNT_MAX)
        """The last ones that people should read."""
        self.tally = Tally()
        self._on_violation = on_violation
        self._logged_mono_s: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def violation(self, violation: Violation) -> None:
        """Count it, say it, hand it on."""
        self.counts[violation.code] += 1
        self._log(violation)
        if sentence := sentence_of(violation):
            self.recent.append({"at": utc_text(self.clock.wall_s()), "code": violation.code, "sentence": sentence})
        self._on_violation(violation)

    def changed(self) -> None:
        """What is being received changed; live facts are due."""
        self._changed.set()

    async def until_changed(self, seconds_max: float) -> None:
        """Wait for ``changed``, at most so long."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()

    def _log(self, violation: Violation) -> None:
        now_s = self.clock.mono_s()
        if now_s - self._logged_mono_s.get(violation.code, float("-inf")) < _LOG_INTERVAL_S:
            self._unlogged[violation.code] += 1
            return
        self._logged_mono_s[violation.code] = now_s
        facts = {
            "detail": violation.detail,
            "calling": violation.calling_ae_title,
            "uid": violation.sop_instance_uid,
            "file": violation.file_name,
            "unlogged_count": self._unlogged.pop(violation.code, 0),
        }
        said = {key: value for key, value in facts.items() if value}
        log("unit.gatekeeper", violation.code, peer=violation.peer, **said)


def sentence_of(violation: Violation) -> str:
    """The rule's sentence with the device's title in it; empty when nobody needs to act."""
    sentence = RULES[violation.code].sentence
    return sentence.format(who=violation.calling_ae_title or violation.peer)
