"""What the gatekeeper heard from a device since a commissioning began, from the counts in its live facts; pure.

Its counts begin anew with each of its runs, so what it had counted at the beginning is taken off while it is the same
run, and nothing when it is a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Counts of one device."""

    is_gatekeeper_up: bool = True
    peer: str = ""
    association_count: int = 0
    """Since the gatekeeper's start, for a title that was right once is right."""
    answered: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    worklist_answer_count: int = 0


def baseline_of(facts: Mapping[str, Any] | None, ae_title: str) -> dict[str, Any]:
    """What is remembered of the beginning; empty when the gatekeeper was silent."""
    if facts is None:
        return {}
    return {
        "boot_id": facts.get("boot_id", ""),
        "began_mono_s": facts.get("began_mono_s", 0.0),
        **facts.get("devices", {}).get(ae_title, {}),
    }


def heard_since(facts: Mapping[str, Any] | None, ae_title: str, baseline: Mapping[str, Any]) -> Heard:
    """The difference between now and the beginning."""
    if facts is None:
        return Heard(is_gatekeeper_up=False)
    now = facts.get("devices", {}).get(ae_title, {})
    is_same_run = all(baseline.get(key) == facts.get(key) for key in ("boot_id", "began_mono_s"))
    then = baseline if is_same_run else {}
    return Heard(
        peer=str(now.get("peer", "")),
        association_count=int(now.get("association_count", 0)),
        answered=_more(now.get("answered", {}), then.get("answered", {})),
        failed=_more(now.get("failed", {}), then.get("failed", {})),
        worklist_answer_count=int(now.get("worklist_answer_count", 0)) - int(then.get("worklist_answer_count", 0)),
    )


def _more(now: Mapping[str, int], then: Mapping[str, int]) -> dict[str, int]:
    more = {kind: int(count) - int(then.get(kind, 0)) for kind, count in now.items()}
    return {kind: count for kind, count in more.items() if count}
