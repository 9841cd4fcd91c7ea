"""What is known of the way to one destination, and when to look again.

A failing link is nobody's fault but the link's: items wait without being charged, and the probe backs off. Its failure
count falls back to zero only when the destination answered for an item, or kept a good part of one, because some links
let a probe through and then break every transfer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from appliance.domain.failure import Failure
from appliance.domain.limits import LimitSet
from appliance.domain.values import LinkState
from sync.core.effects import NoteLink, ProbeLink
from sync.core.retry import Jitter, at_least_asked, backoff_s


@dataclass(slots=True)
class Link:
    """State of one link.

    While it is up it is probed only when nothing was heard for ``idle_probe_s``, which is for ever where the
    destination has no news that could be missed.
    """

    destination: str
    idle_probe_s: float = math.inf
    state: LinkState = LinkState.UNKNOWN
    failure_count: int = 0
    probe_mono_s: float = -math.inf
    is_probing: bool = False
    """A probe was started and nothing has been heard since."""

    @property
    def up(self) -> bool:
        return self.state is LinkState.UP

    def go_down(self, failure: Failure | None, now: float, limits: LimitSet, jitter: Jitter) -> NoteLink:
        """The link failed, or still fails; the next probe is scheduled."""
        self.state = LinkState.DOWN
        self.is_probing = False
        self.failure_count += 1
        delay_s = backoff_s(self.failure_count, limits.backoff_s_first, limits.backoff_s_max, jitter.draw())
        delay_s = at_least_asked(delay_s, failure.retry_after_s if failure else None, limits.backoff_s_max)
        self.probe_mono_s = now + delay_s
        return NoteLink(self.destination, LinkState.DOWN, failure, delay_s)

    def come_up(self, now: float) -> NoteLink | None:
        """The destination can be reached; ``None`` when that was known."""
        self.probe_mono_s = now + self.idle_probe_s
        self.is_probing = False
        if self.up:
            return None
        self.state = LinkState.UP
        return NoteLink(self.destination, LinkState.UP, None, None)

    def answered(self, now: float) -> None:
        """The destination said something about an item on its way: the link truly works."""
        self.failure_count = 0
        self.heard(now)

    def heard(self, now: float) -> None:
        """The destination said something: it need not be asked for news for a while."""
        self.is_probing = False
        if self.up:
            self.probe_mono_s = now + self.idle_probe_s

    def probe_soon(self, now: float) -> None:
        """A person wants it tried now; one who wants forty studies tried at once gets one probe."""
        if not self.up and not self.is_probing:
            self.probe_mono_s = now

    def begin_anew(self, now: float) -> None:
        """The unit is in a network that it was not in before: failures of the last one count no more."""
        if not self.up:
            self.failure_count = 0
            self.probe_soon(now)

    def probe_if_due(self, now: float, limits: LimitSet) -> ProbeLink | None:
        """The probe to start now, if any; a probe that never answers is repeated after the longest back-off."""
        if now < self.probe_mono_s:
            return None
        self.probe_mono_s = now + (self.idle_probe_s if self.up else limits.backoff_s_max)
        self.is_probing = True
        return ProbeLink(self.destination)
