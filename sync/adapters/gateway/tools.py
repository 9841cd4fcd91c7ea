"""What every call of a gateway destination works with."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.clock import Clock
from sync.adapters.gateway.attempted import Attempted
from sync.adapters.gateway.centre import Centre
from sync.adapters.gateway.expected import Expected
from sync.adapters.gateway.line import Line
from sync.adapters.gateway.manifest import Revisions
from sync.encoder.base import Encoder


@dataclass(frozen=True, slots=True)
class Tools:
    """Shared by all calls of one destination; each of them is thread-safe."""

    centre: Centre
    line: Line
    attempted: Attempted
    encoder: Encoder
    expected: Expected
    revisions: Revisions
    clock: Clock
