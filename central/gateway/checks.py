"""``POST /v1/check``: does the PACS still hold what receipts were given for? Read back now, not remembered.

What comes back is compared with what the first proof showed, so no part has to be kept for it. A file that the PACS has
lost goes there again from its parts while they are here; otherwise the next manifest asks the unit for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from appliance.domain.failure import FailureKind
from appliance.domain.values import Evidence
from central.gateway.handover import Handover, Outcome
from central.gateway.pipeline import send_item
from central.gateway.problems import Refusal, bad_request
from central.gateway.receipts import shown
from central.gateway.settle import Settler
from central.limits import GatewayLimits
from central.store.claims import claimed_file, stored_evidence
from central.store.database import Database
from central.store.files import FileRow
from central.store.replacements import replaced_by
from sync.wire.messages import CheckAnswer, CheckItem, CheckRequest, CheckResult, InstanceState

UNKNOWN = CheckResult(state="unknown")
ABSENT = CheckResult(state="absent")
AT_ONCE_COUNT = 2
KEPT_EARLIER = "kept-earlier"


@dataclass(frozen=True, slots=True)
class _Known:
    row: FileRow
    evidence: Evidence | None
    replaces: tuple[str, ...]


class Checks:
    """Asks the PACS."""

    def __init__(self, database: Database, handover: Handover, settler: Settler, limits: GatewayLimits) -> None:
        self._database = database
        self._handover = handover
        self._settler = settler
        self._limits = limits
        self._turn = asyncio.Semaphore(AT_ONCE_COUNT)

    async def check(self, unit_id: str, epoch: str, request: CheckRequest) -> CheckAnswer:
        """What the PACS shows of each item.

        Raises:
            Refusal: 413 for too many items, 400 for two of one SOP Instance UID.
        """
        if len(request.items) > self._limits.check_count_max:
            detail = f"{self._limits.check_count_max} items can be checked at once. Nothing was changed."
            raise Refusal(413, "too-many", "Too many", detail)
        if len({item.sop_instance_uid for item in request.items}) != len(request.items):
            raise bad_request("The request names an instance twice.")
        known = await self._database.reading(_known, unit_id, request.items)
        to_prove = [
            send_item(one.row, Path(), one.evidence, one.replaces)
            for one in known.values()
            if one.row.state == InstanceState.VERIFIED and one.evidence is not None
        ]
        async with self._turn:
            outcomes = await self._handover.prove(sorted(to_prove, key=lambda item: item.study_instance_uid))
        answers = {
            item.sop_instance_uid: await self._result(unit_id, known.get(item.sop_instance_uid), outcomes)
            for item in request.items
        }
        return CheckAnswer(epoch=epoch, items=answers)

    async def _result(self, unit_id: str, known: _Known | None, outcomes: dict[int, Outcome]) -> CheckResult:
        if known is None:
            return ABSENT
        row = known.row
        if row.state == InstanceState.REFUSED:
            return CheckResult(state="conflict", problem=row.problem, problem_code=row.problem_code)
        outcome = outcomes.get(row.file_id)
        if outcome is None:
            return ABSENT
        if outcome.evidence is not None and known.evidence is not None:
            signed = await self._settler.verified_again(unit_id, row, known.evidence)
            return CheckResult(state="verified", receipt=shown(*signed))
        failure = outcome.failure
        is_earlier = failure is not None and failure.code == KEPT_EARLIER and self._handover.replaces
        if outcome.absent or is_earlier:
            # A PACS that was restored may hold it as it was before its correction: that takes its place again.
            await self._settler.lost(row)
            return ABSENT
        if failure is not None and failure.kind is FailureKind.PERMANENT:
            return CheckResult(state="conflict", problem=failure.sentence, problem_code=failure.code)
        return UNKNOWN


def _known(connection: Connection, unit_id: str, items: Sequence[CheckItem]) -> dict[str, _Known]:
    """The files that this unit named, by SOP Instance UID."""
    found = {}
    for item in items:
        row = claimed_file(connection, unit_id, item.study_instance_uid, item.sop_instance_uid, item.sha256)
        if row is not None:
            evidence, replaced = stored_evidence(connection, row.file_id), replaced_by(connection, row)
            found[item.sop_instance_uid] = _Known(row, evidence, replaced.sha256s)
    return found
