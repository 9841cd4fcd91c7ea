"""The parts of items that are told together: shared header parts, and pixel parts as the encoder left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from sync.adapters.base import SendItem
from sync.adapters.gateway.manifest import ItemParts
from sync.adapters.gateway.source import InFile, InMemory, Source
from sync.encoder.base import EncodedFile
from sync.wire.effort import Effort
from sync.wire.headers import pack
from sync.wire.messages import PartInfo, PartKind

SHARED_BYTES_MAX = 64 * 1024
"""A larger skeleton (a document, a waveform) travels alone: then its part has the same name at every attempt, and what
the centre has of it already counts."""
EFFORT = Effort(zstd=19)
EFFORT_LARGE = Effort(zstd=9)
"""Level 19 takes 80 MB of memory for a few megabytes."""


@dataclass(slots=True)
class Packed:
    """Parts by name; ``names`` by item id."""

    names: dict[int, ItemParts] = field(default_factory=dict)
    by_name: dict[str, PartInfo] = field(default_factory=dict)
    headers: set[str] = field(default_factory=set)
    _contents: dict[str, bytes | Path] = field(default_factory=dict)
    _owners: dict[str, int] = field(default_factory=dict)

    def names_of(self, item_id: int) -> list[str]:
        """Every part that an item needs."""
        names = self.names[item_id]
        return [names.header] if names.no_pixels else [names.header, names.pixels]

    def owner(self, name: str) -> int:
        """The item that a part counts for: the first of those that share it."""
        return self._owners[name]

    def open(self, name: str) -> Source:
        """To read a part from.

        Raises:
            Failed: ``part-unreadable``.
        """
        content = self._contents[name]
        return InMemory(content) if isinstance(content, bytes) else InFile(content)

    def add(self, info: PartInfo, content: bytes | Path, item_id: int) -> None:
        """Name a part."""
        if info.sha256 not in self.by_name:
            self.by_name[info.sha256] = info
            self._contents[info.sha256] = content
            self._owners[info.sha256] = item_id


def pack_group(group: Sequence[tuple[SendItem, EncodedFile]]) -> Packed:
    """Header parts and pixel parts of items that are told in one manifest."""
    packed = Packed()
    headers: dict[int, str] = {}
    for together in _header_groups(group):
        skeletons = {item.sha256: made.skeleton for item, made in together}
        large = sum(map(len, skeletons.values())) > SHARED_BYTES_MAX and len(together) == 1
        content = pack(skeletons, EFFORT_LARGE if large else EFFORT)
        name = sha256(content).hexdigest()
        packed.headers.add(name)
        packed.add(
            PartInfo(sha256=name, size_bytes=len(content), kind=PartKind.HEADER), content, together[0][0].item_id
        )
        headers |= {item.item_id: name for item, _ in together}
    for item, made in group:
        if made.pixels is not None:
            packed.add(
                PartInfo(
                    sha256=made.pixels_sha256,
                    size_bytes=made.pixels_bytes,
                    kind=PartKind.PIXELS,
                    restores_sha256=made.restores_sha256,
                    restores_bytes=made.restores_bytes,
                ),
                made.pixels,
                item.item_id,
            )
        packed.names[item.item_id] = ItemParts(
            header=headers[item.item_id], pixels=made.pixels_sha256, no_pixels=made.no_pixels
        )
    return packed


def _header_groups(
    group: Sequence[tuple[SendItem, EncodedFile]],
) -> list[list[tuple[SendItem, EncodedFile]]]:
    """Small skeletons of one series together, large ones alone, in order."""
    together: dict[str, list[tuple[SendItem, EncodedFile]]] = {}
    for item, made in group:
        is_large = len(made.skeleton) > SHARED_BYTES_MAX
        key = item.sha256 if is_large else item.series_instance_uid
        together.setdefault(key, []).append((item, made))
    return list(together.values())
