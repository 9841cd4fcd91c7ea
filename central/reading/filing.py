"""Signed reports go into the PACS as documents, by the way that images go: stored, read back, and only then filed.

Runs in the gateway's process, whose hand-over it shares. What is not filed is found in the database, so a process that
is killed anywhere files it when it is back; a document that was stored already is stored once more, and is the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
from pathlib import Path

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from appliance.clock import Clock, utc_text
from appliance.domain.failure import FailureKind
from appliance.logging import log
from central.gateway.handover import Handover, Outcome
from central.limits import GatewayLimits
from central.reading.model import Statement
from central.reading.names import series_uid
from central.store import reports as rows
from central.store.database import Database
from central.store.reports import ReportRow
from sync.adapters.base import SendItem
from sync.core.retry import at_least_asked, backoff_s

LOOK_S = 2.0
"""Between two looks at what readers signed, in another process."""
BATCH_COUNT = 20
BASIC_TEXT_SR, EXPLICIT_VR = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.1.2.1"
UNMADE = "The report could not be made a document."


class Filer:
    """One document at a time; reports are few and small."""

    def __init__(
        self, database: Database, handover: Handover, limits: GatewayLimits, clock: Clock, work_dir: Path
    ) -> None:
        self._database = database
        self._handover = handover
        self._limits = limits
        self._clock = clock
        self._work_dir = work_dir
        self._not_before: dict[tuple[str, int], tuple[int, float]] = {}
        """Tries in vain, and the monotonic second from which a report is tried again."""
        self._random = random.Random()

    async def run(self) -> None:
        """File for ever."""
        self._work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            try:
                for row in await self._database.reading(rows.unfiled, BATCH_COUNT + len(self._not_before)):
                    if self._not_before.get(_key(row), (0, 0.0))[1] <= self._clock.mono_s():
                        await self._file(row)
            except SQLAlchemyError as error:
                log("reading.filing", "database", why=type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def _file(self, row: ReportRow) -> None:
        path = self._work_dir / f"{row.sop_instance_uid}.dcm"
        try:
            item = await asyncio.to_thread(self._make, row, await self._database.reading(predecessors, row), path)
        except (ValueError, msgspec.MsgspecError, OverflowError) as error:
            log("reading.filing", "cannot be made", sop=row.sop_instance_uid, why=type(error).__name__)
            await self._database.writing(rows.note_not_filed, row, UNMADE, refused=True)
            return
        except OSError as error:
            log("reading.filing", "cannot be written", sop=row.sop_instance_uid, why=type(error).__name__)
            self._rest(row, None)
            return
        try:
            await self._settle(row, await self._handover.deliver(item, alone=True))
        finally:
            path.unlink(missing_ok=True)

    def _make(self, row: ReportRow, before: tuple[tuple[str, str], ...], path: Path) -> SendItem:
        # 20 MB that a gateway without reports does without.
        from central.reading.document import write_document

        statement = msgspec.json.decode(row.statement or b"", type=Statement)
        series, made = series_uid(row.study_instance_uid, row.version), io.BytesIO()
        write_document(statement, series, before, made)
        content = made.getvalue()
        path.write_bytes(content)
        return SendItem(
            item_id=row.version,
            sop_instance_uid=row.sop_instance_uid,
            sop_class_uid=BASIC_TEXT_SR,
            study_instance_uid=row.study_instance_uid,
            series_instance_uid=series,
            transfer_syntax_uid=EXPLICIT_VR,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            path=path,
        )

    async def _settle(self, row: ReportRow, outcome: Outcome) -> None:
        failure = outcome.failure
        if outcome.evidence is not None:
            await self._database.writing(rows.note_filed, row, utc_text(self._clock.wall_s()))
            self._not_before.pop(_key(row), None)
            log("reading.filing", "filed", sop=row.sop_instance_uid, method=outcome.evidence.method)
        elif failure is not None:
            refused = failure.kind is FailureKind.PERMANENT
            await self._database.writing(rows.note_not_filed, row, failure.sentence, refused=refused)
            self._rest(row, failure.retry_after_s)
            log("reading.filing", "not filed", sop=row.sop_instance_uid, why=failure.code, refused=refused)

    def _rest(self, row: ReportRow, retry_after_s: float | None) -> None:
        count, limits = self._not_before.get(_key(row), (0, 0.0))[0] + 1, self._limits
        own_s = backoff_s(count, limits.backoff_s_first, limits.backoff_s_max, self._random.random())
        pause_s = at_least_asked(own_s, retry_after_s, limits.backoff_s_max)
        self._not_before[_key(row)] = (count, self._clock.mono_s() + pause_s)


def predecessors(connection: Connection, row: ReportRow) -> tuple[tuple[str, str], ...]:
    """Series and SOP Instance UID of the documents that a version amends, the oldest first."""
    uid = row.study_instance_uid
    earlier = [one for one in rows.versions(connection, uid) if 0 < one.edition < row.edition]
    return tuple((series_uid(uid, one.version), one.sop_instance_uid) for one in reversed(earlier))


def _key(row: ReportRow) -> tuple[str, int]:
    return row.study_instance_uid, row.version
