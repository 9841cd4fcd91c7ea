"""What ``unit.toml`` says about links, as the values that the core decides by."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.config import LinkTable, NetworkTable
from appliance.domain.values import LinkKind
from sync.core.allowance import Hours, LinkRule


def rules_of(tables: Sequence[LinkTable]) -> dict[LinkKind, LinkRule]:
    """The rule of each kind of link that has one."""
    return {table.kind: _rule_of(table) for table in tables}


def kind_of(table: NetworkTable, told: LinkKind) -> LinkKind:
    """What the unit's link is: as configured, else as NetworkManager ``told``."""
    return told if table.kind == "auto" else LinkKind(table.kind)


def _rule_of(table: LinkTable) -> LinkRule:
    spans = [(each, span.partition("-")) for each, listed in table.hours.items() for span in listed]
    return LinkRule(
        budget_bytes_per_day=table.budget_bytes_per_day,
        budget_classes=frozenset(table.budget_classes),
        hours=tuple(Hours(_second(start), _second(end), frozenset({each})) for each, (start, _, end) in spans),
    )


def _second(text: str) -> float:
    hour, minute = text.split(":")
    return float(int(hour) * 3600 + int(minute) * 60)
