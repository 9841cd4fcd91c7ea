"""Reports every open commitment request until its device has acknowledged that, for days and over restarts.

Each attempt judges anew, records what it will say, and only then says it, in a thread of its device's own: one that
does not answer delays no other. A back-off lives in memory: after a restart everything open is due at once. A pause
for images that are still under way is recorded, and outlives it.
"""

from __future__ import annotations

import dataclasses
import itertools
import traceback
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import build_role

from appliance.clock import Clock
from appliance.config import DimseDestination, ModalityTable, UnitConfig
from appliance.logging import log
from appliance.orthanc.background import Worker
from appliance.services.commitment import report_of
from appliance.services.desk import Asked, Desk
from appliance.services.judging import NO_SUCH_INSTANCE, Judge
from appliance.store import commitments
from appliance.store.commitments import COMMITTED, Request
from appliance.store.connect import Store, open_door_reader, open_unit
from sync.adapters.association import Conversation
from sync.adapters.failures import Failed
from sync.adapters.services import COMMITMENT, COMMITMENT_INSTANCE

POLL_S = 0.05
HANG_UP_S_MAX = 3.0
"""A device that asked is called only after it has hung up, or so long after it was acknowledged: many serve one
association at a time."""
NO_ADDRESS = "no-address"
DEVICE_COUNT_MAX = 8
"""Devices that are told at the same time."""
LINE_WAIT_COUNT_MAX = 2
"""Pauses for images while a device that cannot be called waits on the line: 6 s, then it would hang up unanswered."""


@dataclass
class Due:
    """What is owed, as the reporter last saw it; plain values, written by one thread."""

    next_mono_s: float = float("-inf")
    """When the next report is due: long ago before the first look, infinity when none is."""
    open_request_count: int = 0


@dataclass(frozen=True, slots=True)
class _Telling:
    """A report on its way to a device; its result is why the device did not hear it."""

    request: Request
    reasons: tuple[int, ...]
    outcome: Future[str]


