"""From "all parts are here" to a receipt: rebuild, hand over, prove, sign, tell.

Each step is committed before the next begins and may be done twice, so a process that is killed anywhere goes on where
the database says. Files go through a few lanes; a file that fails waits on its own, with a growing pause, and never in
another one's way.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from appliance.clock import Clock
from appliance.domain.failure import FailureKind
from appliance.domain.values import Evidence
from appliance.logging import log
from central.gateway.assembly import PartSpoiled
from central.gateway.handover import Handover, Outcome
from central.gateway.objects import ObjectError
from central.gateway.rebuild import Rebuilder, UnfitError
from central.gateway.settle import Settler
from central.gateway.workers import WorkerError
from central.limits import GatewayLimits
from central.store import files as rows
from central.store.database import Database
from central.store.files import FileRow
from central.store.replacements import replaced_by
from sync.adapters.base import SendItem
from sync.core.retry import at_least_asked, backoff_s

OTHERS_S = 2.0
"""Between two looks at what other processes committed."""


class Pipeline:
    """The lanes of this process."""

    def __init__(
        self,
        database: Database,
        rebuilder: Rebuilder,
        handover: Handover,
        settler: Settler,
        limits: GatewayLimits,
        clock: Clock,
        work_dir: Path,
    ) -> None:
        self._database = database
        self._rebuilder = rebuilder
        self._handover = handover
        self._settler = settler
        self._limits = limits
        self._clock = clock
        self._work_dir = work_dir
        self._wake = asyncio.Event()
        self._headers: set[str] = set()
        self._unpacking: dict[str, asyncio.Task[None]] = {}
        self._header_tries: dict[str, int] = {}
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._uids: dict[int, str] = {}
        """SOP Instance UIDs of what is in the lanes."""
        self._resting: dict[int, asyncio.TimerHandle] = {}
        self._random = random.Random()

    def part_completed(self, sha256: str) -> None:
        """A part is whole; it may be the last one of a file, or a header."""
        self._headers.add(sha256)
        self._wake.set()

    def poke(self) -> None:
        """Something changed in the database that may give work."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        look_around = asyncio.create_task(self._look_around())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._begin_unpacking()
                    await self._fill_lanes()
                except SQLAlchemyError as error:
                    log("gateway.pipeline", "cannot look", why=type(error).__name__)
                await self._wake.wait()
        finally:
            running = [look_around, *self._lanes.values(), *self._unpacking.values()]
            for task in running:
                task.cancel()
            for timer in self._resting.values():
                timer.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _look_around(self) -> None:
        """Notice what another process brought: a stick that is imported, or a gateway beside this one."""
        while True:
            try:
                self._headers |= set(await self._database.reading(rows.headers_to_unpack))
            except SQLAlchemyError as error:
                log("gateway.pipeline", "cannot look around", why=type(error).__name__)
            self._wake.set()
            await asyncio.sleep(OTHERS_S)

    # --- headers ---------------------------------------------------------------------------------------------------

    async def _begin_unpacking(self) -> None:
        fresh, self._headers = self._headers - self._unpacking.keys(), set()
        if not fresh:
            return
        for header in await self._database.reading(rows.headers_to_unpack, fresh):
            task = asyncio.create_task(self._unpack(header))
            self._unpacking[header] = task
            task.add_done_callback(partial(self._unpacked, header))

    def _unpacked(self, header: str, task: asyncio.Task[None]) -> None:
        self._unpacking.pop(header, None)
        self._wake.set()

    async def _unpack(self, header: str) -> None:
        folder = self._work_dir / f"header-{header}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = await self._rebuilder.unpack(header, folder)
            await self._settler.unpacked(header, held)
        except PartSpoiled as spoiled:
            await self._settler.spoiled(spoiled.sha256)
        except WorkerError as error:
            log("gateway.pipeline", "header part unusable", part=header, code=error.code, why=error.reason)
            tries = self._header_tries[header] = self._header_tries.get(header, 0) + 1
            final = error.code == "wire" or tries >= self._limits.rebuild_round_count_max
            if error.about_parts and final:
                del self._header_tries[header]
                await self._settler.header_unusable(header, error.code)
            else:
                self._later(header)
        except (ObjectError, OSError, SQLAlchemyError) as error:
            log("gateway.pipeline", "cannot unpack now", part=header, why=type(error).__name__)
            self._later(header)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _later(self, header: str) -> None:
        asyncio.get_running_loop().call_later(self._limits.backoff_s_first, self.part_completed, header)

    # --- files -----------------------------------------------------------------------------------------------------

    async def _fill_lanes(self) -> None:
        free = min(self._limits.lane_count - len(self._lanes), self._limits.resting_count_max - len(self._resting))
        if free <= 0:
            return
        busy = {*self._lanes, *self._resting}
        for row in await self._database.reading(rows.rebuilding, free, busy):
            if row.sop_instance_uid in self._uids.values():
                continue  # two contents of one instance, one of which replaces the other: never at the same time
            task = asyncio.create_task(self._lane(row))
            self._lanes[row.file_id] = task
            self._uids[row.file_id] = row.sop_instance_uid
            task.add_done_callback(partial(self._lane_is_free, row.file_id))

    def _lane_is_free(self, file_id: int, task: asyncio.Task[None]) -> None:
        self._lanes.pop(file_id, None)
        self._uids.pop(file_id, None)
        if not task.cancelled() and task.exception() is not None:
            # Not even its failure could be noted: at once again would spin.
            self._rest_until(file_id, OTHERS_S)
        self._wake.set()

    async def _lane(self, row: FileRow) -> None:
        folder = self._work_dir / f"file-{row.file_id}"
        try:
            await asyncio.to_thread(_fresh, folder)
            await self._work(row, folder)
        except PartSpoiled as spoiled:
            await self._settler.spoiled(spoiled.sha256)
        except UnfitError as error:
            await self._settler.unfit(row, error.code, error.reason)
        except WorkerError as error:
            await self._worker_failed(row, error)
        except (ObjectError, OSError) as error:
            await self._rest(row, type(error).__name__, None)
        except Exception as error:  # a mistake of ours must not end the lane for all others
            log("gateway.pipeline", "lane failed", file=row.file_id, why=type(error).__name__)
            await self._rest(row, "fault", None)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _work(self, row: FileRow, folder: Path) -> None:
        recipe = await self._database.reading(rows.recipe_of, row)
        if recipe is None:
            await self._settler.wait_for_parts(row)
            return
        try:
            made = await self._rebuilder.rebuild(row, recipe, folder)
        except UnfitError:
            if recipe.own:
                raise
            # Parts that others brought only seemed to fit: the unit sends its own.
            await self._settler.own_parts_only(row)
            return
        await self._settler.rebuilt(row)
        replaced = await self._database.reading(replaced_by, row)
        item = send_item(made.row, made.path, replaces=replaced.sha256s)
        outcome = await self._handover.deliver(item, alone=row.attempt_count > 0, evidences=replaced.evidences)
        await self._settle(row, outcome)

    async def _worker_failed(self, row: FileRow, error: WorkerError) -> None:
        """A file that ended its worker again and again is for a person; a full disk is not the file's fault."""
        if error.about_parts:
            await self._database.writing(rows.note_round, row.file_id)
            if row.round_count + 1 >= self._limits.rebuild_round_count_max:
                await self._settler.unfit(row, "rebuild-failed", str(error))
                return
        await self._rest(row, error.code, None)

    async def _settle(self, row: FileRow, outcome: Outcome) -> None:
        failure = outcome.failure
        if outcome.evidence is not None:
            await self._settler.verified(row, outcome.evidence)
        elif failure is not None and failure.kind is FailureKind.PERMANENT:
            await self._settler.refused(row, failure.code, failure.sentence)
        elif failure is not None:
            await self._rest(row, failure.code, failure.retry_after_s)

    async def _rest(self, row: FileRow, code: str, retry_after_s: float | None) -> None:
        """It is tried again, by itself, after a pause."""
        await self._database.writing(rows.note_attempt, row.file_id, code)
        limits = self._limits
        own_s = backoff_s(row.attempt_count + 1, limits.backoff_s_first, limits.backoff_s_max, self._random.random())
        pause_s = at_least_asked(own_s, retry_after_s, limits.backoff_s_max)
        log("gateway.pipeline", "tried in vain", file=row.file_id, why=code, next_try_s=f"{pause_s:.1f}")
        self._rest_until(row.file_id, pause_s)

    def _rest_until(self, file_id: int, pause_s: float) -> None:
        self._resting[file_id] = asyncio.get_running_loop().call_later(pause_s, self._rested, file_id)

    def _rested(self, file_id: int) -> None:
        self._resting.pop(file_id, None)
        self._wake.set()


def send_item(row: FileRow, path: Path, earlier: Evidence | None = None, replaces: tuple[str, ...] = ()) -> SendItem:
    """A file as the adapters take it: rebuilt at ``path``, or proved ``earlier`` and not here."""
    return SendItem(
        item_id=row.file_id,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        path=path,
        stat=row.stat,
        earlier=earlier,
        replaces=replaces,
    )


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
