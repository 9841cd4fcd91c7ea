"""``send``: as parts are made, a manifest tells of them, and what is missing of them follows.

The encoder runs beside the link: whatever is ready goes first, in the order of the items, and what is ready together
shares one manifest and, within a series, one header part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.answers import refused
from sync.adapters.gateway.line import Rank
from sync.adapters.gateway.manifest import tellable_together
from sync.adapters.gateway.packing import Packed, pack_group
from sync.adapters.gateway.parts import Part
from sync.adapters.gateway.shipment import Shipment
from sync.adapters.gateway.tools import Tools
from sync.encoder.base import EncodedFile, EncodeError
from sync.wire.messages import InstanceAnswer, InstanceState, ManifestAnswer

_TOLD = "told"
"""Stands for the manifest's answer among the things that an item waits for; no part has such a name."""


class Sending:
    """One call of ``send``."""

    def __init__(
        self, tools: Tools, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> None:
        self._tools = tools
        self._items = list(items)
        self._attempt = attempt
        by_id = {item.item_id: item for item in items}

        def on_sent(sent: Sent) -> None:
            if sent.failure is None:
                tools.expected.add(by_id[sent.item_id], tools.centre.epoch)
            on_result(sent)

        self._shipment = Shipment(tools, items, attempt, on_sent)
        self._tally = self._shipment.tally

    def run(self) -> Failure | None:
        """As ``Destination.send``."""
        return self._shipment.run(self._tell_all)

    # --- what is ready ---------------------------------------------------------------------------------------------

    def _tell_all(self) -> None:
        waiting = list(self._items)
        while waiting and not self._tally.stopped():
            group = self._next_group(waiting)
            told = {item.item_id for item, _ in group}
            waiting = [item for item in waiting if item.item_id not in told and self._tally.is_open(item.item_id)]
            if group:
                self._tell(group)

    def _next_group(self, waiting: list[SendItem]) -> list[tuple[SendItem, EncodedFile]]:
        """Items that are ready, of one study; empty when one failed or the call is over. Waits for the first."""
        first = self._first_ready(waiting)
        if first is None:
            return []
        rest = [item for item in waiting if item is not first and self._tools.encoder.ready(item)]
        group = []
        for item in tellable_together([first, *rest]):
            made = self._encoded(item, self._tally.stopped)
            if made is not None:
                group.append((item, made))
        return group

    def _first_ready(self, waiting: Sequence[SendItem]) -> SendItem | None:
        encoder = self._tools.encoder

        def other_is_ready() -> bool:
            return self._tally.stopped() or any(encoder.ready(item) for item in waiting[1:])

        ready = next((item for item in waiting if encoder.ready(item)), None)
        if ready is None and self._encoded(waiting[0], other_is_ready) is not None:
            return waiting[0]
        return ready

    def _encoded(self, item: SendItem, cancelled: Callable[[], bool]) -> EncodedFile | None:
        try:
            return self._tools.encoder.encoded(item, cancelled)
        except EncodeError as error:
            self._tally.report(item.item_id, error.failure)
            return None

    # --- telling of it ---------------------------------------------------------------------------------------------

    def _tell(self, group: Sequence[tuple[SendItem, EncodedFile]]) -> None:
        items, packed = [item for item, _ in group], pack_group(group)
        try:
            parts = _open_all(packed)
        except Failed as failed:
            for item in items:
                self._tally.report(item.item_id, failed.failure)
            return
        for item in items:
            self._tally.await_parts(item.item_id, [_TOLD, *packed.names_of(item.item_id)])
        self._shipment.ship(
            Rank.STAT if any(item.stat for item in items) else Rank.FULL,
            items,
            packed.names,
            parts,
            lambda answer: self._take_answer(items, packed, parts, answer),
        )

    def _take_answer(
        self, items: Sequence[SendItem], packed: Packed, parts: Sequence[Part], answer: ManifestAnswer
    ) -> None:
        """What the centre has already needs no bringing; what it refuses neither."""
        told = {item.item_id: answer.instances.get(item.sop_instance_uid) for item in items}
        if None in told.values():
            raise Failed(failure("answer-unusable"))
        needed: set[str] = set()
        for item in items:
            lacking = self._lacking(item, packed, told[item.item_id])
            needed |= lacking
            self._tell_coded(item, parts, lacking)
            for name in set(packed.names_of(item.item_id)) - lacking:
                self._tally.arrived(name, item.item_id)
        for part in parts:
            part.not_needed = part.not_needed or part.info.sha256 not in needed
        for item in items:
            self._tally.arrived(_TOLD, item.item_id)

    def _lacking(self, item: SendItem, packed: Packed, told: InstanceAnswer | None) -> set[str]:
        """Names of the parts that have to be there before this item can be put together."""
        assert told is not None
        if told.state is InstanceState.REFUSED:
            self._tally.report(item.item_id, refused(told.problem, told.problem_code))
        if told.state is not InstanceState.ANNOUNCED:
            return set()
        names = packed.names[item.item_id]
        header = set() if told.header_known else {names.header}
        pixels = set() if told.pixels_known or names.no_pixels else {names.pixels}
        return header | pixels

    def _tell_coded(self, item: SendItem, parts: Sequence[Part], lacking: set[str]) -> None:
        own = [part for part in parts if part.item_id == item.item_id]
        coded = sum(part.info.size_bytes for part in own)
        to_bring = sum(part.info.size_bytes - part.began_at for part in own if part.info.sha256 in lacking)
        self._attempt.on_coded(item.item_id, coded, coded - to_bring)


def _open_all(packed: Packed) -> list[Part]:
    """Headers first: they are small, and without them no picture can be put together.

    Raises:
        Failed: ``part-unreadable``.
    """
    parts: list[Part] = []
    try:
        for name, info in sorted(packed.by_name.items(), key=lambda named: named[0] not in packed.headers):
            parts.append(Part(info, packed.open(name), packed.owner(name)))
    except Failed:
        for part in parts:
            part.source.close()
        raise
    return parts
