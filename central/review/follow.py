"""Keeps the review list true to the gateway's tables, a moment behind them.

The gateway and this process may both be killed at any time: what is stale is found anew by looking. Several processes
may do the same; each writes only rows that differ.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from appliance.clock import Clock, utc_text
from appliance.domain.display import safe_text
from appliance.logging import log
from appliance.registration.folding import fold
from central.review.limits import ReviewLimits
from central.review.states import SETTLED, Facts, State, percent_of, rank_of, state_of
from central.store import reviewing as rows
from central.store.database import Database
from central.store.reviewing import Announced, Tally
from sync.wire.messages import StudyInfo

BATCH_COUNT = 400
OVERLAP_S = 60
"""A manifest's time is taken before its commit: one that was committed late must not be missed."""
CAPTURE_AGE_MAX = timedelta(days=400)
"""Beyond it the unit's clock was wrong: a study is sorted by when it was told of."""
_EMPTY = Tally(0, 0, 0, 0, 0, 0, 0, None)


class Follower:
    """Runs for ever beside the pages."""

    def __init__(self, database: Database, limits: ReviewLimits, clock: Clock) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._since = ""

    async def run(self) -> None:
        """Look, and rest in proportion to what the look cost."""
        while True:
            begun_mono_s = self._clock.mono_s()
            try:
                await self.look_once()
            except SQLAlchemyError as error:
                log("review.follow", "database", why=type(error).__name__)
            spent_s = self._clock.mono_s() - begun_mono_s
            rest_s = max(self._limits.index_pause_s_min, spent_s / self._limits.index_share_max)
            await asyncio.sleep(min(rest_s, self._limits.index_pause_s_max))

    async def look_once(self) -> int:
        """Bring every stale row up to date; how many were."""
        stale, newest = await self._database.reading(rows.changed_studies, self._since, SETTLED)
        changed, ordered = 0, sorted(stale)
        for start in range(0, len(ordered), BATCH_COUNT):
            uids = ordered[start : start + BATCH_COUNT]
            # Most looks find nothing to write, and a writing transaction would be in the gateway's way.
            if await self._database.reading(stale_rows, uids):
                changed += await self._database.writing(refresh, uids)
        if newest:
            self._since = utc_text(_wall_s(newest) - OVERLAP_S)
        return changed


def refresh(connection: Connection, uids: Sequence[str], *, anyway: bool = False) -> int:
    """Write those of these rows that are stale, or all of them ``anyway``, in this transaction; how many."""
    found = stale_rows(connection, uids, anyway=anyway)
    rows.put_rows(connection, found)
    return len(found)


def stale_rows(connection: Connection, uids: Sequence[str], *, anyway: bool = False) -> list[dict[str, Any]]:
    """What these studies' rows should say, where they do not."""
    told, counted = rows.announced(connection, uids), rows.tallies(connection, uids)
    known = rows.known_rows(connection, uids)
    found = []
    for uid, said in told.items():
        before = known.get(uid)
        row = row_of(said, counted.get(uid, _EMPTY), before)
        if before is None or anyway or any(getattr(before, key) != value for key, value in row.items()):
            found.append(row)
    return found


def row_of(said: Sequence[Announced], tally: Tally, before: Any) -> dict[str, Any]:
    """A study's row without its version; ``before`` is the one that it has, and keeps what people did."""
    info = merged_info(said)
    first = said[0]
    raised, read_at = (bool(before.raised), before.read_at) if before is not None else (False, None)
    stat = raised or any(one.stat for one in said)
    facts = Facts(
        image_count=tally.image_count,
        expected_count=max(one.expected_instance_count for one in said),
        whole_count=tally.whole_count,
        verified_count=tally.verified_count,
        refused_count=tally.refused_count,
        preview_count=tally.preview_count,
        size_bytes=tally.size_bytes,
        here_bytes=tally.here_bytes,
        arrived_at=tally.arrived_at,
    )
    state = state_of(facts, read_at)
    number, accession = fold(info.patient_id), fold(info.accession_number)
    arrived = state in (State.COMPLETE, State.READ)
    return {
        "study_instance_uid": first.study_instance_uid,
        "unit_id": first.unit_id,
        "patient_name": info.patient_name,
        "patient_id": info.patient_id,
        "patient_key": patient_key(info),
        "patient_birth_date": info.patient_birth_date,
        "patient_sex": info.patient_sex,
        "accession_number": info.accession_number,
        "study_date": info.study_date[:16],
        "study_description": info.study_description,
        "modality": safe_text(info.modality)[:64],
        "search": rows.search_text(fold(info.patient_name), number, accession),
        "stat": stat,
        "state": state.value,
        "rank": rank_of(state, stat=stat),
        "sort_at": sort_time(info.received_at, first.announced_at),
        "percent": percent_of(facts),
        "image_count": facts.image_count,
        "expected_count": facts.expected_count,
        "verified_count": facts.verified_count,
        "preview_count": facts.preview_count,
        "refused_count": facts.refused_count,
        "size_bytes": facts.size_bytes,
        "captured_at": info.received_at[:32],
        "announced_at": first.announced_at,
        "arrived_at": facts.arrived_at if arrived else None,
    }


def merged_info(said: Sequence[Announced]) -> StudyInfo:
    """The words of the unit that told first; what it left empty as the next one said it.

    Identity is taken from one unit as a whole: a name of one and a number of another would be nobody's.
    """
    infos = [msgspec.json.decode(one.info, type=StudyInfo) for one in said]
    whole = next((info for info in infos if info.patient_id or info.patient_name), infos[0])
    rest = {
        name: next((getattr(info, name) for info in (whole, *infos) if getattr(info, name)), "")
        for name in StudyInfo.__struct_fields__
        if not name.startswith("patient_")
    }
    return msgspec.structs.replace(whole, **rest)


def patient_key(info: StudyInfo) -> str:
    """Equal for studies of one patient: number and birth date, or number and name; empty when that is not known.

    A number alone is no identity: units number their patients each for themselves.
    """
    number = fold(info.patient_id)
    other = info.patient_birth_date.strip() or fold(info.patient_name)
    if not number or not other:
        return ""
    return hashlib.sha256(f"{number}\0{other}".encode()).hexdigest()


def sort_time(captured_at: str, announced_at: str) -> str:
    """When the study was made, where the unit's clock can be believed; else when the centre heard of it."""
    try:
        captured, told = _time(captured_at), _time(announced_at)
    except ValueError:
        return announced_at
    if told - CAPTURE_AGE_MAX <= captured <= told:
        return utc_text(captured.timestamp())
    return announced_at


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _wall_s(text: str) -> float:
    return _time(text).timestamp()
