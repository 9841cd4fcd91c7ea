"""Parts for a stick: those that the sync process made already are borrowed from its spool, others are made here.

The spool belongs to the sync process alone, and what lies in it may go or be made anew at any moment. It is only read
here, and compared with its digest; when that does not fit, the parts are made once more in a spool of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sync.adapters.base import SendItem
from sync.encoder.base import EncodedFile, Encoder, PreviewFile
from sync.encoder.entry import Entry, entry_folder, load, preview_is_whole, skeleton_of


@dataclass(slots=True)
class BorrowingEncoder:
    """``sync.encoder.base.Encoder`` over another process' spool and an encoder of our own.

    Args:
        own: Makes what cannot be borrowed.
        spool: The other's folder; it need not exist.
    """

    own: Encoder
    spool: Path
    _refused: set[str] = field(default_factory=set)

    def encoded(self, item: SendItem, cancelled: Callable[[], bool]) -> EncodedFile | None:
        """As ``Encoder``; a file that is asked for twice is not borrowed again: what was lent did not last."""
        if item.sha256 not in self._refused:
            self._refused.add(item.sha256)
            if (found := _parts(self._entry(item))) is not None:
                return found
        return self.own.encoded(item, cancelled)

    def preview(self, item: SendItem, cancelled: Callable[[], bool]) -> PreviewFile | None:
        """As ``Encoder``."""
        entry = self._entry(item)
        if entry is not None and entry.preview is not None and preview_is_whole(entry):
            record = entry.preview
            if not record.sha256:
                return None
            return PreviewFile(entry.preview_file, record.sha256, record.size_bytes, record.media_type)
        return self.own.preview(item, cancelled)

    def want(self, items: Sequence[SendItem]) -> None:
        """Make these ahead, but for those that lie ready elsewhere."""
        self.own.want([item for item in items if not self._is_lent(item)])

    def ready(self, item: SendItem) -> bool:
        """Whether ``encoded`` would answer without work."""
        return self._is_lent(item) or self.own.ready(item)

    def coded_bytes(self, sha256: str) -> int | None:
        """As ``Encoder``, of what was made here."""
        return self.own.coded_bytes(sha256)

    def forget(self, sha256: str) -> None:
        """As ``Encoder``, for what was made here: what was borrowed is not ours to give up."""
        self.own.forget(sha256)

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """As ``Encoder``."""
        self.own.note_link(rate_bytes_per_s, backlog_bytes)

    def close(self) -> None:
        """As ``Encoder``."""
        self.own.close()

    def _is_lent(self, item: SendItem) -> bool:
        entry = self._entry(item)
        return item.sha256 not in self._refused and entry is not None and entry.has_parts

    def _entry(self, item: SendItem) -> Entry | None:
        return load(entry_folder(self.spool, item.sha256))


def _parts(entry: Entry | None) -> EncodedFile | None:
    if entry is None or entry.parts is None or (skeleton := skeleton_of(entry)) is None:
        return None
    parts = entry.parts
    return EncodedFile(
        skeleton=skeleton,
        pixels=entry.pixels if parts.has_pixels else None,
        pixels_sha256=parts.pixels_sha256,
        pixels_bytes=parts.pixels_bytes,
        restores_sha256=parts.restores_sha256,
        restores_bytes=parts.restores_bytes,
        no_pixels=not parts.has_pixels,
    )
