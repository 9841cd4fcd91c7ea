"""What the core may be told to do differently, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.domain.limits import LimitSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Bounds, the seed of the jitter, and how many transfers may run at one destination at the same time."""

    limits: LimitSet = field(default_factory=LimitSet)
    jitter_seed: int = 0
    transfer_count_per_destination_max: int = 1