class Reporter:
    """The only one that reports; a ``Worker``. Its own thread alone touches the databases."""

    def __init__(
        self, config: UnitConfig, unit: Store, judge: Judge, desk: Desk, due: Due, clock: Clock, pool: Executor
    ) -> None:
        self._config = config
        self._limits = config.limits
        self._unit = unit
        self._judge = judge
        self._desk = desk
        self._owed = due
        self._clock = clock
        self._modalities = {modality.ae_title.strip(" "): modality for modality in config.modality}
        self._due_mono_s: dict[int, float] = {}
        self._look_mono_s = float("-inf")
        self._pool = pool
        self._telling: dict[str, _Telling] = {}
        """By the device's AE title."""
        self._message_ids = itertools.cycle(range(1, 0x10000))

    def step(self) -> float:
        """As ``Worker.step``."""
        news = self._desk.take_news()
        for request_id in news:
            self._due_mono_s.pop(request_id, None)
        if self._end_attempts() or news or self._clock.mono_s() >= self._look_mono_s:
            for request in sorted(commitments.open_requests(self._unit), key=self._is_off_the_line):
                if request.calling_ae_title not in self._telling and self._due(request) <= self._clock.mono_s():
                    self._attempt(request.request_id)
            waiting = commitments.open_requests(self._unit)
            # What a device is owed besides the report it is just told is looked at when that is through.
            free = [request for request in waiting if request.calling_ae_title not in self._telling]
            self._look_mono_s = min(map(self._due, free), default=float("inf"))
            self._owed.next_mono_s = self._clock.mono_s() if self._telling else self._look_mono_s
            self._owed.open_request_count = len(waiting)
        return POLL_S

    def _is_off_the_line(self, request: Request) -> bool:
        return self._desk.find(request.request_id) is None

    def _due(self, request: Request) -> float:
        is_pausing = request.wait_boot_id == self._clock.boot_id()
        paused_mono_s = request.wait_until_mono_s if is_pausing else float("-inf")
        due_mono_s = max(self._due_mono_s.get(request.request_id, float("-inf")), paused_mono_s)
        asked = self._desk.find(request.request_id)
        if asked is None:
            return due_mono_s
        if asked.answered_mono_s is None:
            # News will come, or the end of the association.
            return float("inf") if due_mono_s == float("-inf") else due_mono_s
        modality = self._modalities.get(request.calling_ae_title)
        if _tells_there(modality) or not asked.is_open:
            return due_mono_s
        return max(due_mono_s, asked.answered_mono_s + HANG_UP_S_MAX)

    def _attempt(self, request_id: int) -> None:
        request = commitments.read_request(self._unit, request_id)
        if request is None:
            return
        reasons = self._judge.judge(request.references, request.calling_ae_title)
        if NO_SUCH_INSTANCE in reasons and request.wait_count < self._wait_count_max(request):
            self._wait(request)
            return
        commitments.begin_attempt(self._unit, self._unit.stamp(), request_id, reasons)
        outcome = self._pool.submit(self._deliver, request, reasons, next(self._message_ids))
        self._telling[request.calling_ae_title] = _Telling(request, reasons, outcome)

    def _wait(self, request: Request) -> None:
        """A device may ask while its images are still on their way."""
        pause_s = self._limits.commitment_wait_s_first * 2.0**request.wait_count
        until_mono_s = self._clock.mono_s() + pause_s
        commitments.begin_wait(self._unit, request.request_id, self._clock.boot_id(), until_mono_s)
        log("unit.services", "commitment waits for images", transaction=request.transaction_uid, pause_s=pause_s)

    def _wait_count_max(self, request: Request) -> int:
        modality = self._modalities.get(request.calling_ae_title)
        can_be_called = modality is not None and bool(modality.host)
        count_max = self._limits.commitment_wait_count_max
        return count_max if can_be_called else min(count_max, LINE_WAIT_COUNT_MAX)

    def _end_attempts(self) -> bool:
        """Record how reports that are through went; whether there were any."""
        through = [title for title, one in self._telling.items() if one.outcome.done()]
        for title in through:
            one = self._telling.pop(title)
            self._end_attempt(one.request, one.reasons, _outcome(one.outcome))
        return bool(through)

    def _end_attempt(self, request: Request, reasons: tuple[int, ...], code: str) -> None:
        attempt_count = request.attempt_count + 1
        give_up = bool(code) and attempt_count >= self._limits.commitment_attempt_count_max
        commitments.end_attempt(self._unit, self._unit.stamp(), request, code, give_up=give_up)
        if code == NO_ADDRESS:
            self._due_mono_s[request.request_id] = float("inf")  # until the device asks again
        elif code:
            self._due_mono_s[request.request_id] = self._clock.mono_s() + backoff_s(attempt_count, *self._backoff)
        log(
            "unit.services",
            "commitment not reported" if code else "commitment reported",
            transaction=request.transaction_uid,
            device=request.calling_ae_title,
            count=len(reasons),
            failed_count=sum(reason != COMMITTED for reason in reasons),
            **({"why": code, "attempt": attempt_count} if code else {}),
        )

    @property
    def _backoff(self) -> tuple[float, float]:
        return self._limits.commitment_backoff_s_first, self._limits.commitment_backoff_s_max

    def _deliver(self, request: Request, reasons: tuple[int, ...], message_id: int) -> str:
        """Tell the device, in a thread of the pool; why it did not hear, empty when it did."""
        modality = self._modalities.get(request.calling_ae_title)
        asked = self._desk.find(request.request_id)
        code = NO_ADDRESS
        if asked is not None and asked.is_open and _tells_there(modality):
            code = self._tell_there(asked, request, reasons, message_id)
        if code and modality is not None and modality.host:
            code = self._call(modality, request, reasons)
        return code

    def _tell_there(self, asked: Asked, request: Request, reasons: tuple[int, ...], message_id: int) -> str:
        event_type, report = report_of(request.transaction_uid, request.references, reasons)
        status = asked.report(message_id, event_type, report, self._limits.commitment_report_s_max)
        return "no-answer" if status is None else _code_of(status)

    def _call(self, modality: ModalityTable, request: Request, reasons: tuple[int, ...]) -> str:
        """On an association of ours, where we are the SCP all the same (PS3.4 section J.3.3.1)."""
        table = DimseDestination(
            name="modality",
            host=modality.host,
            port=modality.port,
            called_ae_title=modality.ae_title,
            calling_ae_title=request.called_ae_title,
        )
        limits = dataclasses.replace(self._limits, transfer_stall_s_max=self._limits.commitment_report_s_max)
        event_type, report = report_of(request.transaction_uid, request.references, reasons)
        contexts = [(COMMITMENT, str(ImplicitVRLittleEndian))]
        roles = [build_role(COMMITMENT, scu_role=False, scp_role=True)]
        try:
            with Conversation(table, limits, self._clock, contexts, roles=roles) as conversation:
                if not conversation.accepted:
                    return "context-refused"
                answer, _ = conversation.call(
                    lambda association, message_id: association.send_n_event_report(
                        report, event_type, COMMITMENT, COMMITMENT_INSTANCE, message_id
                    ),
                    limits.service_data_set_bytes_max,
                )
                return _code_of(conversation.status_of(answer))
        except Failed as error:
            return error.failure.code


def _outcome(telling: Future[str]) -> str:
    """Why the device did not hear; a mistake of ours about one device must not end the reports to all others."""
    error = telling.exception()
    if error is None:
        return telling.result()
    # Only its type and place are logged: the text may quote a value.
    place = traceback.extract_tb(error.__traceback__)[-1]
    log("unit.services", "report failed", error=type(error).__name__, at=f"{place.name}:{place.lineno}")
    return "program-fault"


def backoff_s(attempt_count: int, first_s: float, max_s: float) -> float:
    """Seconds until the next attempt after so many that failed; at least one."""
    return min(first_s * 2.0 ** min(attempt_count - 1, 32), max_s)


def _tells_there(modality: ModalityTable | None) -> bool:
    """Whether a device is to hear the report on the association it asked on."""
    return modality is None or not modality.host or modality.report_same_association


def _code_of(status: int) -> str:
    """Success and warnings are heard; anything else is said again."""
    is_heard = status in (0x0000, 0x0001, 0x0107, 0x0116) or 0xB000 <= status <= 0xBFFF
    return "" if is_heard else f"status-{status:04x}"


@contextmanager
def open_reporter(config: UnitConfig, desk: Desk, due: Due, clock: Clock) -> Iterator[Worker]:
    """The reporter over fresh handles.

    Raises:
        StoreError: If a database cannot be opened.
    """
    with ExitStack() as stack:
        unit = stack.enter_context(open_unit(config.unit_db, clock=clock))
        door = stack.enter_context(open_door_reader(config.door_db, clock=clock))
        pool = stack.enter_context(ThreadPoolExecutor(DEVICE_COUNT_MAX, thread_name_prefix="report"))
        yield Reporter(config, unit, Judge(unit, door, config.blob_dir), desk, due, clock, pool)
