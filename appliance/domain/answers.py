"""What people at the centre said, as the unit shows it: of a body of any release what this one understands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

REPORT, RETAKE, MESSAGE, PRIORITY, ORDER = "report", "retake-request", "message", "priority", "order"
KINDS = (REPORT, RETAKE, MESSAGE, PRIORITY, ORDER)
NOW = "now"


class Weight(StrEnum):
    """What is shown first."""

    CRITICAL = "critical"
    URGENT = "urgent"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAnswer:
    """One answer. Times ending in ``_at`` are by this unit's clock, ``written_at`` is by the centre's."""

    answer_id: str
    destination: str
    kind: str
    """One of ``KINDS``, or what a later release calls something."""
    study_instance_uid: str
    subject_id: str
    version: int
    is_critical: bool
    urgency: str
    body: str
    received_at: str
    outcome: str
    registration_key: str
    seen_at: str
    seen_by: str
    told_count: int
    """How many of its acknowledgements the centre has answered."""
    is_superseded: bool
    """A later version of the same report is here."""
    patient_name: str
    patient_id: str
    """Of the study, as its images say; empty where the unit has no such study."""

    @property
    def is_new(self) -> bool:
        return not self.seen_at

    @property
    def weight(self) -> Weight:
        if self.is_critical:
            return Weight.CRITICAL
        return Weight.URGENT if self.urgency == NOW else Weight.PLAIN

    @property
    def said(self) -> Mapping[str, object]:
        """The fields of the body; none when it is no JSON object."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def text(self, field: str) -> str:
        """A text of the body; empty when it has none of that name."""
        value = self.said.get(field, "")
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class NewCounts:
    """What nobody at the unit has acknowledged."""

    new_count: int = 0
    critical_count: int = 0
    urgent_count: int = 0


NO_NEWS = NewCounts()
