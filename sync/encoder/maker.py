"""One job from beginning to end: room, effort, worker, check, spool. What one way cannot do, the next simpler one does.

A file that costs a worker its life, or more than it may take, is tried with the fastest effort and then plainly, each
time in a fresh process: a picture that JPEG XL's coder does not survive is sent larger, never not at all.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from appliance.clock import Clock
from appliance.domain.failure import Failure
from appliance.domain.limits import LimitSet
from appliance.logging import log
from sync.adapters.base import SendItem
from sync.encoder.board import GIVEN_UP, NO_ROOM, Job, Kind
from sync.encoder.child import Worker, WorkerLost
from sync.encoder.entry import PartsRecord, PreviewRecord
from sync.encoder.failures import FAILURES
from sync.encoder.messages import Answer, Code, Coded, Failed, Picture, Pictured, Warm
from sync.encoder.pace import PLAIN_JXL, Pace, zstd_of
from sync.encoder.spool import Spool

WALL_TO_CPU = 20.0
"""A worker that stands back may wait this much longer than it works before it counts as stuck on a broken disk."""
PREVIEW_TRIES = 2
PREVIEW_S = 1.0
"""What a preview takes at most on an idle machine: 0.1 s for a film, and as long as a frame takes to decode."""
_CODES = {"missing": "blob-moving", "io-error": "blob-unreadable", "no-room": NO_ROOM}
_PREVIEW_NEED_BYTES = 128 * 1024


class Interrupted(Exception):
    """The worker was killed by us: the job is as it was."""


class Maker:
    """Makes what a job asks for; one thread a worker."""

    def __init__(self, spool: Spool, pace: Pace, limits: LimitSet, clock: Clock) -> None:
        self._spool = spool
        self._pace = pace
        self._limits = limits
        self._clock = clock

    def make(
        self, job: Job, wishes: Sequence[SendItem], worker: Worker, on_start: Callable[[float], None]
    ) -> Failure | None:
        """Have it in the spool; a failure when that is impossible.

        Args:
            job: What to make.
            wishes: What else is to be made, in order.
            worker: The one to ask.
            on_start: Told how many seconds it should take, at each try.

        Raises:
            Interrupted: If the worker was interrupted meanwhile.
        """
        need_bytes = job.item.size_bytes if job.kind is Kind.PARTS else _PREVIEW_NEED_BYTES
        has_room = self._spool.make_room(need_bytes, is_awaited=job.is_awaited, sha256=job.item.sha256)
        if not has_room and not job.is_awaited:  # awaited, it is tried all the same: delivery is what frees this disk
            return FAILURES[NO_ROOM]
        try:
            if job.kind is Kind.PREVIEW:
                on_start(PREVIEW_S)
                return self._preview(job.item, worker)
            return self._parts(job, wishes, worker, on_start)
        except OSError as error:
            log("sync.encoder", "spool failed", sop=job.item.sop_instance_uid, errno=error.errno)
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
            return FAILURES[NO_ROOM if is_full else GIVEN_UP]

    def warm(self, worker: Worker) -> None:
        """Have a worker ready for previews before the picture is there."""
        with suppress(WorkerLost, OSError):
            worker.ask(Warm(cpu_s_max=self._limits.encoder_cpu_s_max), WALL_TO_CPU * self._limits.encoder_cpu_s_max)

    def efforts(self, job: Job, wishes: Sequence[SendItem]) -> list[int]:
        """The ways to try, in order: as offered before, else as chosen now; then simpler ones."""
        record = self._spool.record(job.item.sha256)
        if record is not None and record.offered:
            first = record.jxl
        else:
            first = self._pace.choose(job.item, wishes, is_awaited=job.is_awaited)
        return [first, *(simpler for simpler in (1, PLAIN_JXL) if simpler < first)]

    def _parts(
        self, job: Job, wishes: Sequence[SendItem], worker: Worker, on_start: Callable[[float], None]
    ) -> Failure | None:
        item = job.item
        for jxl in self.efforts(job, wishes):
            on_start(self._pace.expected_s(item, jxl))
            with self._spool.work_folder() as work:
                start_s = self._clock.mono_s()
                question = Code(
                    path=str(item.path), folder=str(work), jxl=jxl, zstd=zstd_of(jxl), cpu_s_max=self._cpu_s_max(item)
                )
                answer = self._ask(worker, question, item)
                duration_s = self._clock.mono_s() - start_s
                if isinstance(answer, Coded):
                    return self._keep(job, work, question, answer, duration_s)
            if isinstance(answer, Failed) and answer.code in _CODES:
                log("sync.encoder", answer.code, sop=item.sop_instance_uid, detail=answer.detail)
                return FAILURES[_CODES[answer.code]]
            why = answer.detail if isinstance(answer, Failed) else "worker lost"
            log("sync.encoder", "effort given up", sop=item.sop_instance_uid, effort=jxl, why=why)
        return FAILURES[GIVEN_UP]

    def _keep(self, job: Job, work: Path, question: Code, answer: Coded, duration_s: float) -> Failure | None:
        item = job.item
        if answer.sha256 != item.sha256:
            log("sync.encoder", "stored file damaged", sop=item.sop_instance_uid)
            return FAILURES["blob-damaged"]
        record = PartsRecord(
            jxl=question.jxl,
            zstd=question.zstd,
            codec=answer.codec,
            original_bytes=answer.size_bytes,
            skeleton_sha256=answer.skeleton_sha256,
            skeleton_bytes=answer.skeleton_bytes,
            pixels_sha256=answer.pixels_sha256,
            pixels_bytes=answer.pixels_bytes,
            restores_sha256=answer.restores_sha256,
            restores_bytes=answer.restores_bytes,
        )
        self._spool.keep_parts(item.sha256, work, record)
        self._pace.note_coded(item, question.jxl, answer.pixels_bytes, duration_s)
        log(
            "sync.encoder",
            "coded",
            sop=item.sop_instance_uid,
            original_bytes=answer.size_bytes,
            skeleton_bytes=answer.skeleton_bytes,
            pixels_bytes=answer.pixels_bytes,
            codec=answer.codec,
            effort=question.jxl,
            duration_s=f"{duration_s:.2f}",
            awaited=job.is_awaited,
        )
        return None

    def _preview(self, item: SendItem, worker: Worker) -> Failure | None:
        """A preview is a courtesy: where none can be made, that is remembered and is no failure."""
        for _ in range(PREVIEW_TRIES):
            with self._spool.work_folder() as work:
                question = Picture(path=str(item.path), folder=str(work), cpu_s_max=self._cpu_s_max(item))
                answer = self._ask(worker, question, item)
                if isinstance(answer, Pictured):
                    record = PreviewRecord(
                        sha256=answer.sha256, size_bytes=answer.size_bytes, media_type=answer.media_type
                    )
                    self._spool.keep_preview(item.sha256, work, record)
                    return None
            if isinstance(answer, Failed):
                if answer.code in _CODES:
                    return FAILURES[_CODES[answer.code]]
                break
        log("sync.encoder", "no preview", sop=item.sop_instance_uid)
        with self._spool.work_folder() as work:
            self._spool.keep_preview(item.sha256, work, PreviewRecord())
        return None

    def _ask(self, worker: Worker, question: Code | Picture, item: SendItem) -> Answer | None:
        """The worker's answer; ``None`` when the question cost its life."""
        try:
            return worker.ask(question, WALL_TO_CPU * question.cpu_s_max)
        except WorkerLost as lost:
            if lost.reason == "interrupted":
                raise Interrupted from lost
            log("sync.encoder", "worker lost", why=lost.reason, sop=item.sop_instance_uid)
            return None

    def _cpu_s_max(self, item: SendItem) -> float:
        return self._limits.encoder_cpu_s_max + item.size_bytes / self._limits.encoder_cpu_rate_bytes_per_s_min
