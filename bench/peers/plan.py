"""Which contenders run on which links with which payload, and how long they may take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from bench.link.named import LINKS
from bench.link.spec import LinkSpec
from bench.peers.contender import Contender, Course
from bench.peers.forwarding import Forwarding
from bench.peers.limit import Limit
from bench.peers.payloads import Payload
from bench.peers.rsync import Rsync
from bench.peers.storescu import Storescu

KILL_EVERY_S = 20.0
DEADLINE_LIMITS = {"A": 8.0, "B": 20.0, "C": 8.0, "D": 6.0, "E": 6.0}
"""Times the limit; what has not finished by then "did not finish". Stock forwarding needs more than 8 on B."""
DEADLINE_LIMITS_L = 2.0

Make = Callable[[str, str], Contender]
"""Of a congestion control and Orthanc's program."""

PEERS: Mapping[str, Make] = {
    "storescu": lambda cc, orthanc: Storescu(cc, orthanc, coding="raw", tuned=False),
    "storescu-tuned": lambda cc, orthanc: Storescu(cc, orthanc, coding="raw", tuned=True),
    "jls": lambda cc, orthanc: Storescu(cc, orthanc, coding="jls", tuned=False),
    "jls-tuned": lambda cc, orthanc: Storescu(cc, orthanc, coding="jls", tuned=True),
    "j2k": lambda cc, orthanc: Storescu(cc, orthanc, coding="j2k", tuned=False),
    "j2k-tuned": lambda cc, orthanc: Storescu(cc, orthanc, coding="j2k", tuned=True),
    "orthanc-modality": lambda cc, orthanc: Forwarding(cc, orthanc, way="modality"),
    "orthanc-peer": lambda cc, orthanc: Forwarding(cc, orthanc, way="peer"),
    "orthanc-stow": lambda cc, orthanc: Forwarding(cc, orthanc, way="stow"),
    "rsync": lambda cc, orthanc: Rsync(cc),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """A payload on a link, with its limit there."""

    link: str
    payload: Payload
    limit: Limit

    @property
    def spec(self) -> LinkSpec:
        return LINKS[self.link]

    @property
    def share_up(self) -> float:
        return self.spec.outage.share_up if self.spec.outage is not None else 1.0

    @property
    def limit_s(self) -> float:
        """The limit in seconds of a link that is away for part of the time."""
        return self.limit.seconds(self.spec.up.rate_bps, self.share_up)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the report."""
        return {
            "link": self.link,
            "payload": self.payload.name,
            "payload_bytes": self.payload.size_bytes,
            "limit_bytes": self.limit.all_bytes,
            "limit_s": self.limit_s,
            "spec": self.spec.to_json(),
        }

    def course(self, seed: int) -> Course:
        """For one contender."""
        limits = DEADLINE_LIMITS_L if self.payload.name == "L" else DEADLINE_LIMITS[self.link]
        kill_every_s = KILL_EVERY_S if self.link == "E" else None
        return Course(self.link, self.spec, seed, self.payload, limits * self.limit_s, kill_every_s)
