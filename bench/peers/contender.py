"""One sender on one link: the interface of all contenders, and how one is run and watched to its end or its deadline.

Time 0 is when sending begins: everything is on the sender's disk, transcoded copies are made, receivers run.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance.clock import SystemClock
from bench.link import Link, LinkSpec
from bench.peers.orthanc import BenchOrthanc
from bench.peers.payloads import Payload

CLOCK = SystemClock()
_LOOK_S = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Course:
    """Where and with what a contender runs.

    Attributes:
        link: Name of the link.
        kill_every_s: A ``kill -9`` of an end that often, the unit's first, then the centre's, and so on.
        deadline_s: After this it counts as "did not finish".
    """

    link: str
    spec: LinkSpec
    seed: int
    payload: Payload
    deadline_s: float
    kill_every_s: float | None = None


@dataclasses.dataclass(slots=True)
class Result:
    """What one contender did on one course. Seconds count from time 0; ``None``: it did not come to that."""

    contender: str
    congestion: str
    link: str
    payload: str
    deadline_s: float
    finished_s: float | None = None
    """All of the payload verified at the centre."""
    equal: bool | None = None
    """The centre's pixels are the modality's; ``None`` when nothing was finished."""
    arrived_s: dict[str, float] = dataclasses.field(default_factory=dict)
    """By SOP Instance UID: seen at the centre."""
    first_look_s: float | None = None
    """A reader at the centre could have seen something; for peers: the first instance."""
    confirmed_s: float | None = None
    """The sender itself shows everything as delivered and proved; only ours does."""
    kill_count: int = 0
    link_report: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


class Contender(abc.ABC):
    """A way to get a payload over a link. Made for one run; everything it starts, ``close`` ends.

    Attributes:
        name: In the report.
        congestion: TCP congestion control that the two machines have by default.
    """

    name: str
    congestion: str

    @abc.abstractmethod
    def prepare(self, link: Link, payload: Payload, folder: Path) -> None:
        """Start what must run before time 0 and put the payload on the sender's disk."""

    @abc.abstractmethod
    def begin(self) -> None:
        """Start to send, in the background; time 0 is when this returns."""

    @abc.abstractmethod
    def arrived(self) -> set[str]:
        """SOP Instance UIDs that are at the centre, whole. Raises ``OSError`` while it cannot be asked."""

    @abc.abstractmethod
    def kill_unit(self) -> None:
        """``kill -9`` of the sender and start it again."""

    @abc.abstractmethod
    def kill_centre(self) -> None:
        """``kill -9`` of the receiver and start it again."""

    @abc.abstractmethod
    def equal(self) -> bool:
        """Whether the centre's pixels are the payload's."""

    @abc.abstractmethod
    def close(self) -> None:
        """End everything; also after a failure half way."""

    def observe(self, result: Result, now_s: float) -> None:  # noqa: B027 - most have nothing more to see
        """Note more than arrivals; called several times a second."""

    def notes(self) -> dict[str, Any]:
        """More to write down at the end, before ``close``."""
        return {}

    def done(self, result: Result, payload: Payload) -> bool:
        """Whether the run is over; by default when everything has arrived."""
        return len(result.arrived_s) == len(payload.items)


def run(contender: Contender, course: Course, folder: Path, stop: threading.Event) -> Result:
    """Run one contender to its end, its deadline, or ``stop``."""
    result = Result(contender.name, contender.congestion, course.link, course.payload.name, course.deadline_s)
    with Link(course.spec, course.seed, congestion=contender.congestion) as link:
        try:
            contender.prepare(link, course.payload, folder)
            link.restart()
            contender.begin()
            _watch(contender, course, result, CLOCK.mono_s(), stop)
            result.link_report = link.report().to_json()
            result.notes = {**contender.notes(), "outage_count": len(link.outages(_up_to_s(result)))}
            if result.finished_s is not None:
                result.equal = contender.equal()
        finally:
            contender.close()
    return result


def _up_to_s(result: Result) -> float:
    return result.deadline_s if result.finished_s is None else result.finished_s


def _watch(contender: Contender, course: Course, result: Result, start_mono_s: float, stop: threading.Event) -> None:
    wanted = {item.sop_instance_uid for item in course.payload.items}
    kills = _kills(contender, course.kill_every_s)
    next_kill = next(kills, None)
    while not stop.wait(_LOOK_S):
        now_s = CLOCK.mono_s() - start_mono_s
        if next_kill is not None and now_s >= next_kill[0]:
            next_kill[1]()
            result.kill_count += 1
            next_kill = next(kills, None)
        with contextlib.suppress(OSError):
            for uid in contender.arrived() & wanted:
                result.arrived_s.setdefault(uid, round(now_s, 2))
        contender.observe(result, now_s)
        if result.arrived_s and result.first_look_s is None:
            result.first_look_s = min(result.arrived_s.values())
        if len(result.arrived_s) == len(wanted) and result.finished_s is None:
            result.finished_s = max(result.arrived_s.values())
        if contender.done(result, course.payload) or now_s > course.deadline_s:
            return


def _kills(contender: Contender, every_s: float | None) -> Iterator[tuple[float, Callable[[], None]]]:
    if every_s is None:
        return
    for number in itertools.count():
        yield (number + 1) * every_s, contender.kill_centre if number % 2 else contender.kill_unit


class Peer(Contender):
    """A contender whose receiver is a stock Orthanc at the centre."""

    def __init__(self, name: str, congestion: str, orthanc: str) -> None:
        self.name = name
        self.congestion = congestion
        self._orthanc = orthanc
        self._centre: BenchOrthanc | None = None
        self._payload: Payload | None = None
        self._stop = threading.Event()
        self._loop: threading.Thread | None = None

    @property
    def centre(self) -> BenchOrthanc:
        assert self._centre is not None, "prepare() comes first"
        return self._centre

    def prepare(self, link: Link, payload: Payload, folder: Path) -> None:
        self._payload = payload
        self._centre = BenchOrthanc(link.centre, self._orthanc, folder / "centre", {"DicomAet": "CENTRAL"})
        self._centre.start()

    def begin(self) -> None:
        self._loop = threading.Thread(target=self.send_until_done, name=self.name, daemon=True)
        self._loop.start()

    @abc.abstractmethod
    def send_until_done(self) -> None:
        """Try again and again until everything is sent or ``_stop`` is set."""

    def arrived(self) -> set[str]:
        return set(self.centre.instances())

    def kill_centre(self) -> None:
        self.centre.kill()
        self.centre.start(wait=False)

    def equal(self) -> bool:
        assert self._payload is not None
        held = self.centre.instances()
        return all(
            self.centre.pixel_sha256(held[item.sop_instance_uid]) == item.pixel_sha256 for item in self._payload.items
        )

    def close(self) -> None:
        self._stop.set()
        self.end_sender()
        if self._loop is not None:
            self._loop.join(60.0)
        if self._centre is not None:
            self._centre.kill()

    def end_sender(self) -> None:
        """End a sending process, so that the loop comes to see ``_stop``."""
