"""What screens and the command line show: one immutable picture of the unit, read in one database transaction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.answers import NO_NEWS, NewCounts
from appliance.domain.forecast import Forecast
from appliance.domain.power import Battery, Leaving
from appliance.domain.values import ItemState, LinkState, LocalState


class StudyState(StrEnum):
    """The one-way state of a study, worst of its instances and destinations (``ux.md`` rule 5)."""

    REGISTERED = "registered"
    """An exam is ordered and its pictures are still to come."""
    CAPTURED = "captured"
    """Kept here; no destination is configured, or nothing is queued yet."""
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    """Every instance was accepted, at least one is not proved yet: one check mark, never two."""
    COMPLETE = "complete"
    """Every instance is confirmed at every destination."""
    HELD = "held"
    SET_ASIDE = "set-aside"
    """At least one item was refused for good and waits for a person; the others go on."""


@dataclass(frozen=True, slots=True)
class DestinationProgress:
    """How far one study is at one destination."""

    destination: str
    item_count_by_state: tuple[tuple[ItemState, int], ...]
    bytes_total: int
    bytes_confirmed: int
    bytes_in_flight: int
    """Of the running transfer, as last reported; 0 when none runs."""
    failure_sentence: str = ""

    def count(self, state: ItemState) -> int:
        """How many items are in ``state``."""
        return dict(self.item_count_by_state).get(state, 0)


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study as a list shows it."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    accession_number: str
    study_date: str
    study_description: str
    modality: str
    stat: bool
    state: StudyState
    percent: int
    """Bytes accepted or confirmed of all bytes owed to all destinations, 0-100; 100 only when complete."""
    instance_count: int
    size_bytes: int
    first_received_at: str
    last_received_at: str
    on_disk_count: int
    progress: tuple[DestinationProgress, ...]
    forecast: Forecast | None = None
    """When it will be at the centre; ``None`` when nothing of it waits, or that was not looked up."""


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance of a study, for its detail page."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    sha256: str
    received_at: str
    calling_ae_title: str
    local_state: LocalState
    items: tuple[QueueRow, ...]


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One outbox item as people see it."""

    item_id: int
    study_instance_uid: str
    sop_instance_uid: str
    destination: str
    state: ItemState
    stat: bool
    size_bytes: int
    attempt_count: int
    queued_at: str
    changed_at: str
    failure_code: str
    failure_sentence: str
    proof: str
    """``wado``, ``commitment`` or ``move`` once confirmed; empty before."""


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One destination's link."""

    destination: str
    state: LinkState
    failure_sentence: str
    next_try_at: str
    last_success_at: str
    rate_bytes_per_s: float
    """Typical goodput as measured; 0 when unknown."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something a person should know or decide."""

    finding_id: int
    kind: str
    subject_id: str
    sentence: str
    severity: str
    found_at: str


@dataclass(frozen=True, slots=True)
class PowerState:
    """Whether the unit may be switched off now; from the real state of associations, files and database."""

    safe: bool
    receiving_count: int
    """Associations in which a modality is sending at this moment; while power is about to go, all that are open."""
    unindexed_count: int
    """Instances kept by the door that intake has not put into the outbox yet."""
    known: bool = True
    """False when a part that must answer is silent; then ``safe`` is False."""
    leaving: Leaving = Leaving.NO
    """Set while it is made ready for power to go; then ``safe`` also means that nobody new is let in."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole picture."""

    unit_name: str
    taken_at: str
    studies: tuple[StudyRow, ...]
    """Today's and all that are not complete, STAT first, then newest first; bounded."""
    study_count: int
    unsafe_study_count: int
    """Studies with at least one instance not confirmed at every destination."""
    unsafe_instance_count: int
    unsafe_bytes: int
    only_here_study_count: int
    """Studies of which at least one instance is confirmed nowhere: losing this unit would lose them."""
    last_sync_at: str
    links: tuple[LinkRow, ...]
    findings: tuple[FindingRow, ...]
    power: PowerState
    disk_free_bytes: int
    disk_total_bytes: int
    forecast: Forecast | None = None
    """When all that goes by itself will be at the centre; ``None`` when nothing waits."""
    expected: tuple[StudyRow, ...] = ()
    """Exams of today of which no picture is here yet, ``registered``, urgent ones first; bounded."""
    waits: tuple[str, ...] = ()
    """What hours or budgets of the present link keep back now, a line each."""
    news: NewCounts = NO_NEWS
    """What the centre said and nobody has acknowledged."""
    battery: Battery | None = None
    """``None`` where there is none, or nobody tells of it."""
