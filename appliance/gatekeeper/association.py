"""One modality's association: handshake, then whole checked PDUs to where it goes and the answers back.

The gatekeeper keeps the association with the modality; the one with Orthanc may come and go. It is dropped when an
object is refused, or when Orthanc ends an idle one, and opened again with the same request when there is something to
say. So one damaged object costs the modality one failure status, and its other objects go on.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

from appliance.clock import utc_text
from appliance.config import UnitConfig
from appliance.gatekeeper import pdu, quarantine
from appliance.gatekeeper.command import C_STORE_RQ, Command, store_response
from appliance.gatekeeper.handshake import REJECTIONS, check_request, is_this_machine, receive_request
from appliance.gatekeeper.held import Held, HoldBudget
from appliance.gatekeeper.messages import Inbound, Message, Outbound
from appliance.gatekeeper.pdu import AbortReason, PduType, each_pdu
from appliance.gatekeeper.quarantine import Label, NoRoomError
from appliance.gatekeeper.report import Report
from appliance.gatekeeper.route import route_of, to_orthanc
from appliance.gatekeeper.stream import ConnectionEndedError, PduStream, QuietError
from appliance.gatekeeper.upstream import Upstream, UpstreamRejectsError, UpstreamSilentError, open_upstream
from appliance.gatekeeper.violations import Violation, ViolationError
from appliance.gatekeeper.worklist_answers import WorklistAnswers
from appliance.logging import log

_COMMAND_LAST = 3
"""Message control header of a command's only fragment (PS3.8 annex E.2)."""
_ABORT_REASONS = {
    "pdu-malformed": AbortReason.INVALID_PARAMETER,
    "pdu-too-long": AbortReason.INVALID_PARAMETER,
    "pdu-unexpected": AbortReason.UNEXPECTED_PDU,
}


