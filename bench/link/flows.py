"""What a NAT remembers of the flows through it, and what it does once it has lost that. Pure."""

from __future__ import annotations

import dataclasses

from bench.link.packet import FlowKey, Segment, make_reset


@dataclasses.dataclass(slots=True)
class _Flow:
    expects: dict[bytes, int] = dataclasses.field(default_factory=dict)
    """By end: the sequence number that it expects next, as far as it was seen to acknowledge."""
    forgotten: bool = False


class Flows:
    """Every flow seen, by its 5-tuple; of TCP, UDP and nothing else."""

    def __init__(self, *, resets: bool) -> None:
        self._resets = resets
        self._flows: dict[FlowKey, _Flow] = {}

    def note_blocked(self, segment: Segment) -> None:
        """A packet that came while the link was away: no flow begins, but what its sender expects is news."""
        flow = self._flows.get(segment.flow)
        if flow is not None:
            _note(flow, segment)

    def passes(self, segment: Segment) -> bool:
        """Whether the packet may go on; a first SYN always may, and makes its flow known anew."""
        flow = self._flows.get(segment.flow)
        if flow is None or segment.opens:
            flow = self._flows[segment.flow] = _Flow()
        _note(flow, segment)
        return not flow.forgotten

    def answer(self, segment: Segment) -> bytes | None:
        """The reset for the sender of a packet that may not pass, where this NAT resets."""
        if not self._resets or segment.acknowledges is None or segment.resets:
            return None
        return make_reset(segment.target, segment.source, segment.acknowledges)

    def forget(self) -> list[tuple[bytes, bytes]]:
        """Lose the table; where this NAT resets: the resets for both ends of each flow, with the end they are for."""
        resets = []
        for (_, lower, higher), flow in self._flows.items():
            if not flow.forgotten and self._resets:
                for end, other in ((lower, higher), (higher, lower)):
                    if end in flow.expects:
                        resets.append((end, make_reset(other, end, flow.expects[end])))
            flow.forgotten = True
        return resets


def _note(flow: _Flow, segment: Segment) -> None:
    if segment.acknowledges is not None:
        flow.expects[segment.source] = segment.acknowledges
