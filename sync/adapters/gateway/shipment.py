"""One call that brings parts: what it puts into the line, and what it reports of it.

A call that is cancelled returns at once. What of it is on its way then is ended at the next slice; the answer to that
is heard by the stream and told to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.failures import Failed
from sync.adapters.gateway.centre import packed
from sync.adapters.gateway.line import Consignment, Rank
from sync.adapters.gateway.manifest import ItemParts, manifest_of
from sync.adapters.gateway.parts import Part
from sync.adapters.gateway.tally import Tally
from sync.adapters.gateway.tools import Tools
from sync.wire.messages import ManifestAnswer


class Shipment:
    """The owner of one call's consignments (``sync.adapters.gateway.line.Owner``).

    Attributes:
        tally: What is reported.
    """

    def __init__(
        self, tools: Tools, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> None:
        self.tally = Tally(items, attempt, on_result)
        self._tools = tools
        self._attempt = attempt
        self._parts: list[Part] = []

    def run(self, tell: Callable[[], None]) -> Failure | None:
        """Let ``tell`` ship what there is, then wait until every item is reported.

        Args:
            tell: Runs in the caller's thread; what it raises as ``Failed`` ends the attempt.
        """
        try:
            tell()
            self.tally.wait()
        except Failed as failed:
            self.tally.fail(failed.failure)
        finally:
            self.tally.close()
            self._tools.line.nudge()
            for part in self._parts:
                part.source.close()
        return self.tally.failure

    def ship(
        self,
        rank: Rank,
        items: Sequence[SendItem],
        names: dict[int, ItemParts],
        parts: list[Part],
        on_told: Callable[[ManifestAnswer], None],
    ) -> None:
        """Put items of one study into the line.

        Args:
            rank: How urgent.
            items: As ``manifest_of`` takes them.
            names: Of their parts, by item id.
            parts: To bring, in this order; closed at the end of the call.
            on_told: Takes the manifest's answer; may raise ``Failed``, which then is the outcome of these items.
        """
        self._parts += parts
        infos = [part.info for part in parts]

        def manifest() -> bytes:
            return packed(manifest_of(self._tools.revisions.next(), items, names, infos))

        def told(answer: ManifestAnswer, round_trip_s: float) -> None:
            self._tools.centre.keep_receipts(answer)
            if round_trip_s > 0:
                self._attempt.on_round_trip(round_trip_s)
            on_told(answer)

        def failed(failure: Failure) -> None:
            if failure.kind is FailureKind.LINK:
                self.tally.fail(failure)
            for item in items if failure.kind is not FailureKind.LINK else ():
                self.tally.report(item.item_id, failure)

        study_uid = items[0].study_instance_uid
        # What was corrected, or taken along by a stick, is most likely there: that is asked before a byte is sent.
        may_be_there = any(item.replaces or item.carried for item in items)
        is_new = not may_be_there and not any(info.sha256 in self._tools.attempted for info in infos)
        self._tools.line.add(Consignment(rank, study_uid, manifest, parts, self, told, failed, is_new))

    # --- what the streams say --------------------------------------------------------------------------------------

    def stopped(self) -> bool:
        """See ``Owner``."""
        return self.tally.stopped()

    def moved(self, part: Part) -> None:
        """See ``Owner``."""
        self.tally.moved(part)

    def arrived(self, part: Part) -> None:
        """See ``Owner``."""
        self.tally.arrived(part.info.sha256)

    def part_failed(self, part: Part, failure: Failure) -> None:
        """See ``Owner``."""
        if failure.kind is FailureKind.LINK:
            self.tally.fail(failure)
        else:
            self.tally.lost(part.info.sha256, failure)
