"""A destination that speaks STOW-RS, QIDO-RS and WADO-RS (PS3.18)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.clock import Clock
from appliance.config import DicomwebDestination
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.limits import LimitSet
from appliance.logging import log
from sync.adapters.base import Attempt, Checked, SendItem, Sent
from sync.adapters.failures import Failed, failure, is_storage_warning, storage_failure
from sync.adapters.readback import QIDO_BYTES_PER_INSTANCE, query, verify_by_reading
from sync.adapters.stow import StowAnswer, StowBody, parse_answer
from sync.adapters.web import WebAddress, WebSession, media_type

GROUP_BYTES_MAX = 1024 * 1024
"""Small instances of one study share a request: a round trip may cost seconds; a cut costs at most this much again."""

_FOR_WHOLE_REQUEST = {400: "http-400", 409: "http-409", 413: "http-413", 415: "http-415"}
_WITH_RESULTS = (200, 202, 400, 409)


class Dicomweb:
    """See ``sync.adapters.base.Destination``; safe to call from several threads, each call has its own connection."""

    def __init__(self, table: DicomwebDestination, limits: LimitSet, clock: Clock, work_dir: Path) -> None:
        self._table = table
        self._limits = limits
        self._clock = clock
        self._work_dir = work_dir
        self._sessions: set[WebSession] = set()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._table.name

    def probe(self) -> Failure | None:
        """One QIDO-RS search for one study: proves address, certificate, password and that it is DICOMweb."""
        try:
            with self._session() as web:
                answer = query(web, "/studies", {"limit": "1"}, QIDO_BYTES_PER_INSTANCE)
        except Failed as failed:
            return failed.failure
        return failure("not-dicomweb") if answer is None else None

    def send(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> Failure | None:
        """As ``Destination.send``; cancelling takes effect between two requests."""
        try:
            with self._session() as web:
                for group in groups(items):
                    if attempt.cancel.is_set():
                        return None
                    self._send_group(web, group, attempt, on_result)
        except Failed as failed:
            return failed.failure
        return None

    def verify(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> Failure | None:
        """As ``Destination.verify``: re-reads every instance and compares it."""
        try:
            with self._session() as web:
                verify_by_reading(web, items, self._work_dir, attempt, on_result)
        except Failed as failed:
            return failed.failure
        return None

    def close(self) -> None:
        """Cut what runs."""
        with self._lock:
            for session in self._sessions:
                session.guard.cut()

    @contextmanager
    def _session(self) -> Iterator[WebSession]:
        table = self._table
        address = WebAddress(table.url, table.username, table.password_file, table.ca_file)
        with WebSession(address, self._limits, self._clock) as web:
            with self._lock:
                self._sessions.add(web)
            try:
                yield web
            finally:
                with self._lock:
                    self._sessions.discard(web)

    def _send_group(
        self, web: WebSession, group: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> None:
        """One request; what was refused together goes again alone: one bad instance must not hold up the rest."""
        try:
            outcomes = self._store(web, group, attempt)
        except Failed as failed:
            if failed.failure.kind is FailureKind.LINK:
                raise
            outcomes = [Sent(item.item_id, failed.failure) for item in group]
            refused_together = len(group) > 1
        else:
            refused_together = False
        by_id = {item.item_id: item for item in group}
        for sent in outcomes:
            code = sent.failure.code if sent.failure else ""
            if refused_together or (len(group) > 1 and code in ("http-400", "http-409")):
                if not attempt.cancel.is_set():
                    self._send_group(web, [by_id[sent.item_id]], attempt, on_result)
            else:
                on_result(sent)

    def _store(self, web: WebSession, group: Sequence[SendItem], attempt: Attempt) -> list[Sent]:
        def on_bytes(item: SendItem, handed_bytes: int) -> None:
            web.guard.progress()
            attempt.on_progress(item.item_id, handed_bytes)

        body = StowBody(group, on_bytes)
        size_bytes = int(body.headers["Content-Length"])
        with web.exchange("POST", "/studies", body.headers, content=body.content(), size_bytes=size_bytes) as response:
            status = response.status_code
            if status == 404 or status == 405:
                raise Failed(failure("not-dicomweb"))
            if status not in _WITH_RESULTS:
                raise Failed(_whole_request_failure(status))
            kind, answered = media_type(response), web.read_all(response)
        try:
            answer = parse_answer(kind, answered)
        except Failed:
            if status in (200, 202):
                raise
            answer = StowAnswer({}, {})
        return [Sent(item.item_id, self._outcome(item.sop_instance_uid, answer, status)) for item in group]

    def _outcome(self, uid: str, answer: StowAnswer, status: int) -> Failure | None:
        if uid in answer.failed:
            return storage_failure(answer.failed[uid])
        if uid not in answer.stored:
            return failure(_FOR_WHOLE_REQUEST.get(status, "stow-unanswered"))
        if is_storage_warning(answer.stored[uid]):
            log("sync.dicomweb", "stored with a warning", sop=uid, code=f"{answer.stored[uid]:04x}")
        return None


def groups(items: Sequence[SendItem]) -> Iterator[list[SendItem]]:
    """Consecutive items of one study that share a request, in order; a large one goes alone."""
    group: list[SendItem] = []
    for item in items:
        full = sum(i.size_bytes for i in group) + item.size_bytes > GROUP_BYTES_MAX
        if group and (full or item.study_instance_uid != group[0].study_instance_uid):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _whole_request_failure(status: int) -> Failure:
    if status in _FOR_WHOLE_REQUEST:
        return failure(_FOR_WHOLE_REQUEST[status])
    if 200 <= status < 300:
        return failure("stow-unanswered")
    return failure("http-500" if status >= 500 else "http-4xx")