class Association:
    """Serves one accepted connection; ``run`` is its whole life."""

    def __init__(self, sock: socket.socket, peer: str, config: UnitConfig, report: Report, budget: HoldBudget) -> None:
        self.peer = peer
        self.calling_ae_title = ""
        self.is_associated = False
        self._config = config
        self._limits = config.limits
        self._report = report
        self._loop = asyncio.get_running_loop()
        self.began_mono_s = self._loop.time()
        self._traffic_mono_s = self.began_mono_s
        self._is_local = is_this_machine(peer, str(sock.getsockname()[0]))
        self._stream = PduStream(sock, config.limits)
        self._held = Held(budget)
        self._request = bytearray()
        self._route = to_orthanc(config)
        self._inbound = Inbound({}, config.limits, self._message_begins)
        self._upstream: Upstream | None = None
        self._answers: asyncio.Task[None] | None = None
        self._syntaxes: dict[int, str] = {}
        self._worklist: WorklistAnswers | None = None
        self._open_requests: dict[int, Command] = {}
        self._task: asyncio.Task[None] | None = None
        self._cut_by: ViolationError | None = None
        self._farewell = b""
        self._is_draining = False

    @property
    def is_receiving(self) -> bool:
        """Whether a C-STORE is between its command and its response."""
        return any(command.field == C_STORE_RQ for command in self._open_requests.values())

    @property
    def _not_answering(self) -> str:
        return f"{self._route.name}-not-answering"

    def cut(self, violation: ViolationError) -> None:
        """End it from another task."""
        if self._cut_by is None and self._task is not None:
            self._cut_by = violation
            self._task.cancel()

    def drain(self) -> None:
        """End it as soon as the object under way is answered."""
        self._is_draining = True
        self._end_if_drained()

    async def run(self) -> None:
        """From the first byte to the close; never raises but when cancelled from outside."""
        self._task = asyncio.current_task()
        try:
            async with asyncio.timeout(self._limits.association_s_max):
                await self._serve()
        except ViolationError as violation:
            self._end(violation)
        except TimeoutError:
            self._end(ViolationError("association-too-long", f"more than {self._limits.association_s_max:.0f} s"))
        except ConnectionEndedError as error:
            if self.is_receiving:
                log("unit.gatekeeper", "connection lost", peer=self.peer, calling=self.calling_ae_title, why=error)
        except asyncio.CancelledError:
            if self._cut_by is None or self._task is None:
                raise
            self._task.uncancel()
            self._end(self._cut_by)
        finally:
            await self._close()

    def _end(self, violation: ViolationError) -> None:
        """Note why, and choose the last word to the modality."""
        self._tell(violation)
        if self._farewell:
            return
        rejection = REJECTIONS.get(violation.code)
        reason = _ABORT_REASONS.get(violation.code, AbortReason.NOT_SPECIFIED)
        self._farewell = pdu.associate_rj(rejection) if rejection else pdu.abort(reason)

    async def _close(self) -> None:
        self._task = None
        is_receiving, self._open_requests = self.is_receiving, {}
        if is_receiving:
            self._report.changed()
        self._held.clear()
        self._stream.write_last(self._farewell)
        await self._drop_upstream()
        if self._farewell:
            await self._stream.close_gently()
        else:
            self._stream.close()

    # the handshake

    async def _serve(self) -> None:
        self._request, request = await receive_request(self._stream, self._config)
        self.calling_ae_title = request.calling_ae_title
        check_request(request, self._config, is_local=self._is_local)
        self._route = route_of(request, self._config)
        upstream = await self._first_upstream()
        self._syntaxes = upstream.accepted.transfer_syntax_by_context_id
        self._inbound = Inbound(self._syntaxes, self._route.limits, self._message_begins)
        self._worklist = WorklistAnswers(request, self._syntaxes, self._config)
        self._attach(upstream)
        await self._stream.write(upstream.answer, "peer-not-reading")
        self.is_associated = True
        self._report.tally.associated(self.calling_ae_title, self.peer)
        while not self._farewell:
            await self._relay(await self._next_run())

    async def _first_upstream(self) -> Upstream:
        try:
            return await open_upstream(self._route, self._request, self._limits)
        except UpstreamRejectsError as error:
            self._farewell = error.pdu
            raise ViolationError(f"{self._route.name}-rejects") from error
        except UpstreamSilentError as error:
            raise ViolationError(f"{self._route.name}-unavailable", str(error)) from error

    # from the modality to Orthanc

    async def _next_run(self) -> memoryview:
        """The next whole PDUs; traffic in either direction counts against idleness."""
        while True:
            quiet_s = self._loop.time() - self._traffic_mono_s
            if quiet_s >= self._limits.idle_s_max:
                code = self._not_answering if self._open_requests else "idle"
                raise ViolationError(code, f"nothing for {quiet_s:.0f} s")
            with suppress(QuietError):
                return await self._stream.read(self._limits.idle_s_max - quiet_s)

    async def _relay(self, run: memoryview) -> None:
        self._traffic_mono_s = self._loop.time()
        begin = 0
        for kind, each, start in each_pdu(run):
            if kind == PduType.DATA_TF:
                refused = self._inbound.take(each)
                if refused or self._inbound.is_refusing:
                    # What precedes it in this run is of the same message; Orthanc is to forget that one whole.
                    begin = start + len(each)
                    await self._refuse(refused)
                continue
            await self._forward(run[begin:start])
            await self._leave(kind)
            return
        await self._forward(run[begin:])
        if self._inbound.is_between_messages:
            self._held.clear()

    async def _forward(self, data: memoryview) -> None:
        if not data:
            return
        upstream = self._upstream or await self._next_upstream()
        try:
            await upstream.stream.write(data, self._not_answering)
        except ConnectionEndedError as error:
            raise ViolationError(self._not_answering, str(error)) from error

    async def _next_upstream(self) -> Upstream:
        try:
            upstream = await open_upstream(self._route, self._request, self._limits)
        except (UpstreamRejectsError, UpstreamSilentError) as error:
            raise ViolationError(self._not_answering, str(error)) from error
        self._attach(upstream)
        if upstream.accepted.transfer_syntax_by_context_id != self._syntaxes:
            raise ViolationError(self._not_answering, "other presentation contexts are accepted than before")
        return upstream

    async def _leave(self, kind: int) -> None:
        """The modality releases or aborts; anything else has no place here."""
        if kind == PduType.RELEASE_RQ:
            self._farewell = pdu.release_rp()
            return
        if kind == PduType.ABORT:
            raise ConnectionEndedError("aborted")
        raise ViolationError("pdu-unexpected", f"type {kind}")

    def _message_begins(self, message: Message) -> None:
        command = message.command
        if command.is_request:
            if command.message_id in self._open_requests:
                raise ViolationError("pdu-unexpected", "a message id that is in use")
            self._open_requests[command.message_id] = command
        if message.is_store:
            self._held.clear()
            message.keep = self._held.append
            message.room_bytes = int(self._free_bytes() * self._limits.object_share_of_free_space_max)
            self._report.changed()

    def _free_bytes(self) -> int:
        try:
            medium = os.statvfs(self._config.data_dir)
        except OSError:
            return 0
        return medium.f_bavail * medium.f_frsize

    # an object that is refused

    async def _refuse(self, ended: Message | None) -> None:
        """Take Orthanc out at the first sign; once the object has ended, set it aside, say so and answer."""
        if self._upstream is not None:
            if len(self._open_requests) > 1:
                raise ViolationError("pdu-unexpected", "a damaged object among requests that are not answered yet")
            await self._drop_upstream()
        if ended is None or ended.violation is None:
            return
        rule = ended.violation.rule
        file_name = await self._set_aside(ended, ended.violation) if rule.is_kept else ""
        self._tell(ended.violation, ended.command.sop_instance_uid, file_name)
        response = store_response(ended.command, rule.status, str(ended.violation))
        await self._stream.write(pdu.data_tf(ended.context_id, _COMMAND_LAST, response), "peer-not-reading")
        self._answered(ended.command.message_id, rule.status)

    async def _set_aside(self, message: Message, violation: ViolationError) -> str:
        label = Label(
            code=violation.code,
            detail=violation.detail,
            calling_ae_title=self.calling_ae_title,
            peer=self.peer,
            sop_class_uid=message.command.sop_class_uid,
            sop_instance_uid=message.command.sop_instance_uid,
            transfer_syntax_uid=message.transfer_syntax_uid,
            at=utc_text(self._report.clock.wall_s()),
            received_bytes=message.data_set_bytes,
        )
        folder = self._config.quarantine_dir
        try:
            return await self._held.hand_over(lambda chunks: quarantine.keep(folder, label, chunks, self._limits))
        except (NoRoomError, OSError) as error:
            log("unit.gatekeeper", "not set aside", calling=self.calling_ae_title, why=error)
            return ""

    def _tell(self, violation: ViolationError, sop_instance_uid: str = "", file_name: str = "") -> None:
        self._report.violation(
            Violation(
                code=violation.code,
                detail=violation.detail,
                peer=self.peer,
                calling_ae_title=self.calling_ae_title,
                sop_instance_uid=sop_instance_uid,
                file_name=file_name,
            )
        )

    # from Orthanc to the modality

    def _attach(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._answers = asyncio.create_task(self._relay_answers(upstream))
        self._answers.add_done_callback(self._answers_ended)

    def _answers_ended(self, answers: asyncio.Task[None]) -> None:
        """A mistake of ours there must not leave the modality waiting for its answer."""
        if not answers.cancelled() and (error := answers.exception()):
            self.cut(ViolationError(self._not_answering, repr(error)))

    async def _relay_answers(self, upstream: Upstream) -> None:
        outbound = Outbound(self._limits)
        while True:
            try:
                run = await upstream.stream.read(None)
                commands = outbound.take_run(run)
                answer = self._worklist.made_right(run) if self._worklist else run
            except (ConnectionEndedError, ViolationError) as error:
                self._upstream_ended(upstream, str(error))
                return
            try:
                await self._stream.write(answer, "peer-not-reading")
            except ConnectionEndedError:
                # The reading side sees the same end, and closes.
                return
            except ViolationError as violation:
                self.cut(violation)
                return
            self._traffic_mono_s = self._loop.time()
            for command in commands:
                self._heard(command)

    def _upstream_ended(self, upstream: Upstream, why: str) -> None:
        """Orthanc closed: harmless between messages, else the end."""
        if self._open_requests or not self._inbound.is_between_messages:
            self.cut(ViolationError(self._not_answering, why))
            return
        upstream.stream.close()
        self._upstream = self._answers = None

    def _heard(self, response: Command) -> None:
        request = self._open_requests.get(response.message_id)
        if response.is_final_response:
            self._answered(response.message_id, response.status)
        elif request is not None:
            self._report.tally.pending(self.calling_ae_title, request)

    def _answered(self, message_id: int, status: int) -> None:
        request = self._open_requests.pop(message_id, None)
        if request is not None:
            self._report.tally.answered(self.calling_ae_title, request, status)
        self._report.changed()
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        if self._is_draining and not self._open_requests and self._inbound.is_between_messages:
            self.cut(ViolationError("shutting-down"))

    async def _drop_upstream(self) -> None:
        """In order when nothing is owed, else at once."""
        upstream, answers = self._upstream, self._answers
        self._upstream = self._answers = None
        if answers is not None:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
        if upstream is None:
            return
        if self._farewell == pdu.release_rp() and self._inbound.is_between_messages:
            await upstream.release()
        else:
            upstream.abort()
