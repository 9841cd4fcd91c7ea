"""``announce``: manifest and preview of each item, one behind the other, in front of whatever else is under way.

This thread makes the previews and the stream carries them, so the next one is made while the last one travels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure
from appliance.logging import log
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.failures import Failed
from sync.adapters.gateway.line import Rank
from sync.adapters.gateway.manifest import ItemParts, preview_info, tellable_together
from sync.adapters.gateway.parts import Part
from sync.adapters.gateway.shipment import Shipment
from sync.adapters.gateway.source import InFile
from sync.adapters.gateway.tools import Tools
from sync.encoder.base import EncodeError, PreviewFile
from sync.wire.messages import ManifestAnswer

_TOLD = "told"


class Announcing:
    """One call of ``announce``."""

    def __init__(
        self, tools: Tools, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> None:
        self._tools = tools
        self._items = list(items)
        self._shipment = Shipment(tools, items, attempt, on_result)
        self._tally = self._shipment.tally

    def run(self) -> Failure | None:
        """As ``Announcing.announce``."""
        return self._shipment.run(self._tell_all)

    def _tell_all(self) -> None:
        """An item with a preview goes at once; those of which none can be made share a manifest at the end."""
        plain: list[SendItem] = []
        for item in self._items:
            preview = self._preview(item)
            if self._tally.stopped():
                return
            if preview is None or not self._tell_with_preview(item, preview):
                plain.append(item)
        while plain:
            group = tellable_together(plain)
            plain = [item for item in plain if item not in group]
            self._ship(group, {}, [])

    def _preview(self, item: SendItem) -> PreviewFile | None:
        try:
            return self._tools.encoder.preview(item, self._tally.stopped)
        except EncodeError as error:
            log("sync.gateway", "no preview", sop=item.sop_instance_uid, code=error.failure.code)
            return None

    def _tell_with_preview(self, item: SendItem, preview: PreviewFile) -> bool:
        """Whether its file could be opened."""
        info = preview_info(preview.sha256, preview.size_bytes, preview.media_type)
        try:
            part = Part(info, InFile(preview.path), item.item_id)
        except Failed:
            return False
        self._ship([item], {item.item_id: ItemParts(preview=info.sha256)}, [part])
        return True

    def _ship(self, items: Sequence[SendItem], names: dict[int, ItemParts], parts: list[Part]) -> None:
        for item in items:
            self._tally.await_parts(item.item_id, [_TOLD, *(part.info.sha256 for part in parts)])
        rank = Rank.STAT_PREVIEW if any(item.stat for item in items) else Rank.PREVIEW

        def told(answer: ManifestAnswer) -> None:
            for item in items:
                self._tally.arrived(_TOLD, item.item_id)

        self._shipment.ship(rank, items, names, parts, told)
