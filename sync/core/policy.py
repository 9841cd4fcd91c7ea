"""What the core may be told to do differently, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.domain.limits import LimitSet
from appliance.domain.values import LinkKind
from sync.core.allowance import LinkRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Bounds, the seed of the jitter, and how many transfers may run at one destination at the same time.

    ``announcing`` names the destinations that show a study before its pixels are there; at those as many
    transfers as ``announce_count_per_destination_max``, of previews only, may run beside the others. A kind of link
    without a rule may be used for everything at any time.
    """

    limits: LimitSet = field(default_factory=LimitSet)
    jitter_seed: int = 0
    transfer_count_per_destination_max: int = 1
    announce_count_per_destination_max: int = 2
    announcing: frozenset[str] = frozenset()
    link_rules: Mapping[LinkKind, LinkRule] = field(default_factory=dict)
