"""Fills parcels: which instances and pieces go together, and what the parcel says of them; pure.

A parcel names in its manifests every part that it brings, so each can be used alone. An instance whose coded pixels
are larger than a parcel is cut into pieces of one size, always at the same places: an export that goes on after a cut
writes only the pieces that are missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from sync.adapters.base import SendItem
from sync.adapters.gateway.manifest import ItemParts, manifest_of, preview_info
from sync.courier.keys import UnitKeys
from sync.courier.limits import CourierLimits
from sync.courier.messages import Holding, ParcelHead, Slice, StudyManifest
from sync.encoder.base import EncodedFile
from sync.wire.messages import Manifest, PartInfo, PartKind
from sync.wire.notes import StudyNotes

PackHeaders = Callable[[Mapping[str, bytes]], bytes]
"""Skeletons by the SHA-256 of their files to one header part."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture, in memory: at most 60 kB."""

    octets: bytes
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Coded:
    """One instance with its parts made."""

    item: SendItem
    parts: EncodedFile
    preview: Preview | None


def piece_count(pixels_bytes: int, limits: CourierLimits) -> int:
    """Into how many pieces coded pixels are cut; 1 when they are not, or when there are none."""
    return max(1, -(-pixels_bytes // limits.parcel_bytes))


@dataclass(slots=True)
class Filling:
    """One parcel while it is filled.

    Args:
        keys: The unit's.
        limits: Bounds.
        pack_headers: Makes a header part.
        notes: What is to be said of studies beside their images, by Study Instance UID.
    """

    keys: UnitKeys
    limits: CourierLimits
    pack_headers: PackHeaders
    notes: Mapping[str, StudyNotes] = field(default_factory=dict)
    _studies: dict[str, list[Coded]] = field(default_factory=dict)
    _slices: list[tuple[Slice, bytes]] = field(default_factory=list)
    _holds: list[Holding] = field(default_factory=list)
    _bytes: int = 0

    @property
    def is_empty(self) -> bool:
        return not self._holds

    def has_room(self, coded: Coded, pixel_bytes: int) -> bool:
        """Whether a piece of so many bytes of this instance still goes in; an empty parcel takes any piece."""
        instance_count = sum(len(study) for study in self._studies.values())
        notes_bytes = sum(map(self._notes_bytes, {*self._studies, coded.item.study_instance_uid}))
        new_bytes = pixel_bytes + len(coded.parts.skeleton) + (len(coded.preview.octets) if coded.preview else 0)
        return self.is_empty or (
            self._bytes + new_bytes <= self.limits.parcel_bytes
            and instance_count < self.limits.parcel_instance_count_max
            and notes_bytes <= self.limits.parcel_notes_bytes_max
        )

    def add(self, coded: Coded, piece: int, octets: bytes) -> None:
        """Put one piece in; ``octets`` are its coded pixels, empty when the instance has none."""
        parts = coded.parts
        study = self._studies.setdefault(coded.item.study_instance_uid, [])
        if not any(other.item.item_id == coded.item.item_id for other in study):
            study.append(coded)
            self._bytes += len(parts.skeleton)
        if octets:
            offset = piece * self.limits.parcel_bytes
            self._put(parts.pixels_sha256, parts.pixels_bytes, offset, octets)
        if coded.preview and piece == 0:
            self._put(coded.preview.sha256, len(coded.preview.octets), 0, coded.preview.octets)
        self._holds.append(
            Holding(
                instance=self.keys.instance_name(coded.item.sop_instance_uid, coded.item.sha256),
                part=self.keys.part_name(parts.pixels_sha256),
                piece=piece,
                piece_count=piece_count(parts.pixels_bytes, self.limits),
            )
        )

    def close(self, stick: str, number: int) -> tuple[ParcelHead, list[bytes], tuple[Holding, ...]]:
        """The parcel's head, the octets of its slices, and what its line in the index says it holds."""
        slices, manifests = list(self._slices), []
        for study_instance_uid, instances in self._studies.items():
            header = self.pack_headers({one.item.sha256: one.parts.skeleton for one in instances})
            header_sha256 = hashlib.sha256(header).hexdigest()
            slices.append((Slice(sha256=header_sha256, part_bytes=len(header), size_bytes=len(header)), header))
            manifest = _manifest(instances, header_sha256, len(header))
            notes = self.notes.get(study_instance_uid)
            manifests.append(StudyManifest(study_instance_uid=study_instance_uid, manifest=manifest, notes=notes))
        head = ParcelHead(
            unit_id=self.keys.unit_id,
            stick=stick,
            number=number,
            studies=tuple(manifests),
            slices=tuple(piece for piece, _ in slices),
        )
        return head, [octets for _, octets in slices], tuple(self._holds)

    def _notes_bytes(self, study_instance_uid: str) -> int:
        notes = self.notes.get(study_instance_uid)
        return len(msgspec.json.encode(notes)) if notes is not None else 0

    def _put(self, sha256: str, part_bytes: int, offset: int, octets: bytes) -> None:
        if any((known.sha256, known.offset) == (sha256, offset) for known, _ in self._slices):
            return  # two instances of the same pixels
        self._slices.append(
            (Slice(sha256=sha256, part_bytes=part_bytes, offset=offset, size_bytes=len(octets)), octets)
        )
        self._bytes += len(octets)


def _manifest(instances: Sequence[Coded], header_sha256: str, header_bytes: int) -> Manifest:
    """As by link; the revision is the centre's to give, for the stick may come after later manifests."""
    infos = [PartInfo(sha256=header_sha256, size_bytes=header_bytes, kind=PartKind.HEADER)]
    names = {}
    for coded in instances:
        infos += _parts(coded)
        names[coded.item.item_id] = ItemParts(
            header=header_sha256,
            pixels=coded.parts.pixels_sha256,
            no_pixels=coded.parts.no_pixels,
            preview=coded.preview.sha256 if coded.preview else "",
        )
    return manifest_of(0, [coded.item for coded in instances], names, infos)


def _parts(coded: Coded) -> list[PartInfo]:
    found = []
    if not coded.parts.no_pixels:
        found.append(
            PartInfo(
                sha256=coded.parts.pixels_sha256,
                size_bytes=coded.parts.pixels_bytes,
                kind=PartKind.PIXELS,
                restores_sha256=coded.parts.restores_sha256,
                restores_bytes=coded.parts.restores_bytes,
            )
        )
    if coded.preview:
        found.append(preview_info(coded.preview.sha256, len(coded.preview.octets), coded.preview.media_type))
    return found
