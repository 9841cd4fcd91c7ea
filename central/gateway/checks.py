"""``POST /v1/check``: does the PACS still hold what receipts were given for? Read back now, not remembered."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from sqlalchemy import Connection

from central.gateway.assembly import PartSpoiled
from central.gateway.handover import Handover, Outcome
from central.gateway.objects import ObjectError
from central.gateway.pipeline import Pipeline, send_item
from central.gateway.problems import Refusal
from central.gateway.rebuild import Rebuilder, UnfitError
from central.gateway.receipts import shown
from central.gateway.settle import Settler
from central.gateway.workers import WorkerError
from central.limits import GatewayLimits
from central.store import files as rows
from central.store.claims import claimed_file, receipt_of
from central.store.database import Database
from central.store.files import FileRow
from sync.wire.messages import CheckAnswer, CheckItem, CheckRequest, CheckResult, InstanceState, SignedReceipt

UNKNOWN = CheckResult(state="unknown")
ABSENT = CheckResult(state="absent")


class Checks:
    """Asks the PACS, one file after the other."""

    def __init__(
        self,
        database: Database,
        rebuilder: Rebuilder,
        handover: Handover,
        settler: Settler,
        pipeline: Pipeline,
        limits: GatewayLimits,
        work_dir: Path,
    ) -> None:
        self._database = database
        self._rebuilder = rebuilder
        self._handover = handover
        self._settler = settler
        self._pipeline = pipeline
        self._limits = limits
        self._work_dir = work_dir
        self._turn = asyncio.Semaphore(2)
        self._count = 0

    async def check(self, unit_id: str, epoch: str, request: CheckRequest) -> CheckAnswer:
        """What the PACS shows of each item.

        Raises:
            Refusal: 413 for too many items.
        """
        if len(request.items) > self._limits.check_count_max:
            detail = f"{self._limits.check_count_max} items can be checked at once. Nothing was changed."
            raise Refusal(413, "too-many", "Too many", detail)
        answers: dict[str, CheckResult] = {}
        for item in request.items:
            async with self._turn:
                answers[item.sop_instance_uid] = await self._check(unit_id, item)
        self._pipeline.poke()
        return CheckAnswer(epoch=epoch, items=answers)

    async def _check(self, unit_id: str, item: CheckItem) -> CheckResult:
        row = await self._database.reading(
            claimed_file, unit_id, item.study_instance_uid, item.sop_instance_uid, item.sha256
        )
        if row is None:
            return ABSENT
        if row.state == InstanceState.REFUSED:
            return CheckResult(state="conflict", problem=row.problem, problem_code=row.problem_code)
        if row.state != InstanceState.VERIFIED:
            return ABSENT
        outcome = await self._prove(row)
        if outcome is None:
            return UNKNOWN
        if outcome.evidence is not None:
            await self._settler.verified_again(unit_id, row, outcome.evidence)
            return CheckResult(state="verified", receipt=await self._receipt(unit_id, row))
        if outcome.absent:
            await self._settler.lost(row)
            return ABSENT
        failure = outcome.failure
        if failure is not None and failure.code == "digest-mismatch":
            return CheckResult(state="conflict", problem=failure.sentence, problem_code=failure.code)
        return UNKNOWN

    async def _prove(self, row: FileRow) -> Outcome | None:
        """``None`` when there is nothing to compare with this time."""
        self._count += 1
        folder = self._work_dir / f"check-{self._count}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            recipe = await self._database.reading(rows.recipe_of, row)
            if recipe is None:
                return None
            path = await self._rebuilder.rebuild(row, recipe, folder)
            return await self._handover.prove(send_item(row, path))
        except (PartSpoiled, UnfitError, WorkerError, ObjectError, OSError):
            return None
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _receipt(self, unit_id: str, row: FileRow) -> SignedReceipt | None:
        def work(connection: Connection) -> tuple[bytes | None, bytes | None]:
            return receipt_of(connection, unit_id, row.file_id)

        return shown(*await self._database.reading(work))
