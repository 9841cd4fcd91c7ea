"""``verify``: receipts, from memory, from the inbox, from a manifest's answer, or from a second look into the PACS.

What was just delivered needs only patience: the inbox is read with a long poll, and a receipt is known half a round
trip after it was signed. What the unit was told nothing about in this process is asked by a manifest. What has a
receipt already, or one from before the centre was restored, is read back anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from appliance.domain.failure import Failure
from appliance.domain.values import Evidence
from sync.adapters.base import Attempt, Checked, SendItem
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.answers import refused
from sync.adapters.gateway.manifest import manifest_of, tellable_together
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.tools import Tools
from sync.wire.messages import CheckItem, CheckRequest, CheckResult, InboxKind, InstanceAnswer, InstanceState

WAIT_S_MAX = 12.0
"""How long one call waits for receipts; the core then asks about others, and about these again."""
HURRY_S = 1.0
CHECK_COUNT_MAX = 4
"""In one request: each is read back from the PACS before the answer comes."""


class Proving:
    """One call of ``verify``."""

    def __init__(
        self, tools: Tools, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> None:
        self._tools = tools
        self._centre = tools.centre
        self._attempt = attempt
        self._on_result = on_result
        self._open = {item.item_id: item for item in items}
        self._again = [item for item in items if item.proved]
        self._persistence = Persistence(tools.clock, attempt.cancel)

    def run(self) -> Failure | None:
        """As ``Destination.verify``."""
        try:
            self._look_again()
            self._take_known()
            self._ask_about(item for item in self._unproved() if self._key(item) not in self._tools.expected)
            self._look_again()
            self._wait()
        except Failed as failed:
            return None if self._cancelled() else failed.failure
        if not self._cancelled():
            for item in self._unproved():
                self._tools.expected.drop(*self._key(item))
                self._fail(item, failure("proof-pending"))
        return None

    def _cancelled(self) -> bool:
        return self._attempt.cancel.is_set()

    def _key(self, item: SendItem) -> tuple[str, str, str]:
        return item.sop_instance_uid, item.sha256, self._centre.epoch

    def _unproved(self) -> list[SendItem]:
        again = {item.item_id for item in self._again}
        return [item for item in self._open.values() if item.item_id not in again]

    # --- waiting for receipts --------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Read the inbox until everything is proved, or nothing came about any of it for ``WAIT_S_MAX`` seconds."""
        clock = self._tools.clock
        deadline_mono_s = clock.mono_s() + WAIT_S_MAX
        while self._unproved() and not self._cancelled():
            open_count, asked_mono_s = len(self._open), clock.mono_s()
            wait_s = min(max(0.0, deadline_mono_s - asked_mono_s), WAIT_S_MAX)
            inbox = self._centre.read_inbox(wait_s, self._persistence, self._cancelled)
            for entry in inbox.entries:
                if entry.kind == InboxKind.REFUSAL:
                    self._refuse(entry.sop_instance_uid, entry.sha256, entry.text, entry.code)
            self._take_known()
            now = clock.mono_s()
            if len(self._open) < open_count:
                deadline_mono_s = now + WAIT_S_MAX
            elif now >= deadline_mono_s and not inbox.entries:
                return
            elif not inbox.entries and now - asked_mono_s < HURRY_S:
                self._attempt.cancel.wait(
                    HURRY_S
                )  # one that does not wait with its answer must not be asked in a circle

    def _refuse(self, sop_instance_uid: str, sha256: str, text: str, code: str) -> None:
        for item in self._unproved():
            if (item.sop_instance_uid, item.sha256) == (sop_instance_uid, sha256):
                self._fail(item, refused(text, code))
        self._tools.expected.drop(sop_instance_uid, sha256, self._centre.epoch)

    def _take_known(self) -> None:
        for item in self._unproved():
            evidence = self._centre.receipts.of(item, self._centre.epoch)
            if evidence is not None:
                self._prove(item, evidence)

    # --- asking by manifest ----------------------------------------------------------------------------------------

    def _ask_about(self, items: Iterable[SendItem]) -> None:
        waiting = list(items)
        while waiting and not self._cancelled():
            group = tellable_together(waiting)
            waiting = [item for item in waiting if item not in group]
            manifest = manifest_of(self._tools.revisions.next(), group, {}, ())
            study = group[0].study_instance_uid
            answer, round_trip_s = self._centre.put_manifest(study, manifest, self._persistence)
            if round_trip_s is not None:
                self._attempt.on_round_trip(round_trip_s)
            for item in group:
                self._judge(item, answer.instances.get(item.sop_instance_uid))

    def _judge(self, item: SendItem, told: InstanceAnswer | None) -> None:
        if told is None:
            self._fail(item, failure("answer-unusable"))
        elif told.state is InstanceState.REFUSED:
            self._fail(item, refused(told.problem, told.problem_code))
        elif told.state is InstanceState.ANNOUNCED:
            self._fail(item, failure("absent"), absent=True)
        elif told.state is InstanceState.REBUILDING:
            self._tools.expected.add(item, self._centre.epoch)
        else:
            evidence = self._centre.receipts.of(item, self._centre.epoch)
            if evidence is not None:
                self._prove(item, evidence)
            else:
                # It is there, but what was signed is of an earlier life, or not genuine: a new look decides.
                self._again.append(item)

    # --- a second look ---------------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        while (waiting := [item for item in self._again if item.item_id in self._open]) and not self._cancelled():
            some = list({item.sop_instance_uid: item for item in reversed(waiting)}.values())[:CHECK_COUNT_MAX]
            request = CheckRequest(
                items=tuple(
                    CheckItem(
                        study_instance_uid=item.study_instance_uid,
                        sop_instance_uid=item.sop_instance_uid,
                        sha256=item.sha256,
                    )
                    for item in some
                )
            )
            answer = self._centre.check(request, self._persistence, self._cancelled)
            for item in some:
                self._take_result(item, answer.items.get(item.sop_instance_uid))

    def _take_result(self, item: SendItem, result: CheckResult | None) -> None:
        state = result.state if result else ""
        if result is not None and state == "verified" and result.receipt is not None:
            self._centre.receipts.take_in(result.receipt)
            evidence = self._fresh_evidence(item, result)
            if evidence is not None:
                self._prove(item, evidence)
            else:
                self._fail(item, failure("receipt-false"))
        elif state == "absent":
            self._fail(item, failure("absent"), absent=True)
        elif result is not None and state == "conflict":
            self._fail(item, refused(result.problem, result.problem_code))
        else:
            self._fail(item, failure("proof-pending" if state == "unknown" else "answer-unusable"))

    def _fresh_evidence(self, item: SendItem, result: CheckResult) -> Evidence | None:
        """What this very answer signed: an older receipt, said again, is no second look."""
        evidence = self._centre.receipts.of(item, self._centre.epoch)
        if evidence is None or result.receipt is None:
            return None
        return evidence if dict(evidence.detail)["signature"] == result.receipt.signature else None

    # --- reports ---------------------------------------------------------------------------------------------------

    def _prove(self, item: SendItem, evidence: Evidence) -> None:
        del self._open[item.item_id]
        self._tools.expected.drop(*self._key(item))
        self._on_result(Checked(item.item_id, evidence=evidence))

    def _fail(self, item: SendItem, why: Failure, *, absent: bool = False) -> None:
        del self._open[item.item_id]
        self._on_result(Checked(item.item_id, failure=why, absent=absent))
