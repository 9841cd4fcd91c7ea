"""One association with a process of ours, opened with the modality's own request and given up without ceremony."""

from __future__ import annotations

import asyncio
import socket

from appliance.domain.limits import KIB, LimitSet
from appliance.gatekeeper import pdu
from appliance.gatekeeper.pdu import AbortReason, AssociateAccept, PduError, PduType
from appliance.gatekeeper.route import Route
from appliance.gatekeeper.stream import ConnectionEndedError, PduStream
from appliance.gatekeeper.violations import ViolationError

_ANSWERS = frozenset((PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ))
_READ_BYTES = 16 * KIB
"""Orthanc sends responses of some hundred bytes."""


class UpstreamSilentError(Exception):
    """It does not listen, does not answer in time, or answers what is no association."""


class UpstreamRejectsError(Exception):
    """It answers A-ASSOCIATE-RJ; ``pdu`` is its answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("the association is rejected")
        self.pdu = answer


class Upstream:
    """An accepted association; whoever opened it closes it."""

    def __init__(self, stream: PduStream, answer: bytearray, route: Route, limits: LimitSet) -> None:
        self.stream = stream
        pdu.refuse_contexts(answer, route.refused_context_ids)
        self.answer = answer
        """Its A-ASSOCIATE-AC, less what the route refuses, and with its maximum length clamped to ours."""
        self.accepted: AssociateAccept = pdu.parse_associate_ac(answer)
        pdu.clamp_max_length(answer, self.accepted, limits.pdu_bytes_max)

    def abort(self) -> None:
        """Drop it now: what Orthanc has of an unfinished object is discarded there."""
        self.stream.write_last(pdu.abort(AbortReason.NOT_SPECIFIED))
        self.stream.close()

    async def release(self) -> None:
        """End it in order (PS3.8 section 7.2); Orthanc's reply is not needed, only awaited for a moment."""
        self.stream.write_last(pdu.release_rq())
        await self.stream.close_gently()


async def open_upstream(route: Route, request: bytes | bytearray, limits: LimitSet) -> Upstream:
    """Associate on loopback within the route's ``answer_s_max``.

    Args:
        route: Where to.
        request: The modality's A-ASSOCIATE-RQ.
        limits: Ours.

    Raises:
        UpstreamRejectsError, UpstreamSilentError: As said.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(route.answer_s_max):
            return await _associate(sock, route, request, limits)
    except (OSError, PduError, ViolationError, ConnectionEndedError) as error:
        # TimeoutError is an OSError.
        sock.close()
        raise UpstreamSilentError(f"{type(error).__name__}: {error}") from error
    except BaseException:
        sock.close()
        raise


async def _associate(sock: socket.socket, route: Route, request: bytes | bytearray, limits: LimitSet) -> Upstream:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", route.port))
    await loop.sock_sendall(sock, request)
    stream = PduStream(sock, limits, _READ_BYTES)
    answer = await stream.read_one(_ANSWERS, limits.associate_rq_bytes_max)
    if answer[0] == PduType.ASSOCIATE_RJ:
        raise UpstreamRejectsError(bytes(answer))
    return Upstream(stream, answer, route, limits)
