"""What a destination may ask of the encoder: the parts of a stored file, made ahead of the link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.domain.failure import Failure
from sync.adapters.base import SendItem


@dataclass(frozen=True, slots=True)
class PreviewFile:
    """A small picture of an instance, for the centre to show first; the file stays until ``forget``."""

    path: Path
    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """The parts that rebuild one stored file; the same ones at every call until ``forget``, after restarts too.

    ``pixels`` is None exactly when ``no_pixels``: the skeleton is the whole file then. ``pixels_sha256`` and
    ``pixels_bytes`` are of the coded part as it travels, ``restores_sha256`` and ``restores_bytes`` of the pixel bytes
    that it restores. The file at ``pixels`` must be opened at once: it stays until ``forget``, but not for ever.
    """

    skeleton: bytes
    pixels: Path | None
    pixels_sha256: str
    pixels_bytes: int
    restores_sha256: str
    restores_bytes: int
    no_pixels: bool


class EncodeError(Exception):
    """A file's parts cannot be made.

    Attributes:
        failure: Permanent when the stored bytes are damaged or gone, transient when the unit lacks room.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.sentence}")
        self.failure = failure


class Encoder(Protocol):
    """Shared by all destinations and threads; a file is known by its SHA-256."""

    def want(self, items: Sequence[SendItem]) -> None:
        """Make these ahead, in this order; replaces the wishes before. Returns at once."""
        ...

    def preview(self, item: SendItem, cancelled: Callable[[], bool]) -> PreviewFile | None:
        """Block until the preview is made; ``None`` when no picture can be made of the file, or when cancelled."""
        ...

    def encoded(self, item: SendItem, cancelled: Callable[[], bool]) -> EncodedFile | None:
        """Block until the parts are made; ``None`` when cancelled.

        Raises:
            EncodeError: If they cannot be made.
        """
        ...

    def ready(self, item: SendItem) -> bool:
        """Whether ``encoded`` would answer without work."""
        ...

    def coded_bytes(self, sha256: str) -> int | None:
        """How long the pixel part of a file is, once known; 0 for one without pixels."""
        ...

    def forget(self, sha256: str) -> None:
        """The file was delivered: its parts may go."""
        ...

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """What the link does, for the choice of effort.

        Args:
            rate_bytes_per_s: Goodput of coded bytes over the last window; ``None`` while it is down or unknown.
            backlog_bytes: Original bytes that wait for it, not yet delivered.
        """
        ...

    def close(self) -> None:
        """End the workers; what is made stays for the next start."""
        ...
