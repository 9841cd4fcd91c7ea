"""Pictures of an invented unit, for screens, sentences and the picture in the documentation; no real person in them."""

from __future__ import annotations

from dataclasses import replace

from appliance.domain.eta import Eta
from appliance.domain.forecast import Forecast
from appliance.domain.snapshot import (
    DestinationProgress,
    FindingRow,
    InstanceRow,
    LinkRow,
    PowerState,
    QueueRow,
    Snapshot,
    StudyRow,
    StudyState,
)
from appliance.domain.values import ItemState, LinkState, LocalState

NOW = "2026-11-22T09:20:00.000Z"
NOW_S = 1_795_339_200.0
"""``NOW`` as seconds since the epoch."""

_ITEM_STATES = {
    StudyState.QUEUED: ItemState.PENDING,
    StudyState.SENDING: ItemState.SENDING,
    StudyState.SENT: ItemState.SENT,
    StudyState.COMPLETE: ItemState.CONFIRMED,
    StudyState.HELD: ItemState.HELD,
    StudyState.SET_ASIDE: ItemState.REJECTED,
}


def uid(number: int) -> str:
    """The study UID of the invented study ``number``."""
    return f"1.2.826.0.1.3680043.8.498.{number}"


def study(
    number: int,
    name: str,
    state: StudyState,
    *,
    stat: bool = False,
    minute: int = 0,
    modality: str = "DX",
    image_count: int = 2,
    percent: int = 0,
    failure_sentence: str = "",
) -> StudyRow:
    """One invented study that arrived at 08:``minute``."""
    size_bytes = image_count * 15_000_000
    confirmed_bytes = size_bytes if state is StudyState.COMPLETE else 0
    progress: tuple[DestinationProgress, ...] = ()
    if state in _ITEM_STATES:
        counts = ((_ITEM_STATES[state], image_count),)
        progress = (DestinationProgress("centre", counts, size_bytes, confirmed_bytes, 0, failure_sentence),)
    at = f"2026-11-22T08:{minute:02}:00.000Z"
    return StudyRow(
        study_instance_uid=uid(number),
        patient_name=name,
        patient_id=f"P{number:06}",
        patient_birth_date="19840312",
        patient_sex="F",
        accession_number=f"A{number:05}",
        study_date="20261122",
        study_description="Chest PA",
        modality=modality,
        stat=stat,
        state=state,
        percent=100 if state is StudyState.COMPLETE else percent,
        instance_count=image_count,
        size_bytes=size_bytes,
        first_received_at=at,
        last_received_at=at,
        on_disk_count=image_count,
        progress=progress,
    )


DAY = (
    study(1, "BENALI^AMINA", StudyState.SENDING, stat=True, minute=58, percent=62, image_count=4),
    study(2, "HADDAD^Youssef", StudyState.QUEUED, minute=55),
    study(3, "DUPONT^Marie-Thérèse", StudyState.SENT, minute=41, modality="US", image_count=12),
    study(
        4,
        "MANSOURI^Leila",
        StudyState.SET_ASIDE,
        minute=33,
        failure_sentence="The centre does not accept this kind of image",
    ),
    study(5, "TRAORE^Ibrahim", StudyState.HELD, minute=27),
    study(6, "OKAFOR^Ngozi", StudyState.COMPLETE, minute=14),
    study(7, "KARIMI^Farid", StudyState.COMPLETE, minute=5, modality="US", image_count=30),
)

LINK_UP = LinkRow("centre", LinkState.UP, "", "", "2026-11-22T09:19:10.000Z", 180_000.0)
LINK_DOWN = LinkRow(
    "centre",
    LinkState.DOWN,
    "The centre is not reachable",
    "2026-11-22T09:22:00.000Z",
    "2026-11-22T09:12:00.000Z",
    180_000.0,
)
SAFE = PowerState(safe=True, receiving_count=0, unindexed_count=0)
REFUSED = FindingRow(
    1,
    "item-rejected",
    uid(4),
    "One study was refused by the centre; the other studies go on.",
    "warning",
    "2026-11-22T08:40:00.000Z",
)


def snapshot(
    studies: tuple[StudyRow, ...] = DAY,
    *,
    links: tuple[LinkRow, ...] = (LINK_UP,),
    findings: tuple[FindingRow, ...] = (REFUSED,),
    power: PowerState = SAFE,
    only_here_study_count: int | None = None,
) -> Snapshot:
    """The unit with these studies at 09:20 UTC."""
    unsafe = [row for row in studies if row.state is not StudyState.COMPLETE]
    only_here = [row for row in unsafe if row.state is not StudyState.SENT]
    return Snapshot(
        unit_name="unit-01",
        taken_at=NOW,
        studies=studies,
        study_count=len(studies),
        unsafe_study_count=len(unsafe),
        unsafe_instance_count=sum(row.instance_count for row in unsafe),
        unsafe_bytes=sum(row.size_bytes for row in unsafe),
        only_here_study_count=len(only_here) if only_here_study_count is None else only_here_study_count,
        last_sync_at="2026-11-22T09:12:00.000Z",
        links=links,
        findings=findings,
        power=power,
        disk_free_bytes=212_000_000_000,
        disk_total_bytes=500_000_000_000,
        forecast=_forecast(unsafe, links),
    )


def _forecast(unsafe: list[StudyRow], links: tuple[LinkRow, ...]) -> Forecast | None:
    if not unsafe:
        return None
    if any(link.state is not LinkState.UP for link in links):
        return Forecast(why="link down")
    return Forecast(Eta(1200.0, 2400.0))


def instance(row: StudyRow, number: int, item_state: ItemState = ItemState.PENDING) -> InstanceRow:
    """Image ``number`` of ``row``, owed to one centre."""
    sop_instance_uid = f"{row.study_instance_uid}.{number}"
    item = QueueRow(
        item_id=number,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=sop_instance_uid,
        destination="centre",
        state=item_state,
        stat=row.stat,
        size_bytes=15_000_000,
        attempt_count=1,
        queued_at=row.first_received_at,
        changed_at=row.last_received_at,
        failure_code="",
        failure_sentence="",
        proof="wado" if item_state is ItemState.CONFIRMED else "",
    )
    return InstanceRow(
        sop_instance_uid=sop_instance_uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size_bytes=15_000_000,
        sha256="0" * 64,
        received_at=row.first_received_at,
        calling_ae_title="XRAY1",
        local_state=LocalState.PRESENT,
        items=(item,),
    )


def with_state(row: StudyRow, state: StudyState) -> StudyRow:
    """The same study, later."""
    return replace(study(int(row.study_instance_uid.rsplit(".", 1)[1]), row.patient_name, state), stat=row.stat)
