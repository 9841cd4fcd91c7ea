"""What every call of a gateway destination works with."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.clock import Clock
from appliance.domain.limits import LimitSet
from sync.adapters.gateway.centre import Centre
from sync.adapters.gateway.courtesy import Courtesy
from sync.adapters.gateway.expected import Expected
from sync.adapters.gateway.flows import Flows
from sync.adapters.gateway.manifest import Revisions
from sync.encoder.base import Encoder


@dataclass(frozen=True, slots=True)
class Tools:
    """Shared by all calls of one destination; each of them is thread-safe.

    Attributes:
        overlap_bytes: See ``Cargo``.
    """

    centre: Centre
    flows: Flows
    encoder: Encoder
    courtesy: Courtesy
    expected: Expected
    revisions: Revisions
    limits: LimitSet
    clock: Clock
    flow_count: int
    overlap_bytes: float
