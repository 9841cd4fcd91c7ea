"""What this unit says of a study: pure building of manifests out of items and their parts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync.adapters.base import SendItem
from sync.wire.messages import REPLACES_COUNT_MAX, InstanceInfo, Manifest, PartInfo, PartKind, StudyInfo

STAT, ROUTINE = "stat", "routine"
TEXT_LENGTH_MAX = 1024


@dataclass(frozen=True, slots=True)
class ItemParts:
    """The names of an item's parts that are made; empty ones are told later, or never."""

    header: str = ""
    pixels: str = ""
    no_pixels: bool = False
    preview: str = ""


def instance_info(item: SendItem, parts: ItemParts) -> InstanceInfo:
    """One instance as the unit stored it."""
    return InstanceInfo(
        sop_instance_uid=item.sop_instance_uid,
        sop_class_uid=item.sop_class_uid,
        series_instance_uid=item.series_instance_uid,
        transfer_syntax_uid=item.transfer_syntax_uid,
        sha256=item.sha256,
        size_bytes=item.size_bytes,
        header=parts.header,
        pixels=parts.pixels,
        no_pixels=parts.no_pixels,
        preview=parts.preview,
        replaces=item.replaces[-REPLACES_COUNT_MAX:],
    )


def preview_info(sha256: str, size_bytes: int, media_type: str) -> PartInfo:
    """A preview part."""
    return PartInfo(sha256=sha256, size_bytes=size_bytes, kind=PartKind.PREVIEW, media_type=media_type)


def manifest_of(
    revision: int, items: Sequence[SendItem], parts: Mapping[int, ItemParts], infos: Iterable[PartInfo]
) -> Manifest:
    """A manifest of items of one study.

    Args:
        revision: From ``Revisions``.
        items: At least one, all of one study, no two of one SOP Instance UID: the answer is by it.
        parts: By item id.
        infos: Of the parts; one that is named twice is told once.
    """
    return Manifest(
        revision=revision,
        priority=STAT if any(item.stat for item in items) else ROUTINE,
        expected_instance_count=max(item.study_instance_count for item in items),
        study=_study_info(items),
        instances=tuple(instance_info(item, parts.get(item.item_id, ItemParts())) for item in items),
        parts=tuple({info.sha256: info for info in infos}.values()),
    )


def _study_info(items: Sequence[SendItem]) -> StudyInfo:
    header = next((item.study for item in items if item.study is not None), None)
    if header is None:
        return StudyInfo()
    return StudyInfo(
        patient_name=_short(header.patient_name),
        patient_id=_short(header.patient_id),
        patient_birth_date=_short(header.patient_birth_date),
        patient_sex=_short(header.patient_sex),
        accession_number=_short(header.accession_number),
        study_date=_short(header.study_date),
        study_description=_short(header.study_description),
        modality=_short(header.modality),
        received_at=min((item.study_received_at for item in items if item.study_received_at), default=""),
    )


def _short(text: str) -> str:
    return text[:TEXT_LENGTH_MAX]


class Revisions:
    """Numbers of manifests, growing over all studies; thread-safe.

    They begin at the wall clock's milliseconds, so that a restarted unit goes on above its earlier ones. After a clock
    that went back, a manifest is taken for an older one and only adds: that loses a change of priority, no picture.
    """

    def __init__(self, now_wall_s: float) -> None:
        self._last = max(0, int(now_wall_s * 1000))
        self._lock = threading.Lock()

    def next(self) -> int:
        """The number for the next manifest."""
        with self._lock:
            self._last += 1
            return self._last


def tellable_together(items: Sequence[SendItem]) -> list[SendItem]:
    """The first item, and those after it that fit into one manifest with it."""
    chosen: dict[str, SendItem] = {}
    for item in items:
        if item.study_instance_uid == items[0].study_instance_uid:
            chosen.setdefault(item.sop_instance_uid, item)
    return list(chosen.values())
