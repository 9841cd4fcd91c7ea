"""The connection that parts travel on: requests one behind the other, answers in their order, one thread.

It writes as late as it can: what goes next is decided when the kernel has room for a slice, so that something urgent
waits for no more than what the kernel already holds. An append ends when something more urgent waits, when its part is
not wanted any more, or when ``APPEND_BYTES_MAX`` are through; none of that costs a round trip. It is sent in chunks
with ``Upload-Complete: ?0``: the centre knows the part's length and completes it by itself, wherever an append ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from appliance.clock import Clock
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.limits import LimitSet
from appliance.logging import log
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway import timing
from sync.adapters.gateway.answers import check_state, refusal_of
from sync.adapters.gateway.connecting import Connector
from sync.adapters.gateway.flow import Answer, check_way
from sync.adapters.gateway.http1 import LAST_CHUNK, AnswersError, chunk, request_head
from sync.adapters.gateway.known_rate import KnownRate
from sync.adapters.gateway.line import Consignment, Line, Told
from sync.adapters.gateway.pacer import Pacer
from sync.adapters.gateway.parts import Part
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.pipe import Pipe, Wake
from sync.adapters.gateway.session import JSON, refusal_of_unit
from sync.wire.messages import ManifestAnswer, PartState

SLICE_BYTES = 16 * 1024 - 8
"""With its frame one TLS record; two thirds of a second at 200 kbit/s."""
APPEND_BYTES_MAX = 8 * 1024 * 1024
PENDING_COUNT_MAX = 16
"""Requests without an answer; small ones are sent no faster than they are answered then."""
ALIVE_BYTES = 64 * 1024
"""So much arrived: the link works. A long append is not answered for a minute."""
BARREN_COUNT_MAX = 5
"""So often a connection broke and the centre had no more than before, whatever arrived elsewhere on the way."""
PARTIAL_UPLOAD = "application/partial-upload"


class _SessionOverError(Exception):
    """The centre does not know the token any more."""


@dataclass(eq=False)
class _Pending:
    """A request without an answer; a manifest when there is no part. ``end``: what was handed over lies before it."""

    consignment: Consignment
    began_mono_s: float
    part: Part | None = None
    generation: int = 0
    end: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a stream works with.

    Attributes:
        token: Gives a session's token; may open one, over another connection.
        drop_token: The centre does not take this one any more.
        on_heard: Every answer's fields, and the monotonic second at which its request began.
        on_attempt: The name of a part that an append begins of.
        rate: What is known of the link's.
        is_bbr: Whether that is what connections run under.
    """

    connector: Connector
    token: Callable[[], str]
    drop_token: Callable[[str], None]
    on_heard: Callable[[httpx.Headers, float], None]
    on_attempt: Callable[[str], None]
    rate: KnownRate
    is_bbr: bool
    limits: LimitSet
    clock: Clock


