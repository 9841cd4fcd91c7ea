"""How soon a reader sees a STAT radiograph that comes while 200 MB of routine work is on its way over the same link."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.link import Link
from bench.peers.contender import CLOCK, Course
from bench.peers.ours import Ours, c_store
from bench.peers.payloads import Payload

QUEUE_BYTES = 200_000_000
STAT_COUNT = 3
LOOK_S_MAX = 120.0
BUSY_S = 10.0
"""The queue is on its way when it has used the link for so long, and again after each film."""
_LOOK_EVERY_S = 0.05


@dataclasses.dataclass(slots=True)
class Looks:
    """Of every STAT film: seconds from the end of its C-STORE until its preview was whole at the centre."""

    link: str
    look_s: list[float | None] = dataclasses.field(default_factory=list)
    queue_count: int = 0
    waiting_count: int = 0
    """Of the queue, not yet verified when the last film came."""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def run_urgent(course: Course, films: Sequence[Payload], orthanc: str, folder: Path, stop: threading.Event) -> Looks:
    """Fill the queue (the course's payload), wait until the link is busy with it, then send the films one by one."""
    queue = course.payload
    looks = Looks(course.link, queue_count=len(queue.items))
    ours = Ours(orthanc)
    with Link(course.spec, course.seed, congestion=ours.congestion) as link:
        try:
            ours.prepare(link, queue, folder)
            link.restart()
            ours.begin()
            for film in films:
                _wait_until_busy(link, stop)
                looks.waiting_count = len(queue.items) - len(ours.arrived())
                looks.look_s.append(_look_s(ours, film, stop))
        finally:
            ours.close()
    return looks


def _look_s(ours: Ours, film: Payload, stop: threading.Event) -> float | None:
    (item,) = film.items
    c_store(ours.unit.namespace, film.paths)
    stored_mono_s = CLOCK.mono_s()
    is_stat = False
    while not stop.wait(_LOOK_EVERY_S):
        waited_s = CLOCK.mono_s() - stored_mono_s
        is_stat = is_stat or ours.unit.make_stat(item.study_instance_uid)
        if is_stat and item.sop_instance_uid in ours.centre.previewed():
            return round(CLOCK.mono_s() - stored_mono_s, 2)
        if waited_s > LOOK_S_MAX:
            return None
    return None


def _wait_until_busy(link: Link, stop: threading.Event) -> None:
    """The link is there and has carried what it can in ``BUSY_S``, since now, or since its last outage."""
    needed_bytes = link.spec.up.rate_bps * BUSY_S / 8 * 0.8
    carried_bytes = link.report().up.carried_bytes
    while not stop.wait(0.2):
        report = link.report()
        outages = link.outages(report.now_mono_s - link.start_mono_s + BUSY_S)
        if any(begin_s - BUSY_S < report.now_mono_s < end_s for begin_s, end_s in outages):
            carried_bytes = report.up.carried_bytes
        elif report.up.carried_bytes - carried_bytes > needed_bytes:
            return
