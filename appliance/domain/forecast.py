"""When each study and all of them will be at the centre, as ranges in the order of sending, or why nobody knows; pure.

What goes before a study counts with it: STAT ones, older ones of its class, and at worst the previews of younger ones
as well, since those go before whole files. What has yet to arrive cannot be known and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from appliance.domain.eta import Eta, Goodput, eta_of, eta_text
from appliance.domain.leave import Leave, stop_reason
from appliance.domain.values import LinkState, TrafficClass
from appliance.domain.wording import Wording, told

PREVIEW_BYTES_MAX = 60_000
"""Of one radiograph; those of ultrasound are half of it."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """``eta`` until the last byte is accepted, or ``why`` there is none."""

    eta: Eta | None = None
    why: str = ""

    @property
    def words(self) -> Wording:
        """As people read it."""
        return eta_text(self.eta, self.why)

    def __str__(self) -> str:
        return str(self.words)


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Of everything that waits."""

    queue: Forecast | None = None
    """``None`` when nothing waits."""
    by_study: Mapping[str, Forecast] = field(default_factory=dict)
    """By Study Instance UID; of those that wait."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What one destination still has to get of one study.

    Attributes:
        queued_at_s: Of its oldest picture; only compared with others.
        link_bytes: To bring, as coded for the link, as far as that is known.
        unannounced_count: Pictures whose preview was not shown yet; 0 where none are.
        waiting_count: Pictures that go by themselves; the others wait for ``held_count`` or ``unproved_count``.
        held_count: Pictures that wait for a person.
        unproved_count: Pictures that the destination took.
    """

    study_instance_uid: str
    stat: bool
    queued_at_s: float
    link_bytes: float = 0.0
    unannounced_count: int = 0
    waiting_count: int = 0
    held_count: int = 0
    unproved_count: int = 0

    @property
    def preview_bytes_max(self) -> float:
        """What goes before any whole file, at worst."""
        return float(self.unannounced_count * PREVIEW_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class WayOut:
    """One destination: its link, what may go there, and what it is owed, in any order."""

    is_configured: bool
    state: LinkState
    goodput: Goodput | None
    leave: Mapping[TrafficClass, Leave]
    owed: Sequence[Owed]


def forecast(ways: Sequence[WayOut]) -> Forecasts:
    """Of each study and of all together; a study is through when every destination has it."""
    of_study: dict[str, list[Forecast]] = {}
    of_queue: list[Forecast] = []
    for way in ways:
        for uid, one in _of_way(way):
            of_study.setdefault(uid, []).append(one)
        moving = [one.study_instance_uid for one in way.owed if one.waiting_count]
        of_queue += [of_study[uid][-1] for uid in moving or [one.study_instance_uid for one in way.owed]]
    if not of_queue:
        return Forecasts()
    return Forecasts(_slowest(of_queue), {uid: _slowest(several) for uid, several in of_study.items()})


def _of_way(way: WayOut) -> Iterator[tuple[str, Forecast]]:
    line = sorted((one for one in way.owed if one.waiting_count), key=lambda one: (not one.stat, one.queued_at_s))
    ahead = accumulate(one.link_bytes for one in line)
    previews = {stat: sum(one.preview_bytes_max for one in line if one.stat or not stat) for stat in (True, False)}
    for one, whole_bytes in zip(line, ahead, strict=True):
        yield one.study_instance_uid, _when(way, one.stat, whole_bytes, whole_bytes + previews[one.stat])
    for one in way.owed:
        if not one.waiting_count:
            yield one.study_instance_uid, Forecast(why=_why_still(one))


def _when(way: WayOut, stat: bool, least_bytes: float, most_bytes: float) -> Forecast:
    leave = way.leave.get(TrafficClass.STAT if stat else TrafficClass.FULL, Leave())
    if not way.is_configured:
        return Forecast(why=told("its destination is not configured"))
    if way.state is LinkState.DOWN:
        return Forecast(why=told("link down"))
    if way.state is LinkState.UNKNOWN:
        return Forecast(why=told("no contact yet"))
    if leave.stop is not None:
        return Forecast(why=stop_reason(leave.stop))
    at_best, at_worst = eta_of(least_bytes, way.goodput), eta_of(most_bytes, way.goodput)
    if at_best is None or at_worst is None:
        return Forecast(why=told("nothing measured yet"))
    if most_bytes > leave.bytes_left:
        return Forecast(why=told("more than is left of today's budget"))
    if at_worst.high_s > leave.seconds_left:
        return Forecast(why=told("its hours end before"))
    return Forecast(Eta(at_best.low_s, at_worst.high_s))


def _why_still(one: Owed) -> str:
    return told("waits for a person") if one.held_count else told("waits for the centre's proof")


def _slowest(several: Sequence[Forecast]) -> Forecast:
    """The first that is unknown, else the latest ends."""
    known = [one.eta for one in several if one.eta is not None]
    if len(known) < len(several):
        return next(one for one in several if one.eta is None)
    return Forecast(Eta(max(eta.low_s for eta in known), max(eta.high_s for eta in known)))
