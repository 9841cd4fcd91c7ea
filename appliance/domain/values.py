"""The nouns of the product, each with one meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Priority(StrEnum):
    """How urgent a study is; STAT goes before everything else."""

    STAT = "stat"
    ROUTINE = "routine"


class ItemState(StrEnum):
    """Where an outbox item is on its one way to the destination.

    ``sent`` means the destination accepted the bytes; only ``confirmed`` means that it proved to hold them.
    """

    PENDING = "pending"
    ENCODING = "encoding"
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    HELD = "held"
    REJECTED = "rejected"


class TrafficClass(StrEnum):
    """What travels, in the order in which it goes; budgets and hours of a link are set for each.

    A destination that cannot show anything before the pixels are there knows only ``stat`` and ``full``.
    """

    STAT_PREVIEW = "stat-preview"
    """Manifest and preview of a STAT study."""
    STAT = "stat"
    """All of a STAT study."""
    PREVIEW = "preview"
    """Manifest and preview of a routine study."""
    FULL = "full"
    """All of a routine study."""


class LinkKind(StrEnum):
    """What the unit's way to the world is made of; each may have its budget and hours."""

    WIRED = "wired"
    WIFI = "wifi"
    SIM = "sim"
    SATELLITE = "satellite"
    UNKNOWN = "unknown"


class LocalState(StrEnum):
    """What the unit's disk has of an instance."""

    PRESENT = "present"
    EVICTED = "evicted"
    MISSING = "missing"
    CORRUPT = "corrupt"


class LinkState(StrEnum):
    """What is known of the way to a destination."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored SOP Instance, as the door kept it.

    ``sha256`` is of the whole Part 10 file as stored here; ``dataset_sha256`` of its bytes after the group 0002 header.
    Where ``revision_id`` is not 0, blob, size and digests are those of that revision, the rest is the original's.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    orthanc_id: str
    blob_uuid: str
    size_bytes: int
    sha256: str
    dataset_sha256: str
    calling_ae_title: str
    received_at: str
    revision_id: int = 0


@dataclass(frozen=True, slots=True)
class StudyHeader:
    """What a list shows of a study; taken from the first instance that carried it."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    accession_number: str
    study_date: str
    study_description: str
    modality: str


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """The duty to deliver one Instance to one Destination, with all the core needs to decide about it.

    ``queued_at_s`` orders by age: seconds since the epoch as recorded at intake; the core compares it only with others.
    ``sha256`` is of the content that is owed, the original's or, where ``revision_id`` is not 0, that revision's: a
    receipt counts only when it is about the same.
    """

    item_id: int
    destination: str
    state: ItemState
    sop_instance_uid: str
    study_instance_uid: str
    priority: Priority
    size_bytes: int
    sha256: str
    queued_at_s: float
    attempt_count: int = 0
    announced: bool = False
    """Its manifest and preview were told to a destination that shows them, or that was given up."""
    revision_id: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the destination showed to prove that it holds an instance; stored with the Receipt.

    Attributes:
        method: ``wado`` (bytes re-read), ``commitment`` (Storage Commitment), ``move`` (C-MOVE read-back) or
            ``gateway`` (a receipt that the centre signed after one of these).
        sha256: Digest of the unit's stored file that the proof is about.
        dataset_sha256: Digest of the canonical data set that was compared; empty where the method compares none.
        pixel_sha256: Digest of the decoded or encapsulated pixels that were compared; empty likewise.
        detail: Small JSON-able facts (transaction UID, transfer syntax, bytes re-read).
        epoch: What the centre called its life, between two restores from a backup, when it proved it; empty where the
            protocol knows no such thing.
    """

    method: str
    sha256: str
    dataset_sha256: str = ""
    pixel_sha256: str = ""
    detail: tuple[tuple[str, str], ...] = ()
    epoch: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A Destination's statement that it durably holds a digest."""

    destination: str
    sop_instance_uid: str
    sha256: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the append-only history; ``at`` is UTC wall time, order comes from ``seq``."""

    seq: int
    at: str
    subject: str
    subject_id: str
    event: str
    from_state: str
    to_state: str
    actor: str
    detail: str
