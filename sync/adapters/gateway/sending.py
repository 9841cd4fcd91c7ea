"""``send``: as parts are made, a manifest tells of them, the answer says what is missing, and the flows bring that.

The encoder runs beside the link: whatever is ready goes first, in the order of the items, and what is ready together
shares one manifest and, within a series, one header part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.answers import check_state, refused
from sync.adapters.gateway.cargo import Part
from sync.adapters.gateway.manifest import ItemParts, manifest_of, tellable_together
from sync.adapters.gateway.packing import Packed, pack_group
from sync.adapters.gateway.shipment import Shipment
from sync.adapters.gateway.tools import Tools
from sync.encoder.base import EncodedFile, EncodeError
from sync.wire.messages import InstanceAnswer, InstanceState, ManifestAnswer, PartState


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

    def _tell_all(self) -> None:
        waiting = list(self._items)
        while waiting and not self._tally.stopped():
            group = self._next_group(waiting)
            told = [item for item, _ in group]
            waiting = [item for item in waiting if item not in told and self._tally.is_open(item.item_id)]
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

    def _tell(self, group: Sequence[tuple[SendItem, EncodedFile]]) -> None:
        """One manifest of what is ready, and the parts that its answer asks for."""
        items, packed = [item for item, _ in group], pack_group(group)
        study = items[0].study_instance_uid
        manifest = manifest_of(self._tools.revisions.next(), items, packed.names, packed.infos)
        try:
            answer, round_trip_s = self._tools.centre.put_manifest(study, manifest, self._shipment.persistence)
        except Failed as failed:
            self._failed(items, failed)
            return
        if round_trip_s is not None:
            self._attempt.on_round_trip(round_trip_s)
        try:
            needed = {item.item_id: self._needed(item, packed, answer) for item in items}
        except Failed as failed:
            self._failed(items, failed)
            return
        self._add_parts(items, packed, answer, needed)

    def _failed(self, items: Sequence[SendItem], failed: Failed) -> None:
        """What concerns only these items leaves the others their chance."""
        if failed.failure.kind is FailureKind.LINK:
            raise failed
        for item in items:
            self._tally.report(item.item_id, failed.failure)

    def _needed(self, item: SendItem, packed: Packed, answer: ManifestAnswer) -> list[str]:
        """Names of the parts that the centre lacks for an item; empty when the item's outcome is known."""
        told = answer.instances.get(item.sop_instance_uid)
        if told is None:
            raise Failed(failure("answer-unusable"))
        if told.state is InstanceState.REFUSED:
            self._tally.report(item.item_id, refused(told.problem, told.problem_code))
            return []
        if told.state is not InstanceState.ANNOUNCED:
            return []
        return [name for name in _wanted(packed.names[item.item_id], told) if _lacks(name, packed, answer)]

    def _add_parts(
        self, items: Sequence[SendItem], packed: Packed, answer: ManifestAnswer, needed: dict[int, list[str]]
    ) -> None:
        users: dict[str, list[int]] = {}
        for item in items:
            names = needed[item.item_id]
            self._tell_coded(item, packed, names, answer)
            self._tally.await_parts(item.item_id, names)
            for name in names:
                users.setdefault(name, []).append(item.item_id)
        parts = []
        for name, item_ids in users.items():
            info = packed.by_name[name]
            state = answer.parts.get(name, PartState(offset=0))
            try:
                source = packed.open(name)
            except Failed as failed:
                for item_id in item_ids:
                    self._tally.report(item_id, failed.failure)
                continue
            parts.append(Part(info, source, tuple(item_ids), offset=state.offset))
        # Headers first: they are small, and without them no picture can be put together.
        parts.sort(key=lambda part: part.info.sha256 not in packed.headers)
        self._shipment.add(parts)
        for item in items:
            if not needed[item.item_id]:
                self._tally.report(item.item_id)

    def _tell_coded(self, item: SendItem, packed: Packed, missing: Sequence[str], answer: ManifestAnswer) -> None:
        coded = kept = 0
        for name in packed.own_parts(item.item_id):
            size = packed.by_name[name].size_bytes
            coded += size
            kept += answer.parts.get(name, PartState(offset=0)).offset if name in missing else size
        self._attempt.on_coded(item.item_id, coded, kept)


def _wanted(names: ItemParts, told: InstanceAnswer) -> list[str]:
    wanted = [] if told.header_known else [names.header]
    if not told.pixels_known and not names.no_pixels:
        wanted.append(names.pixels)
    return wanted


def _lacks(name: str, packed: Packed, answer: ManifestAnswer) -> bool:
    state = check_state(packed.by_name[name], answer.parts.get(name, PartState(offset=0)))
    return not (state.complete or state.not_needed)
