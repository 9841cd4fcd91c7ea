"""What is known to be wrong with a kept blob, said everywhere it must be: the instance's row, a finding, quarantine.

Bytes that differ from the ledger are never uploaded; they stay where they are (a repeat of the picture heals them)
and get a second name in quarantine, which costs no space.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.config import UnitConfig, blob_path
from appliance.domain.values import LocalState
from appliance.logging import log
from appliance.orthanc.blobs import flush_folder
from appliance.store.connect import Store
from appliance.store.door import KeptRow, find_kept, note_quarantined
from appliance.store.findings import clear_finding, note_finding, open_kinds
from appliance.store.instances import find_instance, set_local_state

PIECE_BYTES = 1024 * 1024
DAMAGED, MISSING, UNREADABLE = "blob-damaged", "blob-missing", "blob-unreadable"
KINDS = frozenset((DAMAGED, MISSING, UNREADABLE))
_SENTENCES = {
    DAMAGED: "A stored picture was damaged on the disk. It is not sent as it is. Repeat it if you can, and tell the "
    "service: the disk may be failing.",
    MISSING: "A stored picture is gone from the disk before it was delivered everywhere. Repeat it if you can, and "
    "tell the service.",
    UNREADABLE: "A stored picture cannot be read from the disk. It is not sent until it can be; the others go on. "
    "Tell the service: the disk may be failing.",
}


@dataclass(frozen=True, slots=True)
class Damage:
    """One of the three kinds, with facts for the service person."""

    kind: str
    detail: str


def pieces(path: Path) -> Iterator[bytes]:
    """A file from the medium, not from the cache, in pieces of ``PIECE_BYTES``.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        # Cached pages would hide what the medium holds, and a scrub must not push useful pages out.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(PIECE_BYTES):
            yield piece
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file on the medium.

    Raises:
        OSError: If it cannot be read.
    """
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def judge_size(config: UnitConfig, row: KeptRow) -> Damage | None:
    """What a look at the directory tells of a kept blob; cheap."""
    try:
        size_bytes = blob_path(config.blob_dir, row.blob_uuid).stat().st_size
    except FileNotFoundError:
        return Damage(MISSING, f"blob={row.blob_uuid}")
    except OSError as error:
        return Damage(UNREADABLE, f"blob={row.blob_uuid} error={error.strerror}")
    if size_bytes != row.size_bytes:
        return Damage(DAMAGED, f"blob={row.blob_uuid} bytes={size_bytes} kept_bytes={row.size_bytes}")
    return None


def judge(config: UnitConfig, row: KeptRow) -> Damage | None:
    """What reading all of a kept blob tells."""
    damage = judge_size(config, row)
    if damage:
        return damage
    try:
        return judge_digest(row, sha256_of(blob_path(config.blob_dir, row.blob_uuid)))
    except OSError as error:
        return judge_error(row, error)


def judge_digest(row: KeptRow, sha256: str) -> Damage | None:
    """Whether the bytes that were read are those that were kept."""
    if sha256 == row.sha256:
        return None
    return Damage(DAMAGED, f"blob={row.blob_uuid} sha256={sha256} kept_sha256={row.sha256}")


def judge_error(row: KeptRow, error: OSError) -> Damage:
    """A blob that the medium does not give."""
    if isinstance(error, FileNotFoundError):
        return Damage(MISSING, f"blob={row.blob_uuid}")
    return Damage(UNREADABLE, f"blob={row.blob_uuid} error={error.strerror}")


def record(config: UnitConfig, unit: Store, door: Store, row: KeptRow, damage: Damage | None) -> bool:
    """Make the rows say what was found; whether the blob is good. Noting the same again changes nothing.

    Raises:
        StoreError: If it could not be noted.
    """
    now = find_kept(door, row.blob_uuid)
    if now is None or now.removed_at:
        return True
    if damage is None:
        _record_good(unit, row)
        return True
    if damage.kind == DAMAGED:
        _set_aside(config, door, row)
    note(unit, row.sop_instance_uid, row.blob_uuid, damage)
    return False


def note(unit: Store, sop_instance_uid: str, blob_uuid: str, damage: Damage) -> None:
    """The instance's state, if it lives in that blob, and the finding; noting the same again changes nothing."""
    known = find_instance(unit, sop_instance_uid)
    if known and known[0].blob_uuid == blob_uuid and known[1] is not LocalState.EVICTED:
        # One that cannot be read counts as damaged until a later reading succeeds.
        state = LocalState.MISSING if damage.kind == MISSING else LocalState.CORRUPT
        set_local_state(unit, unit.stamp(), sop_instance_uid, state, damage.kind, actor="intake")
    is_news = note_finding(
        unit,
        kind=damage.kind,
        subject_id=sop_instance_uid,
        sentence=_SENTENCES[damage.kind],
        severity="alarm",
        detail=damage.detail,
    )
    if is_news:
        log("unit.intake", damage.kind, uid=sop_instance_uid, facts=damage.detail)


def _record_good(unit: Store, row: KeptRow) -> None:
    """The state and the findings apart: a copy that was sent anew makes the instance present and leaves the alarm."""
    known = find_instance(unit, row.sop_instance_uid)
    if not known or known[0].blob_uuid != row.blob_uuid or known[1] is LocalState.EVICTED:
        return
    if known[1] is not LocalState.PRESENT:
        set_local_state(unit, unit.stamp(), row.sop_instance_uid, LocalState.PRESENT, "whole again", actor="intake")
    for kind in open_kinds(unit, row.sop_instance_uid) & KINDS:
        clear_finding(unit, kind=kind, subject_id=row.sop_instance_uid, actor="intake")


def _set_aside(config: UnitConfig, door: Store, row: KeptRow) -> None:
    """A second name for the damaged bytes, so that healing the blob does not lose the only trace of them."""
    name = f"damaged-{row.blob_uuid}.dcm"
    try:
        os.link(blob_path(config.blob_dir, row.blob_uuid), config.quarantine_dir / name)
    except FileExistsError:
        return
    flush_folder(config.quarantine_dir)
    note_quarantined(
        door,
        door.stamp(),
        reason="damaged",
        sop_instance_uid=row.sop_instance_uid,
        sha256="",
        size_bytes=(config.quarantine_dir / name).stat().st_size,
        file_name=name,
    )
