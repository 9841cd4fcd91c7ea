"""What a link is: rate, delay, jitter, loss and queue of each direction, and when it is away. Pure values.

A specification is data only; ``model.py`` says what it does to packets.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any

MTU_BYTES = 1500
QUEUE_S = 0.3
"""A queue that is not given holds this much at the link's rate: between the too short ones that break TCP and the
seconds that badly made modems keep. A choice, not a measurement."""
QUEUE_PACKETS_MIN = 20
"""However slow the link: even the smallest modems hold this many packets."""


class OutageKind(enum.Enum):
    """What an outage leaves behind. While it lasts nothing passes, whatever the kind."""

    SILENT = "silent"
    """The same flows go on afterwards: a tunnel, a shadowed antenna."""
    FORGET = "forget"
    """Flows seen before are dropped silently for ever, only new ones pass: the carrier's NAT lost its table."""
    RESET = "reset"
    """As FORGET, but both ends are told by a TCP reset: a router that restarted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Direction:
    """One way of a link.

    Attributes:
        rate_bps: Bits a second, counted on IP packets with their headers; infinite by default.
        delay_s: One-way propagation, after the last bit has left.
        jitter_s: At most this much is added to each packet's delay, evenly spread.
        loss: Share of the packets that are lost after using the link, 0 to 1, each by itself.
        queue_bytes: Room for bytes that have not left yet; a packet that does not fit is dropped (tail drop). ``None``:
            ``QUEUE_S`` at the rate, ``QUEUE_PACKETS_MIN`` packets at least.
        reorder: Whether jitter may let a packet overtake another.
    """

    rate_bps: float = math.inf
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    queue_bytes: int | None = None
    reorder: bool = False

    def __post_init__(self) -> None:
        if not self.rate_bps > 0:
            raise ValueError(f"rate_bps must be positive, not {self.rate_bps}")
        if not 0 <= self.loss <= 1:
            raise ValueError(f"loss is a share of 0 to 1, not {self.loss}")
        if not (0 <= self.delay_s < math.inf and 0 <= self.jitter_s < math.inf):
            raise ValueError("delay_s and jitter_s are finite and not negative")
        if self.queue_bytes is not None and self.queue_bytes < MTU_BYTES:
            raise ValueError(f"queue_bytes must hold one packet of {MTU_BYTES} bytes at least, not {self.queue_bytes}")

    @property
    def queue_bytes_max(self) -> float:
        """The queue's room in bytes; infinite where the rate is."""
        if self.queue_bytes is not None:
            return self.queue_bytes
        return max(QUEUE_PACKETS_MIN * MTU_BYTES, self.rate_bps * QUEUE_S / 8)


@dataclasses.dataclass(frozen=True, slots=True)
class Outage:
    """The link is away from ``start_s`` for ``duration_s``, and again every ``every_s`` when that is given.

    Seconds count from the start of the link.
    """

    start_s: float
    duration_s: float
    every_s: float | None = None
    kind: OutageKind = OutageKind.SILENT

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < math.inf and 0 < self.duration_s < math.inf):
            raise ValueError("an outage starts at 0 s or later and lasts more than 0 s")
        if self.every_s is not None and not self.duration_s < self.every_s < math.inf:
            raise ValueError("an outage that is repeated every so often must be shorter than that")

    @property
    def share_up(self) -> float:
        """Share of the time that the link is there, in the long run."""
        return 1.0 if self.every_s is None else 1.0 - self.duration_s / self.every_s


@dataclasses.dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link between unit and centre: ``up`` from the unit, ``down`` to it, and one plan of outages for both."""

    up: Direction = Direction()
    down: Direction = Direction()
    outage: Outage | None = None

    @classmethod
    def symmetric(
        cls, *, rate_bps: float, rtt_s: float = 0.0, loss: float = 0.0, outage: Outage | None = None
    ) -> LinkSpec:
        """Both directions alike, each with half of the round trip time."""
        direction = Direction(rate_bps=rate_bps, delay_s=rtt_s / 2, loss=loss)
        return cls(direction, direction, outage)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``from_json`` reads it; infinity is ``null``."""
        tree = dataclasses.asdict(self)
        for side in ("up", "down"):
            if math.isinf(tree[side]["rate_bps"]):
                tree[side]["rate_bps"] = None
        if self.outage is not None:
            tree["outage"]["kind"] = self.outage.kind.value
        return tree

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> LinkSpec:
        """The specification that ``to_json`` gave."""
        plan = tree["outage"]
        outage = Outage(**{**plan, "kind": OutageKind(plan["kind"])}) if plan else None
        return cls(_direction(tree["up"]), _direction(tree["down"]), outage)


def _direction(tree: dict[str, Any]) -> Direction:
    return Direction(**{**tree, "rate_bps": math.inf if tree["rate_bps"] is None else tree["rate_bps"]})
