"""Feeds manifests and slices from a stick to the gateway's own functions, in a process beside the gateway.

Nothing here decides what a manifest or a part means. What the centre has already is passed over; a part that came half
by link goes on from where it stands. Everything may be brought twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from appliance.clock import Clock
from central.config import CentralConfig
from central.gateway.admission import Wanted
from central.gateway.inbox import Inboxes
from central.gateway.keys import CentreKeys, courier_secret, load_keys
from central.gateway.objects import Objects
from central.gateway.problems import MISMATCHING_OFFSET, Refusal
from central.gateway.settle import Settler
from central.gateway.studies import Studies, has_digit
from central.gateway.uploads import Uploads
from central.store.database import Database
from central.store.parts import part_row
from central.store.tables import study
from sync.courier.messages import Slice, StudyManifest
from sync.courier.parcel import OpenParcel
from sync.wire.messages import InstanceState, Manifest, StudyInfo

TRY_COUNT = 5
"""The gateway may append to the same part at the same moment; whoever comes second goes on from where it ended."""


@dataclass(slots=True)
class Taken:
    """What became of a stick's content.

    Attributes:
        instances: How the centre stands with each instance that was named, by SOP Instance UID and SHA-256.
        study_uids: Of the studies that were named.
        new_bytes: Of parts, that were not here before.
        gaps: Parts that cannot go on, because a piece before is missing.
        refusals: Sentences.
    """

    instances: dict[tuple[str, str], InstanceState] = field(default_factory=dict)
    study_uids: set[str] = field(default_factory=set)
    new_bytes: int = 0
    gaps: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)

    def states(self) -> Counter[InstanceState]:
        """Instances by state."""
        return Counter(self.instances.values())


class Intake:
    """The gateway's functions over the centre's database and object store, without its door and its pipeline."""

    def __init__(self, config: CentralConfig, database: Database, clock: Clock) -> None:
        """Raises ``ConfigError`` when keys or object store cannot be used."""
        limits = config.gateway.limits
        self.database = database
        self.keys: CentreKeys = load_keys(config.keys_dir)
        self.secret = courier_secret(config.keys_dir)
        inboxes = Inboxes(database, limits)
        settler = Settler(database, self.keys, inboxes, clock, config.destination.name, _nobody)
        self._uploads = Uploads(database, Objects(config.parts_url), limits, clock, _noted)
        self._studies = Studies(database, self._uploads, settler, inboxes, limits, clock, _nobody)

    async def take(self, unit_id: str, parcel: OpenParcel, taken: Taken) -> None:
        """Merge a parcel's manifests and append its slices; what is refused is noted and the rest goes on.

        Raises:
            Refusal: When it makes no sense to go on: the unit was revoked, or the disk has no room.
        """
        needed: set[str] = set()
        for one in parcel.head.studies:
            try:
                needed |= await self._announce(unit_id, one, taken)
            except Refusal as refusal:
                _note(taken, refusal)
        for piece, octets in parcel.slices():
            if piece.sha256 not in needed or not piece.size_bytes:
                continue
            try:
                await self._append(unit_id, piece, octets, taken)
            except Refusal as refusal:
                _note(taken, refusal)

    async def _announce(self, unit_id: str, one: StudyManifest, taken: Taken) -> set[str]:
        """The parts of this manifest that are still wanted."""
        if not has_digit(one.study_instance_uid):
            taken.refusals.append("A study's UID has no digits.")
            return set()
        manifest = await self.database.reading(_as_newest, unit_id, one.study_instance_uid, one.manifest)
        answer = await self._studies.take(unit_id, one.study_instance_uid, manifest)
        if one.notes is not None and one.notes.study_instance_uid == one.study_instance_uid:
            await self._studies.take_notes(unit_id, [one.notes])
        taken.study_uids.add(one.study_instance_uid)
        digests = {instance.sop_instance_uid: instance.sha256 for instance in manifest.instances}
        for uid, instance in answer.instances.items():
            taken.instances[uid, digests[uid]] = instance.state
        return {name for name, part in answer.parts.items() if not (part.complete or part.not_needed)}

    async def _append(self, unit_id: str, piece: Slice, octets: memoryview, taken: Taken) -> None:
        """Append what is missing of a slice.

        Raises:
            Refusal: As the gateway does.
        """
        for _ in range(TRY_COUNT):
            row = await self.database.reading(part_row, piece.sha256)
            offset = 0 if row is None else row.offset_bytes
            if row is None or row.complete or offset >= piece.offset + piece.size_bytes:
                return
            if offset < piece.offset:
                taken.gaps.add(piece.sha256)
                return
            rest = bytes(octets[offset - piece.offset :])
            wanted = Wanted(unit_id, piece.sha256, offset, _ends(piece), len(rest), piece.part_bytes)
            try:
                await self._uploads.append(wanted, _body(rest), bytes)
            except Refusal as refusal:
                if refusal.type != MISMATCHING_OFFSET:
                    raise
                continue
            taken.new_bytes += len(rest)
            return


def _as_newest(connection: Connection, unit_id: str, study_uid: str, manifest: Manifest) -> Manifest:
    """The manifest with the study's present revision, so that its parts count and later ones by link count as well.

    What was said of the study itself stays: the stick may have been days on its way.
    """
    known = connection.execute(
        select(study).where(study.c.unit_id == unit_id, study.c.study_instance_uid == study_uid)
    ).one_or_none()
    if known is None:
        return msgspec.structs.replace(manifest, revision=0)
    return msgspec.structs.replace(
        manifest,
        revision=known.revision,
        priority="stat" if "stat" in (manifest.priority, known.priority) else "routine",
        expected_instance_count=max(manifest.expected_instance_count, known.expected_instance_count),
        study=msgspec.json.decode(known.info, type=StudyInfo),
    )


def _ends(piece: Slice) -> bool:
    return piece.offset + piece.size_bytes == piece.part_bytes


def _body(octets: bytes) -> Any:
    """A request's body, as ASGI hands it over."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": octets, "more_body": False}

    return receive


def _note(taken: Taken, refusal: Refusal) -> None:
    """A refusal of one thing is noted; one that would meet all others as well ends the import."""
    if refusal.status in (403, 429, 503, 507):
        raise refusal
    if refusal.detail not in taken.refusals:
        taken.refusals.append(refusal.detail)


def _nobody() -> None:
    """The gateway's process looks for itself."""


def _noted(sha256: str) -> None:
    """As above."""
