"""The gateway's requests as methods, each with a session, each said again while the link comes and goes.

Everything may be said twice (rule 6 of the protocol), so a lost answer costs a repetition and nothing else.
"""

from __future__ import annotations

import email.utils
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import msgspec
import zstandard

from appliance.clock import Clock
from appliance.live import write_live
from appliance.logging import log
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.answers import refusal_of
from sync.adapters.gateway.centre_clock import ahead_s
from sync.adapters.gateway.flow import Answer, Flow, Way
from sync.adapters.gateway.flows import Flows, Use
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.receipts import Receipts
from sync.adapters.gateway.session import JSON, Session, refusal_of_unit
from sync.wire.answers import ANSWERS_ONLY, Acknowledgements, AcknowledgementsAnswer
from sync.wire.messages import (
    EPOCH_HEADER,
    INBOX_HEADER,
    CheckAnswer,
    CheckRequest,
    Inbox,
    Manifest,
    ManifestAnswer,
)
from sync.wire.notes import NotesAnswer, NotesRequest
from sync.wire.status import StatusAnswer, StatusReport

PACK_LEVEL = 9
CLOCK_LIVE_S = 10.0
CLOCK_OFF_S = 5.0
"""Clocks drift; less than this is no news."""
CHECK_S_PER_ITEM = 30.0
"""The centre puts the file together again and reads it back from its PACS."""
POLL_S_MAX = 25.0


def packed(message: msgspec.Struct) -> bytes:
    """The body of a request; ``Content-Encoding: zstd``."""
    return zstandard.ZstdCompressor(level=PACK_LEVEL).compress(msgspec.json.encode(message))


