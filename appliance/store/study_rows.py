"""Builds the study rows that lists show: headers, progress at each destination, the one-way state, the percentage."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.domain.forecast import Forecast
from appliance.domain.snapshot import DestinationProgress, StudyRow, StudyState
from appliance.domain.values import ItemState
from appliance.store.connect import Row, Store

_MOVING = (ItemState.ENCODING, ItemState.READY, ItemState.SENDING)
_ACCEPTED = (ItemState.SENT, ItemState.CONFIRMED)


@dataclass(frozen=True, slots=True)
class _Group:
    """The items of one study at one destination in one state."""

    study_instance_uid: str
    destination: str
    state: ItemState
    item_count: int
    size_bytes: int
    failure_sentence: str


def study_rows(
    db: Store,
    uids: Sequence[str],
    in_flight_bytes_by_item: Mapping[int, int],
    forecast_by_study: Mapping[str, Forecast] | None = None,
) -> tuple[StudyRow, ...]:
    """These studies in this order; unknown ones are left out. Call it inside ``read(db)``.

    Pictures that a person rejected are not counted: they are kept, and nothing waits for them.
    """
    wanted = json.dumps(list(uids))
    headers = db.rows(
        """SELECT s.study_instance_uid, s.patient_name, s.patient_id, s.patient_birth_date, s.patient_sex,
                s.accession_number, s.study_date, s.study_description, s.modality, s.priority = 'stat',
                s.first_received_at, s.last_received_at, count(*) FILTER (WHERE x.instance_id IS NULL),
                coalesce(sum(i.size_bytes), 0), coalesce(sum(i.local_state = 'present'), 0)
            FROM json_each(?) AS wanted CROSS JOIN study AS s ON s.study_instance_uid = wanted.value
            CROSS JOIN instance AS i ON i.study_instance_uid = s.study_instance_uid
            LEFT JOIN rejected_image AS x ON x.instance_id = i.instance_id AND x.lifted_at = ''
            GROUP BY wanted.key ORDER BY wanted.key""",
        (wanted,),
    )
    groups: dict[str, list[_Group]] = defaultdict(list)
    for row in db.rows(
        """SELECT i.study_instance_uid, o.destination, o.state, count(*), sum(o.size_bytes), max(o.failure_sentence)
            FROM json_each(?) AS wanted CROSS JOIN instance AS i ON i.study_instance_uid = wanted.value
            CROSS JOIN outbox AS o ON o.instance_id = i.instance_id
            WHERE i.instance_id NOT IN (SELECT instance_id FROM rejected_image WHERE lifted_at = '')
            GROUP BY i.study_instance_uid, o.destination, o.state""",
        (wanted,),
    ):
        groups[row[0]].append(_Group(row[0], row[1], ItemState(row[2]), *row[3:]))
    flying = _in_flight(db, in_flight_bytes_by_item)
    forecasts = forecast_by_study or {}
    return tuple(_study_row(row, groups[row[0]], flying, forecasts.get(row[0])) for row in headers)


def _in_flight(db: Store, bytes_by_item: Mapping[int, int]) -> Mapping[tuple[str, str], int]:
    """Bytes handed to the link, by study and destination; only of items that the database too says are being sent."""
    flying: dict[tuple[str, str], int] = defaultdict(int)
    for study_instance_uid, destination, item_id in db.rows(
        """SELECT study_instance_uid, destination, item_id FROM outbox_item
            WHERE item_id IN (SELECT value FROM json_each(?)) AND state = 'sending'""",
        (json.dumps(list(bytes_by_item)),),
    ):
        flying[study_instance_uid, destination] += bytes_by_item[item_id]
    return flying


def _study_row(
    row: Row, groups: Sequence[_Group], flying: Mapping[tuple[str, str], int], forecast: Forecast | None
) -> StudyRow:
    state = study_state(row[12], groups)
    progress = tuple(
        _progress([g for g in groups if g.destination == name], flying.get((row[0], name), 0))
        for name in sorted({g.destination for g in groups})
    )
    return StudyRow(
        study_instance_uid=row[0],
        patient_name=row[1],
        patient_id=row[2],
        patient_birth_date=row[3],
        patient_sex=row[4],
        accession_number=row[5],
        study_date=row[6],
        study_description=row[7],
        modality=row[8],
        stat=bool(row[9]),
        state=state,
        percent=_percent(state, groups),
        first_received_at=row[10],
        last_received_at=row[11],
        instance_count=row[12],
        size_bytes=row[13],
        on_disk_count=row[14],
        progress=progress,
        forecast=None if state is StudyState.COMPLETE else forecast,
    )


def _progress(groups: Sequence[_Group], in_flight_bytes: int) -> DestinationProgress:
    sentences = {g.state: g.failure_sentence for g in groups if g.failure_sentence}
    return DestinationProgress(
        destination=groups[0].destination,
        item_count_by_state=tuple((g.state, g.item_count) for g in groups),
        bytes_total=sum(g.size_bytes for g in groups),
        bytes_confirmed=sum(g.size_bytes for g in groups if g.state is ItemState.CONFIRMED),
        bytes_in_flight=in_flight_bytes,
        failure_sentence=sentences.get(ItemState.REJECTED) or next(iter(sentences.values()), ""),
    )


def study_state(instance_count: int, groups: Sequence[_Group]) -> StudyState:
    """What needs a person first, else the least advanced; ``complete``: each instance is confirmed everywhere."""
    states = {g.state for g in groups}
    owed: dict[str, int] = defaultdict(int)
    for group in groups:
        owed[group.destination] += group.item_count
    ladder = (
        (ItemState.REJECTED in states, StudyState.SET_ASIDE),
        (ItemState.HELD in states, StudyState.HELD),
        (not states.isdisjoint(_MOVING), StudyState.SENDING),
        (ItemState.PENDING in states, StudyState.QUEUED),
        (any(count < instance_count for count in owed.values()) or not owed, StudyState.CAPTURED),
        (ItemState.SENT in states, StudyState.SENT),
    )
    return next((state for holds, state in ladder if holds), StudyState.COMPLETE)


def _percent(state: StudyState, groups: Sequence[_Group]) -> int:
    """Rounded down, and 100 only for what is proved."""
    if state is StudyState.COMPLETE:
        return 100
    owed = sum(g.size_bytes for g in groups)
    accepted = sum(g.size_bytes for g in groups if g.state in _ACCEPTED)
    return min(99, accepted * 100 // owed) if owed else 0