class Stream:
    """One connection over a line; ``start`` it once."""

    def __init__(self, around: Surroundings, line: Line, number: int) -> None:
        self._around = around
        self._line = line
        self._closing = threading.Event()
        self._persistence = Persistence(around.clock, self._closing, lambda: not line.has_work())
        self._pipe: Pipe | None = None
        self._token = ""
        self._pending: deque[_Pending] = deque()
        self._current: _Pending | None = None
        self._ends_body = False
        self._alive_bytes = 0
        self._barren_count = 0
        self._connect_failure_count = 0
        self._session_over_count = 0
        """In a row: the second one is no accident."""
        self._round_trip_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"gateway-stream-{number}", daemon=True)
        self.wake = Wake()

    def start(self) -> None:
        """Carry from now on, until the line is closed."""
        self._thread.start()

    def close(self) -> None:
        """The line is closed: end what runs."""
        self._closing.set()
        self.wake()

    # --- the loop --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._line.wait_for_work():
            self._persistence.alive()
            try:
                self._work()
            except Exception as error:
                log("sync.gateway", "stream raised", error=type(error).__name__, detail=error)
                self._let_go()
                self._line.fail_all(failure("connection-lost"))
        self._let_go()
        self.wake.close()

    def _work(self) -> None:
        """Until nothing waits any more."""
        while self._line.has_work() and not self._closing.is_set():
            try:
                self._converse()
            except _SessionOverError:
                self._let_go()
                self._session_over_count += 1
                if self._session_over_count > 1:
                    self._line.fail_all(failure("session-refused"))
            except AnswersError:
                self._lost(failure("answer-unusable"))
            except Failed as failed:
                self._lost(failed.failure)

    def _converse(self) -> None:
        pipe = self._connected()
        pipe.begin()
        while self._pending or self._line.has_work():
            if self._closing.is_set():
                return
            has_more = self._current is not None or self._ends_body
            if not has_more and len(self._pending) < PENDING_COUNT_MAX:
                has_more = self._line.has_next()
            for answer in pipe.turn(self._produce, has_more=has_more, awaits_answer=bool(self._pending)):
                self._take(answer, pipe.round_trip_s)
            if pipe.acked_bytes - self._alive_bytes >= ALIVE_BYTES and self._barren_count < BARREN_COUNT_MAX:
                self._alive_bytes = pipe.acked_bytes
                self._persistence.alive()
            if pipe.answers.ended:
                raise Failed(failure("connection-lost"))

    def _connected(self) -> Pipe:
        if self._pipe is None:
            self._token = self._around.token()
            try:
                attempt_s = timing.connect_s(self._round_trip_s, self._connect_failure_count)
                connection = self._around.connector.connect(attempt_s)
            except Failed:
                self._connect_failure_count += 1
                raise
            self._connect_failure_count = 0
            stall_s_max = self._around.limits.transfer_stall_s_max
            pacer = Pacer(self._around.rate.bytes_per_s) if self._around.is_bbr else None
            self._pipe = Pipe(connection, self._around.clock, stall_s_max, self.wake, pacer)
            self._ends_body = False
            self._alive_bytes = 0
        return self._pipe

    def _lost(self, why: Failure) -> None:
        """The connection is of no use any more: what has no answer is asked about anew, if it goes on at all."""
        self._line.doubt_new()
        blamed = self._pending[0] if self._pending and why.kind is not FailureKind.LINK else None
        self._let_go()
        if blamed is not None:
            # An answer that cannot be read belongs to one request; the others are innocent.
            self._fail(blamed, why)
            why = failure("connection-lost")
        if not self._persistence.goes_on(why) and self._line.has_work():
            self._line.fail_all(why)

    def _let_go(self) -> None:
        if self._pipe is not None:
            self._round_trip_s = self._pipe.round_trip_s or self._round_trip_s
            if self._pipe.pacer is not None:
                self._around.rate.note(self._pipe.pacer.rate_bytes_per_s)
            self._pipe.close()
        self._pipe, self._current = None, None
        while self._pending:
            each = self._pending.popleft()
            each.consignment.told = Told.NO
            if each.part is not None:
                each.part.doubt()

    # --- out -------------------------------------------------------------------------------------------------------

    def _produce(self) -> bytes:
        if self._ends_body:
            self._ends_body = False
            return LAST_CHUNK
        if self._current is not None:
            return self._slice(self._current)
        taken = self._line.take()
        if taken is None:
            return b""
        consignment, part = taken
        if part is None:
            body = consignment.manifest()
            self._pending.append(_Pending(consignment, self._around.clock.mono_s()))
            target = f"/v1/studies/{consignment.study_uid}/manifest"
            return self._head("PUT", target, {**JSON, "Content-Encoding": "zstd"}, len(body)) + body
        return self._begin_append(consignment, part)

    def _begin_append(self, consignment: Consignment, part: Part) -> bytes:
        size = part.info.size_bytes
        self._around.on_attempt(part.info.sha256)
        fields = {
            "Upload-Offset": str(part.position),
            "Upload-Complete": "?0",
            "Upload-Length": str(size),
            "Content-Type": PARTIAL_UPLOAD,
        }
        limit = min(size, part.position + APPEND_BYTES_MAX)
        part.lacks_end = False
        began_mono_s = self._around.clock.mono_s()
        self._current = _Pending(consignment, began_mono_s, part, part.generation, part.position, limit)
        self._pending.append(self._current)
        return self._head("PATCH", f"/v1/parts/{part.info.sha256}", fields, None) + self._slice(self._current)

    def _slice(self, append: _Pending) -> bytes:
        part = append.part
        assert part is not None
        if append.end == append.limit or self._must_end(append, part):
            return self._end(part)
        count = min(SLICE_BYTES, append.limit - append.end)
        try:
            data = part.source.read(append.end, count)
        except Failed as failed:
            self._fail(append, failed.failure)
            return self._end(part)
        append.end += count
        part.position = append.end
        append.consignment.owner.moved(part)
        return chunk(data) + (self._end(part) if append.end == append.limit else b"")

    def _must_end(self, append: _Pending, part: Part) -> bool:
        return (
            append.consignment.is_done
            or part.is_done
            or append.generation != part.generation
            or self._line.has_next(before=append.consignment.rank)
        )

    def _end(self, part: Part) -> bytes:
        """The body's end. On one connection alone, the next append of the part may follow before the answer."""
        self._current = None
        part.is_carried = not self._line.is_trusting
        return LAST_CHUNK

    def _head(self, method: str, target: str, fields: dict[str, str], content_bytes: int | None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", **fields}
        return request_head(method, target, self._around.connector.host, headers, content_bytes)

    # --- in --------------------------------------------------------------------------------------------------------

    def _take(self, answer: Answer, round_trip_s: float) -> None:
        if not self._pending:
            raise AnswersError
        pending = self._pending[0]
        self._check_let_in(answer, pending.began_mono_s)
        self._pending.popleft()
        if pending is self._current:
            # Answered before its end: what of the body is on its way is read past.
            self._ends_body = True
            if pending.part is not None:
                self._end(pending.part)
        if pending.part is None:
            self._take_told(pending, answer, round_trip_s)
        else:
            self._take_position(pending, pending.part, answer)

    def _check_let_in(self, answer: Answer, began_mono_s: float) -> None:
        """Raises ``Failed`` for what concerns not this request but the unit, or the way to the centre."""
        backoff_s_max = self._around.limits.backoff_s_max
        if answer.status == 401:
            self._around.drop_token(self._token)
            raise _SessionOverError
        refused = refusal_of_unit(answer)
        if refused is not None:
            self._around.drop_token(self._token)
            raise Failed(refused)
        check_way(answer, backoff_s_max)
        self._session_over_count = 0
        self._around.on_heard(answer.headers, began_mono_s)
        if answer.status >= 500 and (why := refusal_of(answer, backoff_s_max)).kind is FailureKind.LINK:
            raise Failed(why)

    def _take_told(self, pending: _Pending, answer: Answer, round_trip_s: float) -> None:
        consignment = pending.consignment
        if consignment.is_done:
            return
        try:
            if answer.status != 200:
                raise Failed(refusal_of(answer, self._around.limits.backoff_s_max))
            told = answer.decode(ManifestAnswer)
            states = [_state_of(part, told) for part in consignment.parts]
            is_first = consignment.tell_count == 1
            for part, state in zip(consignment.parts, states, strict=True):
                if part.in_doubt:
                    self._barren_count = 0 if state.offset > part.offset else self._barren_count + 1
                part.told(state.offset, state.complete, state.not_needed, is_first=is_first)
            consignment.on_told(told, round_trip_s)
        except Failed as failed:
            if failed.failure.kind is FailureKind.LINK:
                raise
            self._fail(pending, failed.failure)
            return
        consignment.told = Told.YES
        if is_first:
            self._persistence.alive()
        for part in consignment.parts:
            if part.complete or part.not_needed:
                consignment.owner.arrived(part)

    def _take_position(self, pending: _Pending, part: Part, answer: Answer) -> None:
        if not self._line.is_trusting:
            part.is_carried = False
        if pending.consignment.is_done or part.is_done:
            return
        try:
            why = self._judge(pending, part, answer)
        except Failed as failed:
            why = failed.failure
        if why is not None:
            self._fail(pending, why)
            return
        pending.consignment.owner.moved(part)
        if part.complete:
            pending.consignment.owner.arrived(part)

    def _judge(self, pending: _Pending, part: Part, answer: Answer) -> Failure | None:
        complete = answer.headers.get("Upload-Complete", "?0").strip() == "?1"
        if answer.status in (200, 201, 204):
            if part.answered(pending.generation, pending.end, _offset(answer), complete):
                self._persistence.alive()
            return None
        if answer.status == 409 or (answer.status == 400 and complete):
            return part.contradicted(pending.generation, _offset(answer), complete)
        if answer.status == 460:
            return part.damaged(pending.generation)
        if pending.generation != part.generation:
            return None
        if answer.status == 404:
            return failure("part-forgotten")
        return refusal_of(answer, self._around.limits.backoff_s_max)

    def _fail(self, pending: _Pending, why: Failure) -> None:
        if pending.consignment.is_done:
            return
        if pending.part is None:
            pending.consignment.over = True
            pending.consignment.on_failed(why)
        else:
            pending.part.failed = True
            pending.consignment.owner.part_failed(pending.part, why)


def _state_of(part: Part, told: ManifestAnswer) -> PartState:
    return check_state(part.info, told.parts.get(part.info.sha256, PartState(offset=0)))


def _offset(answer: Answer) -> int:
    """``Upload-Offset``; raises ``Failed`` when there is none."""
    text = str(answer.headers.get("Upload-Offset", "")).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Failed(failure("answer-unusable"))
    return int(text)
