"""``announce``: manifest and preview of each item, the two at the same time, in front of whatever else is under way.

The preview does not wait for the manifest's answer: it is created by its digest, which saves a round trip of seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure, FailureKind
from appliance.logging import log
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.failures import Failed
from sync.adapters.gateway.answers import check_state
from sync.adapters.gateway.cargo import Part
from sync.adapters.gateway.manifest import ItemParts, manifest_of, preview_info, tellable_together
from sync.adapters.gateway.shipment import Shipment
from sync.adapters.gateway.source import InFile
from sync.adapters.gateway.tools import Tools
from sync.encoder.base import EncodeError, PreviewFile
from sync.wire.messages import ManifestAnswer

_TOLD = "manifest "
"""Before an item's id: what stands for its manifest among the things it waits for."""


class Announcing:
    """One call of ``announce``."""

    def __init__(
        self, tools: Tools, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> None:
        self._tools = tools
        self._items = list(items)
        self._attempt = attempt
        self._shipment = Shipment(tools, items, attempt, on_result, urgent=True)
        self._tally = self._shipment.tally
        self._condition = threading.Condition()
        self._made: list[tuple[SendItem, PreviewFile | None]] = []
        self._all_made = False
        self._parts: dict[str, Part] = {}

    def run(self) -> Failure | None:
        """As ``Announcing.announce``."""
        return self._shipment.run(self._tell_all)

    def _tell_all(self) -> None:
        """This thread makes previews; another one tells of those that are made, all of one study at once."""
        telling = threading.Thread(target=self._tell_as_made, name="gateway-tell", daemon=True)
        telling.start()
        try:
            for item in self._items:
                if self._tally.stopped():
                    break
                self._tally.await_parts(item.item_id, [f"{_TOLD}{item.item_id}"])
                preview = self._preview(item)
                if not self._tally.stopped():
                    self._bring(item, preview)
        finally:
            with self._condition:
                self._all_made = True
                self._condition.notify()

    def _preview(self, item: SendItem) -> PreviewFile | None:
        try:
            return self._tools.encoder.preview(item, self._tally.stopped)
        except EncodeError as error:
            log("sync.gateway", "no preview", sop=item.sop_instance_uid, code=error.failure.code)
            return None

    def _bring(self, item: SendItem, preview: PreviewFile | None) -> None:
        if preview is not None:
            try:
                self._add_part(item, preview)
            except Failed:
                preview = None
        with self._condition:
            self._made.append((item, preview))
            self._condition.notify()

    def _add_part(self, item: SendItem, preview: PreviewFile) -> None:
        info = preview_info(preview.sha256, preview.size_bytes, preview.media_type)
        self._tally.await_parts(item.item_id, [info.sha256])
        if info.sha256 in self._parts:
            known = self._parts[info.sha256]
            if known.complete or known.not_needed:
                self._tally.arrived(info.sha256)
            return
        part = Part(info, InFile(preview.path), (item.item_id,), offset=None)
        self._parts[info.sha256] = part
        self._shipment.add([part])

    def _tell_as_made(self) -> None:
        try:
            while group := self._next_group():
                with self._tools.courtesy.urgent():
                    self._tell(group)
        except Failed as failed:
            self._tally.fail(failed.failure)
        except Exception as error:
            self._tally.fail_with(error)

    def _next_group(self) -> list[tuple[SendItem, PreviewFile | None]]:
        with self._condition:
            while not self._made and not self._all_made and not self._tally.stopped():
                self._condition.wait()
            if self._tally.stopped() or not self._made:
                return []
            items = tellable_together([item for item, _ in self._made])
            group = [each for each in self._made if each[0] in items]
            self._made = [each for each in self._made if each[0] not in items]
            return group

    def _tell(self, group: Sequence[tuple[SendItem, PreviewFile | None]]) -> None:
        items = [item for item, _ in group]
        previews = {item.item_id: preview for item, preview in group if preview is not None}
        names = {item_id: ItemParts(preview=preview.sha256) for item_id, preview in previews.items()}
        infos = [preview_info(p.sha256, p.size_bytes, p.media_type) for p in previews.values()]
        manifest = manifest_of(self._tools.revisions.next(), items, names, infos)
        study = items[0].study_instance_uid
        try:
            answer, round_trip_s = self._tools.centre.put_manifest(study, manifest, self._shipment.persistence)
            for info in infos:
                if info.sha256 in answer.parts:
                    check_state(info, answer.parts[info.sha256])
        except Failed as failed:
            if failed.failure.kind is FailureKind.LINK:
                raise
            for item in items:
                self._tally.report(item.item_id, failed.failure)
            return
        if round_trip_s is not None:
            self._attempt.on_round_trip(round_trip_s)
        self._spare(answer)
        for item in items:
            self._tally.arrived(f"{_TOLD}{item.item_id}")

    def _spare(self, answer: ManifestAnswer) -> None:
        """Previews that the centre has already, or does not need any more."""
        for name, state in answer.parts.items():
            part = self._parts.get(name)
            if part is not None and (state.complete or state.not_needed):
                part.not_needed = True
                self._tally.arrived(name)
