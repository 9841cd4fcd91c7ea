"""The words that a unit and the centre say to each other, as frozen values; ``docs/reference/gateway-protocol.md``.

Both sides encode and decode with these types only, so that neither can drift from the other. Unknown fields are
ignored, because units and centres are updated at different times; missing ones with a default are allowed for the same
reason. Sizes are bytes; digests are lower-case hexadecimal SHA-256; times are RFC 3339 in UTC by the centre's clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Uid = Annotated[str, msgspec.Meta(pattern=r"^[0-9.]{1,64}\Z")]
UnitId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]
Base64 = Annotated[str, msgspec.Meta(max_length=4096)]

INBOX_HEADER = "Qafila-Inbox"
"""On every answer to an authenticated unit: number of the newest inbox entry, so that nobody polls an idle link."""
EPOCH_HEADER = "Qafila-Epoch"
"""On every answer to an authenticated unit: the centre's epoch; another one means that the centre lost its memory."""
REPLACES_COUNT_MAX = 64
RECEIPT_CONTEXT = b"qafila receipt v1\0"
SESSION_CONTEXT = b"qafila session v1\0"
ENROL_CONTEXT = b"qafila enrol v1\0"
"""Put before what is signed or authenticated, so that no statement can be passed off as one of another kind."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Common shape: immutable, small on the wire."""


class PartKind(StrEnum):
    """What a part is for; it decides what is sent first."""

    HEADER = "header"
    PREVIEW = "preview"
    PIXELS = "pixels"


class InstanceState(StrEnum):
    """Where an instance is at the centre; only ``verified`` comes with a receipt."""

    ANNOUNCED = "announced"
    """Named in a manifest; its parts are not all known or not all here."""
    REBUILDING = "rebuilding"
    """All parts are here; the file is being put together and handed to the PACS, again and again if need be."""
    VERIFIED = "verified"
    REFUSED = "refused"
    """It needs a person: the PACS refuses it for good, or holds other content under its UID."""


# --- session -------------------------------------------------------------------------------------------------------


class NonceRequest(_Message, frozen=True, kw_only=True):
    """``POST /v1/session/nonce``."""

    unit_id: UnitId


class NonceAnswer(_Message, frozen=True, kw_only=True):
    nonce: Base64
    """32 random bytes, good once and for a few minutes by the centre's monotonic clock."""


class SessionRequest(_Message, frozen=True, kw_only=True):
    """``POST /v1/session``: the signature is Ed25519 over ``SESSION_CONTEXT + nonce + unit_id + lineage``."""

    unit_id: UnitId
    nonce: Base64
    signature: Base64
    lineage: Text = ""
    """``session_id`` of the last session that this unit opened; two copies of one key tell two different stories."""
    inbox_seen: Count = 0
    epoch_seen: Text = ""
    """What the unit remembers of the centre: a centre that has less than this was restored from a backup."""
    software: Text = ""


class SessionAnswer(_Message, frozen=True, kw_only=True):
    token: Text
    """Bearer token; ``Authorization: Bearer``."""
    session_id: Text
    expires_in_s: Count
    epoch: Text
    inbox_head: Count
    backup_horizon_days: float = 7.0
    """The oldest backup that this centre would be restored from; part of the unit's purge rule."""


# --- enrolment -----------------------------------------------------------------------------------------------------


class EnrolRequest(_Message, frozen=True, kw_only=True):
    """``POST /v1/enrol``.

    ``proof`` is HMAC-SHA256(one-time code, ENROL_CONTEXT + "unit" + unit name + NUL + public key); the code as
    ``proofs.plain_code`` gives it, keys as 32 raw bytes (``sync.wire.proofs`` makes all of these).
    """

    code_id: Text
    """The code's first group of four; it says which code is used without telling it."""
    unit_name: Text
    public_key: Base64
    proof: Base64


class EnrolAnswer(_Message, frozen=True, kw_only=True):
    """The centre proves that it knows the code too.

    ``proof`` is HMAC-SHA256(code, ENROL_CONTEXT + "centre" + unit_id + NUL + centre key + unit key + age recipient).
    """

    unit_id: UnitId
    centre_public_key: Base64
    """Ed25519; what receipts are verified with from now on."""
    centre_age_recipient: Text = ""
    """age X25519 recipient for courier mode."""
    proof: Base64


# --- manifests -----------------------------------------------------------------------------------------------------


class StudyInfo(_Message, frozen=True, kw_only=True):
    """What a list at the centre shows before any object has arrived."""

    patient_name: Text = ""
    patient_id: Text = ""
    patient_birth_date: Text = ""
    patient_sex: Text = ""
    accession_number: Text = ""
    study_date: Text = ""
    study_description: Text = ""
    modality: Text = ""
    received_at: Text = ""
    """When the unit received its first image, by the unit's clock."""


class PartInfo(_Message, frozen=True, kw_only=True):
    """One part; its name is its digest."""

    sha256: Sha256
    size_bytes: Count
    kind: PartKind
    media_type: Text = ""
    """Of a preview."""
    restores_sha256: str = ""
    """Of pixels: digest of the pixel bytes that it restores. The centre may have them under another part's name."""
    restores_bytes: Count = 0


