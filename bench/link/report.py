"""What a link counted, as its process tells its owner."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from bench.link.model import Counters, Tally

MESSAGE_BYTES_MAX = 64 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a link has done since it was started or restarted.

    Attributes:
        start_mono_s: When that was.
        now_mono_s: When this was counted.
        late_s_max: How long at most something due waited for the emulator itself, on a machine that was busy.
        resets_sent: TCP resets of the link's own.
        up: From the unit.
        down: To the unit.
        stream_bytes_up: Data that the unit's programs gave to TCP, as far as it was offered; repeats count once.
        stream_bytes_down: As above, to the unit.
    """

    start_mono_s: float
    now_mono_s: float
    late_s_max: float
    resets_sent: int
    up: Counters
    down: Counters
    stream_bytes_up: int
    stream_bytes_down: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, with what the rate was spent on (``carried_bytes``) beside the counters of each direction."""
        tree = dataclasses.asdict(self)
        for side, counters in (("up", self.up), ("down", self.down)):
            tree[side]["carried_bytes"] = counters.carried_bytes
        return tree

    def encode(self) -> bytes:
        """One message."""
        return json.dumps(dataclasses.asdict(self)).encode("ascii")

    @classmethod
    def decode(cls, message: bytes) -> Report:
        """The report that ``encode`` made a message of."""
        tree = json.loads(message)
        up, down = (Counters(**{name: Tally(**t) for name, t in tree[side].items()}) for side in ("up", "down"))
        return cls(**{**tree, "up": up, "down": down})
