"""Which UIDs an imported file has: the same file in the same registration always the same; pure."""

from __future__ import annotations

import uuid
from enum import StrEnum

from appliance.imports.kinds import Kind

_NAMESPACE = uuid.UUID("6f0f5b0e-7c2b-5d0a-9a35-3f4f1f6f7a11")
"""For ever: with another one every file would be new."""


class Device(StrEnum):
    """What a picture or video was taken with."""

    ULTRASOUND = "ultrasound"
    PHOTOGRAPH = "photograph"


class Series(StrEnum):
    """What belongs into one series; its name is part of the series' UID."""

    ULTRASOUND = "ultrasound"
    ULTRASOUND_LOOP = "ultrasound-loop"
    PHOTOGRAPH = "photograph"
    VIDEO = "video"
    PAPER = "paper"


def series_for(kind: Kind, device: Device) -> Series:
    """Which series a file of this kind belongs to."""
    if kind is Kind.PDF:
        return Series.PAPER
    if device is Device.ULTRASOUND:
        return Series.ULTRASOUND_LOOP if kind is Kind.MP4 else Series.ULTRASOUND
    return Series.VIDEO if kind is Kind.MP4 else Series.PHOTOGRAPH


def series_uid(registration_key: str, series: Series) -> str:
    """Of the series that imports of one kind share within a registration."""
    return _uid(f"{registration_key}/series/{series}")


def instance_uid(registration_key: str, series: Series, sha256: str) -> str:
    """Of the object made of a file with this digest."""
    return _uid(f"{registration_key}/{series}/file/{sha256}")


def _uid(name: str) -> str:
    """A UUID-derived UID (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"
