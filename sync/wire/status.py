"""What a unit says of itself, for the centre's fleet page: counts, sizes and ages, and nothing of a patient.

Ages are differences on the unit, so that a wrong clock does not spoil them; ``at`` is that clock, to be compared.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from sync.wire.messages import Count, Text

Word = Annotated[str, msgspec.Meta(max_length=64)]
Age = Annotated[float, msgspec.Meta(ge=0, le=1e10)]


class DiskLevel(StrEnum):
    """As the unit's own bounds judge it (``qafila doctor``)."""

    FINE = "fine"
    WARNING = "warning"
    ALARM = "alarm"


class StatusReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``POST /v1/status``: how a unit is now. Saying it again replaces what was said; an empty word is unknown."""

    at: Annotated[str, msgspec.Meta(max_length=32)]
    """UTC by the unit's clock, RFC 3339."""
    clock_doubt: Word = ""
    """Why the unit does not believe its clock; empty: it does."""
    software: Text = ""
    link_kind: Word = ""
    """``wired``, ``wifi``, ``sim`` or ``satellite``."""
    rate_bytes_per_s: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0.0
    """Goodput of the link to this centre as last measured; 0: not measured."""
    disk_free_bytes: Count = 0
    disk_total_bytes: Count = 0
    disk_level: DiskLevel = DiskLevel.FINE
    unsent_study_count: Count = 0
    unsent_instance_count: Count = 0
    unsent_bytes: Count = 0
    oldest_unsent_s: Age = 0.0
    """Since the oldest instance that is not proved to be at the centre was received; 0: there is none."""
    finding_count: Count = 0
    """What waits for a person at the unit."""


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The centre has it."""

    epoch: Text
