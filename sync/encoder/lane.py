"""A thread with its worker: takes the next job, has it made, says so; ends the worker when there is nothing to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.clock import Clock
from appliance.domain.limits import LimitSet
from appliance.live import read_live
from appliance.logging import log
from sync.encoder.board import GIVEN_UP, Board, Job, Kind
from sync.encoder.child import Worker
from sync.encoder.failures import FAILURES
from sync.encoder.maker import Interrupted, Maker

_LOOK_S = 0.5
"""How often the door is asked whether it receives, where that matters."""


class Lane:
    """One of the service's threads.

    Args:
        kind: What it makes when somebody waits for it; ``None``: what nobody waits for yet, of both kinds.
        board: Shared by all lanes, under ``work``.
        work: The service's lock, and the signal that there may be something to do.
        done: Over the same lock: the signal that something was made.
        maker: Makes it.
        worker: Its own.
        limits: Bounds.
        clock: The only clock.
        is_receiving: Whether the door takes pictures in at this moment.
    """

    def __init__(
        self,
        kind: Kind | None,
        board: Board,
        work: threading.Condition,
        done: threading.Condition,
        maker: Maker,
        worker: Worker,
        limits: LimitSet,
        clock: Clock,
        is_receiving: Callable[[], bool],
    ) -> None:
        self.kind = kind
        self.worker = worker
        self._board = board
        self._work = work
        self._done = done
        self._maker = maker
        self._limits = limits
        self._clock = clock
        self._is_receiving = is_receiving
        self._job: Job | None = None
        self._is_closed = False
        self._is_paused = False
        self._expected_end_mono_s = 0.0
        self._idle_mono_s = 0.0
        self._paused_mono_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"encoder-{kind or 'ahead'}", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and its worker; returns when both are gone."""
        with self._work:
            self._is_closed = True
            self._work.notify_all()
        self.worker.shut()
        self._thread.join()

    @property
    def job(self) -> Job | None:
        """What it works on; ask under ``work``."""
        return self._job

    def remaining_s(self) -> float:
        """Guess of the time until the running job ends; one that is late is taken to need as long again."""
        return abs(self._expected_end_mono_s - self._clock.mono_s())

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._do(job)
        finally:
            self.worker.close()

    def _do(self, job: Job) -> None:
        failure = None
        try:
            failure = self._maker.make(job, self._board.wishes, self.worker, self._expect)
        except Interrupted:
            pass
        except Exception as error:
            # One odd file must not end the thread that all the others wait for.
            log("sync.encoder", "internal", error=type(error).__name__, sop=job.item.sop_instance_uid)
            failure = FAILURES[GIVEN_UP]
        with self._work:
            self._job = None
            self._board.finish(job, failure)
            self._idle_mono_s = self._clock.mono_s()
            self._work.notify_all()
            self._done.notify_all()

    def _expect(self, duration_s: float) -> None:
        self._expected_end_mono_s = self._clock.mono_s() + duration_s

    def _next(self) -> Job | None:
        """Wait for a job; ``None`` at the end."""
        while True:
            look_s = self._look_at_door()
            with self._work:
                if self._is_closed:
                    return None
                job = None if self._is_paused else self._board.take(self.kind)
                if job is not None:
                    self._job = job
                    self._expect(0.0)
                    return job
                idle_left_s = self._idle_left_s()
                if idle_left_s is None or idle_left_s > 0:
                    waits = [each for each in (idle_left_s, look_s) if each is not None]
                    self._work.wait(min(waits, default=None))
                    continue
            self.worker.close()

    def _idle_left_s(self) -> float | None:
        """Until a worker with nothing to do is ended; ``None`` when none runs."""
        if self.worker.pid is None:
            return None
        return self._idle_mono_s + self._limits.encoder_idle_s_max - self._clock.mono_s()

    def _look_at_door(self) -> float | None:
        """Stand back for it, or get ready for what it receives; when to look again, ``None``: when there is work."""
        if self.kind is Kind.PARTS:
            return None
        if self.kind is Kind.PREVIEW:
            if self.worker.pid is None and self._is_receiving():
                self._maker.warm(self.worker)
                self._idle_mono_s = self._clock.mono_s()
            return _LOOK_S
        self._is_paused = self._must_pause()
        return _LOOK_S if self._is_paused else None

    def _must_pause(self) -> bool:
        """Capture comes first: nothing is made ahead while the door receives, except one file now and then."""
        with self._work:
            has_wishes = self._board.has_wishes()
        if not has_wishes or not self._is_receiving():
            self._paused_mono_s = None
            return False
        now_mono_s = self._clock.mono_s()
        if self._paused_mono_s is None:
            self._paused_mono_s = now_mono_s
        if now_mono_s - self._paused_mono_s < self._limits.encoder_pause_s_max:
            return True
        self._paused_mono_s = None
        return False


def receiving_at(run_dir: Path, clock: Clock) -> Callable[[], bool]:
    """Whether the gatekeeper says that it takes an object in (``run/gatekeeper.live.json``); a silent one does not."""

    def is_receiving() -> bool:
        live = read_live(run_dir, "gatekeeper", clock)
        return bool(live and live.get("receiving_count"))

    return is_receiving