class Centre:
    """One gateway; thread-safe.

    Attributes:
        receipts: What it signed for this unit.
        inbox_head: Number of its newest inbox entry, as last heard.
    """

    def __init__(self, way: Way, flows: Flows, session: Session, clock: Clock, run_dir: Path) -> None:
        self._way = way
        self._flows = flows
        self._session = session
        self._clock = clock
        self._run_dir = run_dir
        self._name = way.table.name
        self._lock = threading.Lock()
        self._live_mono_s = float("-inf")
        self._ahead_s = self._said_ahead_s = 0.0
        self.inbox_head = 0
        self.receipts = Receipts(session.centre_key, session.identity.unit_id)

    @property
    def epoch(self) -> str:
        """As last heard, also in an earlier life of this process; empty while unknown."""
        return self._session.remembered.epoch

    @property
    def unit_id(self) -> str:
        """Who the unit is at this gateway."""
        return self._session.identity.unit_id

    @property
    def inbox_seen(self) -> int:
        """How far the inbox was read."""
        return self._session.remembered.inbox_seen

    def note_inbox_seen(self, seq: int) -> None:
        """The inbox was read so far."""
        self._session.note(inbox_seen=seq)

    # --- requests --------------------------------------------------------------------------------------------------

    def greet(self, persistence: Persistence) -> None:
        """Prove the way, the certificate, and that the unit is let in: an empty reading of the inbox.

        Raises:
            Failed: What stands in the way.
        """
        path = f"/v1/inbox?after={max(self.inbox_seen, self.inbox_head)}&wait=0"
        self._ask(persistence, Use.TALK, "GET", path, {}).decode(Inbox)

    def put_manifest(
        self, study_uid: str, manifest: Manifest, persistence: Persistence
    ) -> tuple[ManifestAnswer, float | None]:
        """Say what there is, hear what is there; receipts in the answer are kept.

        Returns:
            The answer, and the round trip in seconds when it was measured.

        Raises:
            Failed: If there is no usable answer.
        """
        body = packed(manifest)
        headers = {**JSON, "Content-Encoding": "zstd"}
        answer = self._ask(persistence, Use.TALK, "PUT", f"/v1/studies/{study_uid}/manifest", headers, body)
        told = answer.decode(ManifestAnswer)
        self.keep_receipts(told)
        return told, answer.round_trip_s

    def read_inbox(self, wait_s: float, persistence: Persistence, cancelled: Callable[[], bool]) -> Inbox:
        """What came after the last reading; waits up to ``wait_s`` seconds for news. Receipts are kept.

        Raises:
            Failed: If there is no usable answer; also when ``cancelled`` became true.
        """
        path = f"/v1/inbox?after={self.inbox_seen}&wait={int(wait_s)}"
        answer = self._ask(persistence, Use.POLL, "GET", path, {}, patience_s=wait_s, cancelled=cancelled)
        inbox = answer.decode(Inbox)
        for entry in inbox.entries:
            if entry.receipt is not None:
                self.receipts.take_in(entry.receipt)
        if inbox.entries:
            self.note_inbox_seen(max(entry.seq for entry in inbox.entries))
        return inbox

    def read_answers(self, after: int, wait_s: float, persistence: Persistence, cancelled: Callable[[], bool]) -> Inbox:
        """What people said after a number; nothing is kept or noted by it.

        Raises:
            Failed: As above. ``session-refused`` when the centre has fewer entries than the unit read: it was restored,
                and the session that is opened next tells it so.
        """
        path = f"/v1/inbox?after={after}&wait={int(wait_s)}&about={ANSWERS_ONLY}"
        answer = self._ask(persistence, Use.POLL, "GET", path, {}, patience_s=wait_s, cancelled=cancelled)
        inbox = answer.decode(Inbox)
        if inbox.head < after:
            self._session.forget_token(answers_seen=after)
            raise Failed(failure("session-refused"))
        return inbox

    def note_answers_seen(self, seq: int) -> None:
        """The unit keeps answers up to here: a centre that has less was restored."""
        self._session.note(answers_seen=seq)

    def acknowledge(
        self, said: Acknowledgements, persistence: Persistence, cancelled: Callable[[], bool]
    ) -> AcknowledgementsAnswer:
        """Tell what became of answers.

        Raises:
            Failed: As above.
        """
        body = msgspec.json.encode(said)
        answer = self._ask(persistence, Use.POLL, "POST", "/v1/acknowledgements", JSON, body, cancelled=cancelled)
        return answer.decode(AcknowledgementsAnswer)

    def report(self, said: StatusReport, persistence: Persistence, cancelled: Callable[[], bool]) -> None:
        """Tell how the unit is.

        Raises:
            Failed: As above; ``not-gateway`` or ``http-4xx`` by a centre of an earlier release.
        """
        body = msgspec.json.encode(said)
        self._ask(persistence, Use.POLL, "POST", "/v1/status", JSON, body, cancelled=cancelled).decode(StatusAnswer)

    def tell_notes(self, said: NotesRequest, persistence: Persistence, cancelled: Callable[[], bool]) -> NotesAnswer:
        """Tell what was asked for, and what was found.

        Raises:
            Failed: As above.
        """
        headers = {**JSON, "Content-Encoding": "zstd"}
        answer = self._ask(persistence, Use.POLL, "POST", "/v1/notes", headers, packed(said), cancelled=cancelled)
        return answer.decode(NotesAnswer)

    def check(self, request: CheckRequest, persistence: Persistence, cancelled: Callable[[], bool]) -> CheckAnswer:
        """Have these read back from the PACS now; receipts in the answer are kept.

        Raises:
            Failed: As above.
        """
        patience_s = CHECK_S_PER_ITEM * len(request.items)
        body = msgspec.json.encode(request)
        answer = self._ask(
            persistence, Use.POLL, "POST", "/v1/check", JSON, body, patience_s=patience_s, cancelled=cancelled
        )
        told = answer.decode(CheckAnswer)
        for one in told.items.values():
            if one.receipt is not None:
                self.receipts.take_in(one.receipt)
        return told

    # --- for the streams -------------------------------------------------------------------------------------------

    def token(self) -> str:
        """A session's token; opens a session over a connection of its own when there is none.

        Raises:
            Failed: As ``Session.token``.
        """
        with self._flows.taken(Use.TALK) as flow:
            return self._session.token(flow)

    def drop_token(self, token: str) -> None:
        """It is not taken any more."""
        self._session.drop(token)

    def keep_receipts(self, answer: ManifestAnswer) -> None:
        """Of an answer to a manifest."""
        for one in answer.instances.values():
            if one.receipt is not None:
                self.receipts.take_in(one.receipt)

    # --- what they share -------------------------------------------------------------------------------------------

    def _ask(
        self,
        persistence: Persistence,
        use: Use,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        patience_s: float = 0.0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer:
        def once() -> Answer:
            with self._flows.taken(use) as flow:
                answer = self._exchange(
                    flow, method, path, headers, content, patience_s=patience_s, cancelled=cancelled
                )
            if answer.status != 200:
                raise Failed(refusal_of(answer, self._way.limits.backoff_s_max))
            return answer

        return persistence.run(once)

    def _exchange(
        self,
        flow: Flow,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        patience_s: float,
        cancelled: Callable[[], bool],
    ) -> Answer:
        """With a session; one that is over is opened anew once."""
        for is_last in (False, True):
            token = self._session.token(flow)
            began_mono_s = self._clock.mono_s()
            answer = flow.exchange(
                method,
                path,
                {"Authorization": f"Bearer {token}", **headers},
                content=content,
                size_bytes=len(content or b""),
                patience_s=patience_s,
                cancelled=cancelled,
            )
            if answer.status != 401:
                break
            self._session.drop(token)
            if is_last:
                raise Failed(failure("session-refused"))
        refused = refusal_of_unit(answer)
        if refused is not None:
            self._session.drop(token)
            raise Failed(refused)
        self.hear(answer.headers, began_mono_s)
        return answer

    def hear(self, headers: httpx.Headers, began_mono_s: float) -> None:
        """Epoch, inbox and time, which every answer tells; its request began then."""
        epoch, head = headers.get(EPOCH_HEADER, ""), headers.get(INBOX_HEADER, "")
        if head.isascii() and head.isdigit():
            self.inbox_head = int(head[:15])
        if epoch and epoch != self.epoch:
            if self.epoch:
                log("sync.gateway", "the centre has another epoch", destination=self._name, epoch=epoch)
            self._session.note(epoch=epoch)
        self._compare_clocks(headers.get("Date", ""), began_mono_s)

    def _compare_clocks(self, date: str, began_mono_s: float) -> None:
        """An estimate for people and for health; nothing is decided by it."""
        now = self._clock.mono_s()
        with self._lock:
            if now - self._live_mono_s < CLOCK_LIVE_S:
                return
            self._live_mono_s = now
        try:
            date_s = email.utils.parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        self._ahead_s = ahead_s(self._ahead_s, self._clock.wall_s(), now - began_mono_s, date_s)
        if abs(self._ahead_s - self._said_ahead_s) > CLOCK_OFF_S:
            self._said_ahead_s = self._ahead_s
            log("sync.gateway", "this unit's clock differs", destination=self._name, ahead_s=round(self._ahead_s, 1))
        facts = {"clock_ahead_s": round(self._ahead_s, 1), "epoch": self.epoch}
        write_live(self._run_dir, f"centre-{self._name}", facts, self._clock)
