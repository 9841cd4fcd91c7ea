"""What this unit says of a study beside its images, in the words of ``sync.wire.notes``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.domain.registration import Registration
from appliance.domain.values import Priority
from appliance.store.notes import StudyFacts
from appliance.store.quality import QualityRow
from sync.wire.notes import (
    FOUND_COUNT_MAX,
    FOUND_IMAGE_COUNT_MAX,
    VALUE_COUNT_MAX,
    Asked,
    Found,
    StudyNotes,
    Value,
    bounded,
)

WORD_CHARS_MAX, TEXT_CHARS_MAX = 64, 1024
_NUMBER_MAX = 1 << 53
_UID = re.compile(r"[0-9.]{1,64}")
"""A modality's UID that is none is kept on the unit; the wire takes no such name, and all others travel."""


def study_notes(facts: StudyFacts, now_wall_s: float) -> StudyNotes:
    """All that is to be said of a study now.

    The revision is the wall clock's milliseconds, and above what was told before: it grows also in a database that was
    made anew, unless the clock went back.
    """
    kinds = _kinds(facts.findings)
    return bounded(
        StudyNotes(
            study_instance_uid=facts.study_instance_uid,
            revision=max(int(now_wall_s * 1000), facts.revision_told + 1),
            asked=_asked(facts.registration) if facts.registration is not None else None,
            checked_count=facts.checked_count,
            found=tuple(kind.found() for kind in kinds[:FOUND_COUNT_MAX]),
            left_out_count=max(0, len(kinds) - FOUND_COUNT_MAX),
        )
    )


def _asked(registration: Registration) -> Asked:
    order = registration.order
    return Asked(
        exam=order.description[:TEXT_CHARS_MAX],
        referrer=order.referrer[:TEXT_CHARS_MAX],
        reason=order.reason[:TEXT_CHARS_MAX],
        is_stat=order.priority is Priority.STAT,
        pregnancy=order.pregnancy.value,
        accession_number=registration.accession_number,
    )


@dataclass(slots=True)
class _Kind:
    """One thing that was found, and the images that it was found in alike."""

    row: QualityRow
    images: list[str] = field(default_factory=list)

    def found(self) -> Found:
        return Found(
            code=self.row.check_code[:WORD_CHARS_MAX],
            severity=self.row.severity.value,
            values=_values(self.row.values),
            image_count=len(self.images),
            images=tuple(uid for uid in self.images[:FOUND_IMAGE_COUNT_MAX] if _UID.fullmatch(uid)),
        )


def _kinds(rows: Sequence[QualityRow]) -> list[_Kind]:
    """In the order of their first."""
    kinds: dict[tuple[str, str, str], _Kind] = {}
    for row in rows:
        key = (row.check_code, row.severity, json.dumps(dict(row.values), sort_keys=True))
        kinds.setdefault(key, _Kind(row)).images.append(row.sop_instance_uid)
    return list(kinds.values())


def _values(values: Mapping[str, Any]) -> dict[str, Value]:
    """What sentences are made of, within the bounds of the wire."""
    first = list(values.items())[:VALUE_COUNT_MAX]
    return {key[:WORD_CHARS_MAX]: _value(value) for key, value in first}


def _value(value: Any) -> Value:
    match value:
        case list() | tuple():
            return tuple(str(each)[:WORD_CHARS_MAX] for each in value[:VALUE_COUNT_MAX])
        case float():
            return value
        case int() if abs(value) <= _NUMBER_MAX and not isinstance(value, bool):
            return value
        case _:
            return str(value)[:TEXT_CHARS_MAX]
