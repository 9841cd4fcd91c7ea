"""What checks are given: one instance as plain values, so that each check is a function to read in one piece."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from appliance.config import QualityTable

PROJECTION_MODALITIES = frozenset({"CR", "DX", "MG", "PX", "IO", "RG"})
"""Still X-ray pictures: exposure, clipping and spacing are judged."""


@dataclass(frozen=True, slots=True)
class HeaderView:
    """A data set by DICOM keyword; an attribute that is present without a value has an empty tuple.

    ``suspects`` are keywords whose bytes cannot be what the character set says, with what they look like.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    items: Mapping[str, tuple[HeaderView, ...]] = field(default_factory=dict)
    suspects: Mapping[str, str] = field(default_factory=dict)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values, without blanks around; empty when there is none."""
        return tuple(text.strip() for text in self.values.get(keyword, ()))

    def text(self, keyword: str) -> str:
        """The first value; empty when there is none."""
        return next(iter(self.texts(keyword)), "")

    def has(self, keyword: str) -> bool:
        """Whether the attribute has a value."""
        return any(self.texts(keyword)) or bool(self.items.get(keyword))

    def numbers(self, keyword: str) -> tuple[float | None, ...]:
        """All values as finite numbers; ``None`` where one is none."""
        return tuple(_number(text) for text in self.texts(keyword))

    def number(self, keyword: str) -> float | None:
        """The first value as a finite number; ``None`` when there is none."""
        return next(iter(self.numbers(keyword)), None)

    @property
    def frame_count(self) -> int:
        """Number of Frames as it is said; 1 where it is not."""
        return max(1, int(self.number("NumberOfFrames") or 1))

    @property
    def is_projection(self) -> bool:
        """A still X-ray picture of one frame."""
        return self.text("Modality") in PROJECTION_MODALITIES and self.frame_count == 1


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One decoded frame; shares are of the exposed field, without what surrounds the body (0 where not judged)."""

    number: int
    """From 1, as viewers count."""
    is_blank: bool
    dark_share: float = 0.0
    bright_share: float = 0.0


@dataclass(frozen=True, slots=True)
class FramesView:
    """What was found of the pixels."""

    is_there: bool
    """Whether Pixel Data exists at all."""
    missing_bytes: int = 0
    """By which uncompressed pixels are shorter than the header says."""
    missing_frame_count: int = 0
    """By which compressed frames are fewer than the header says."""
    looked: tuple[FrameFacts, ...] = ()
    unreadable: tuple[int, ...] = ()
    """Numbers of frames that no decoder took."""
    not_looked_why: str = ""
    """``video`` or ``syntax``: this kind of pixels is not decoded here."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was ordered for the study, and for whom."""

    modality: str = ""
    body_part: str = ""
    laterality: str = ""
    views: str = ""
    """View positions of the catalogue: ``AP LL/RL`` is AP, and one of LL and RL."""
    patient_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Folded words of the names, Latin and Arabic."""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything about one instance."""

    header: HeaderView
    frames: FramesView
    bands: QualityTable
    received_at: datetime
    """With the unit's time zone."""
    is_clock_doubted: bool = False
    order: Order | None = None
    damage: str = ""
    """Why the file is no whole Part 10 file; empty when it is."""