class InstanceInfo(_Message, frozen=True, kw_only=True):
    """One instance as the unit stored it; parts that are not made yet are left empty and come in a later manifest."""

    sop_instance_uid: Uid
    sop_class_uid: Uid
    series_instance_uid: Uid
    transfer_syntax_uid: Uid
    sha256: Sha256
    size_bytes: Count
    header: str = ""
    """Digest of the header part that holds this file's skeleton."""
    pixels: str = ""
    no_pixels: bool = False
    """The skeleton is the whole file; then ``header`` alone rebuilds it."""
    preview: str = ""
    replaces: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=REPLACES_COUNT_MAX)] = ()
    """Digests of the contents that this instance had before it was corrected, oldest first.

    The centre then puts this content in their place, and only in theirs; one of them that comes late changes nothing.
    """


class Manifest(_Message, frozen=True, kw_only=True):
    """``PUT /v1/studies/{StudyInstanceUID}/manifest``; what it says is merged with what earlier ones said.

    Idempotent. An instance is known by its SOP Instance UID *and* ``sha256``; naming other parts for it replaces those
    named before. May be sent with ``Content-Encoding: zstd``.
    """

    revision: Count
    """Grows with every manifest of this study from this unit; an older one that comes late only adds."""
    priority: str = "routine"
    """``stat`` or ``routine``."""
    expected_instance_count: Count = 0
    study: StudyInfo = StudyInfo()
    instances: tuple[InstanceInfo, ...] = ()
    parts: tuple[PartInfo, ...] = ()


class PartState(_Message, frozen=True, kw_only=True):
    """What the centre has of a part."""

    offset: Count
    complete: bool = False
    not_needed: bool = False
    """The centre can restore what it is for without it."""


class InstanceAnswer(_Message, frozen=True, kw_only=True):
    state: InstanceState
    header_known: bool = False
    """The skeleton is here, by whatever header part it came."""
    pixels_known: bool = False
    preview_known: bool = False
    receipt: SignedReceipt | None = None
    problem: Text = ""
    """A sentence for a person, when ``refused``."""
    problem_code: Text = ""


class ManifestAnswer(_Message, frozen=True, kw_only=True):
    """Everything a unit must know to go on, in one round trip, also after a restart of either side."""

    revision: Count
    parts: dict[str, PartState] = {}
    instances: dict[str, InstanceAnswer] = {}
    """By SOP Instance UID; of those in the request."""


# --- receipts ------------------------------------------------------------------------------------------------------


class Receipt(_Message, frozen=True, kw_only=True):
    """What the centre states; its JSON bytes are what is signed."""

    unit_id: UnitId
    study_instance_uid: Uid
    sop_instance_uid: Uid
    sha256: Sha256
    size_bytes: Count
    dataset_sha256: str = ""
    pixel_sha256: str = ""
    """Canonical digests (``sync.wire.digest``) of what the PACS gave back."""
    method: Text = ""
    """How the PACS proved it: ``wado``, ``commitment`` or ``move``."""
    pacs: Text = ""
    verified_at: Text
    epoch: Text


class SignedReceipt(_Message, frozen=True, kw_only=True):
    """``statement``: JSON bytes of a ``Receipt``; ``signature``: Ed25519 over ``RECEIPT_CONTEXT`` and these bytes."""

    statement: Annotated[str, msgspec.Meta(max_length=8192)]
    """Base64."""
    signature: Base64


# --- inbox ---------------------------------------------------------------------------------------------------------


class InboxKind(StrEnum):
    """What an entry is about; a unit skips kinds that it does not know."""

    RECEIPT = "receipt"
    REFUSAL = "refusal"


class InboxEntry(_Message, frozen=True, kw_only=True):
    """``GET /v1/inbox?after=N&wait=S``: entries come in order of ``seq``, each for ever."""

    seq: Count
    kind: str
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    sha256: str = ""
    receipt: SignedReceipt | None = None
    text: Text = ""
    code: Text = ""
    body: str = ""
    """Of the kinds of ``sync.wire.answers``: the answer as JSON text."""


class Inbox(_Message, frozen=True, kw_only=True):
    epoch: Text
    head: Count
    entries: tuple[InboxEntry, ...] = ()


# --- checking again ------------------------------------------------------------------------------------------------


class CheckItem(_Message, frozen=True, kw_only=True):
    study_instance_uid: Uid
    sop_instance_uid: Uid
    sha256: Sha256


class CheckRequest(_Message, frozen=True, kw_only=True):
    """``POST /v1/check``: read these back from the PACS once more, now."""

    items: tuple[CheckItem, ...]


class CheckResult(_Message, frozen=True, kw_only=True):
    state: str
    """``verified`` (with a new receipt), ``absent``, ``conflict`` or ``unknown`` (could not be read this time)."""
    receipt: SignedReceipt | None = None
    problem: Text = ""
    problem_code: Text = ""


class CheckAnswer(_Message, frozen=True, kw_only=True):
    epoch: Text
    items: dict[str, CheckResult] = {}
    """By SOP Instance UID."""


class Problem(_Message, frozen=True, kw_only=True):
    """RFC 9457 problem document; every refusal of the gateway is one."""

    type: Text
    title: Text
    status: int
    detail: Text = ""
    expected_offset: int = -1
    """``expected-offset`` of the resumable-upload draft is sent under that name; see ``central.gateway.problems``."""
