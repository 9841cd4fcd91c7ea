"""One run of the benchmark: peers side by side, ours alone, STAT films; what cannot run is told and left out."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bench.link.named import LINKS
from bench.peers.contender import Contender, Course, Result, run
from bench.peers.limit import limit_of
from bench.peers.ours import Ours
from bench.peers.payloads import Payload, payload_l, payload_s, queue_payload, stat_payload
from bench.peers.plan import PEERS, Load
from bench.peers.urgent import QUEUE_BYTES, STAT_COUNT, run_urgent

STAT_LINKS = ("A", "B", "C", "D")
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """What to run."""

    links: Sequence[str]
    payloads: Sequence[str]
    peers: Sequence[str]
    congestion: Sequence[str]
    seed: int
    side_by_side: int
    orthanc: str
    cache: Path
    keeps_files: bool = False
    """Whether configurations, logs and databases stay below the session's folder, to look at."""


class Session:
    """Runs what was chosen below ``place``, until done or ``stop``; progress goes to standard output.

    Attributes:
        failure_count: Contenders that could not run at all.
    """

    def __init__(self, choice: Choice, place: Path, stop: threading.Event) -> None:
        self._choice = choice
        self._place = place
        self._stop = stop
        self._serial = itertools.count(1)
        self.failure_count = 0

    def loads(self) -> list[Load]:
        """Payloads on links, with their limits; made and measured on first use."""
        choice = self._choice
        made: list[tuple[str, Payload]] = []
        if "S" in choice.payloads:
            small = payload_s(choice.cache)
            made += [(link, small.without_largest() if link == "B" else small) for link in choice.links]
        if "L" in choice.payloads and "D" in choice.links:
            made.append(("D", payload_l(choice.cache)))
        loads = [Load(link, payload, limit_of(payload, choice.cache)) for link, payload in made]
        for load in loads:
            _say(f"limit of {load.payload.name} on {load.link}: {load.limit.all_bytes} bytes, {load.limit_s:.1f} s")
        return loads

    def peers(self, loads: Iterable[Load]) -> list[dict[str, Any]]:
        """Each on a link of its own, those that may take longest first."""
        choice = self._choice
        pairs = [
            (PEERS[name](congestion, choice.orthanc), load.course(choice.seed))
            for load in loads
            for name in choice.peers
            # What hardly any peer finishes is not worth running twice.
            for congestion in (choice.congestion if load.payload.name != "L" else choice.congestion[-1:])
        ]
        pairs.sort(key=lambda pair: -pair[1].deadline_s)
        with concurrent.futures.ThreadPoolExecutor(choice.side_by_side) as workers:
            done = list(workers.map(lambda pair: self._one(*pair), pairs))
        return [result.to_json() for result in done if result is not None]

    def ours(self, loads: Iterable[Load]) -> list[dict[str, Any]]:
        """Alone on the machine, one load after the other."""
        choice = self._choice
        done = [self._one(Ours(choice.orthanc), load.course(choice.seed)) for load in loads]
        return [result.to_json() for result in done if result is not None]

    def stat(self) -> list[dict[str, Any]]:
        """STAT films behind a queue, link by link."""
        choice = self._choice
        queue = queue_payload(choice.cache, QUEUE_BYTES)
        films = [stat_payload(choice.cache, number) for number in range(STAT_COUNT)]
        found = []
        for link in STAT_LINKS:
            if link not in choice.links or self._stop.is_set():
                continue
            course = Course(link, LINKS[link], choice.seed, queue, deadline_s=0.0)

            def urgent(folder: Path, course: Course = course) -> dict[str, Any]:
                return run_urgent(course, films, choice.orthanc, folder, self._stop).to_json()

            looks = self._guarded(f"{link}/STAT", urgent)
            if looks is not None:
                _say(f"{link}/STAT: {looks['look_s']} s")
                found.append(looks)
        return found

    def _one(self, contender: Contender, course: Course) -> Result | None:
        if self._stop.is_set():
            return None
        what = f"{course.link}/{course.payload.name} {contender.name} ({contender.congestion})"
        result = self._guarded(what, lambda folder: run(contender, course, folder, self._stop))
        if result is not None and not self._stop.is_set():
            _say(f"{what}: {_in_words(result)}")
        return result

    def _guarded(self, what: str, work: Callable[[Path], _T]) -> _T | None:
        """Do it in a folder of its own; one that breaks must not cost the results of the others."""
        folder = self._place / f"{next(self._serial):03}"
        folder.mkdir()
        try:
            return work(folder)
        except Exception as error:
            self.failure_count += 1
            print(f"{what}: could not run: {error!r}", file=sys.stderr, flush=True)
            return None
        finally:
            if not self._choice.keeps_files:
                shutil.rmtree(folder, ignore_errors=True)


def _in_words(result: Result) -> str:
    if result.finished_s is None:
        return f"did not finish in {result.deadline_s:.0f} s, {len(result.arrived_s)} arrived"
    return f"{result.finished_s:.1f} s{'' if result.equal else ', but what arrived is NOT EQUAL'}"


def _say(line: str) -> None:
    print(line, flush=True)
