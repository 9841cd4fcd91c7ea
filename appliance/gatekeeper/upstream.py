"""One association with Orthanc, opened with the modality's own request and given up without ceremony."""

from __future__ import annotations

import asyncio
import socket

from appliance.domain.limits import KIB, LimitSet
from appliance.gatekeeper import pdu
from appliance.gatekeeper.pdu import AbortReason, AssociateAccept, PduError, PduType
from appliance.gatekeeper.stream import ConnectionEndedError, PduStream
from appliance.gatekeeper.violations import ViolationError

_ANSWERS = frozenset((PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ))
_READ_BYTES = 16 * KIB
"""Orthanc sends responses of some hundred bytes."""


class OrthancSilentError(Exception):
    """Orthanc does not listen, does not answer in time, or answers what is no association."""


class OrthancRejectsError(Exception):
    """Orthanc answers A-ASSOCIATE-RJ; ``pdu`` is its answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("Orthanc rejects the association")
        self.pdu = answer


class Upstream:
    """An accepted association; whoever opened it closes it."""

    def __init__(self, stream: PduStream, answer: bytearray, limits: LimitSet) -> None:
        self.stream = stream
        self.answer = answer
        """Orthanc's A-ASSOCIATE-AC, with its maximum length clamped to ours."""
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


async def open_upstream(port: int, request: bytes | bytearray, limits: LimitSet) -> Upstream:
    """Associate with Orthanc on loopback within ``orthanc_answer_s_max``.

    Args:
        port: Orthanc's DICOM port.
        request: The modality's A-ASSOCIATE-RQ.
        limits: Ours.

    Raises:
        OrthancRejectsError, OrthancSilentError: As said.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(limits.orthanc_answer_s_max):
            return await _associate(sock, port, request, limits)
    except (OSError, PduError, ViolationError, ConnectionEndedError) as error:
        # TimeoutError is an OSError.
        sock.close()
        raise OrthancSilentError(f"{type(error).__name__}: {error}") from error
    except BaseException:
        sock.close()
        raise


async def _associate(sock: socket.socket, port: int, request: bytes | bytearray, limits: LimitSet) -> Upstream:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, request)
    stream = PduStream(sock, limits, _READ_BYTES)
    answer = await stream.read_one(_ANSWERS, limits.associate_rq_bytes_max)
    if answer[0] == PduType.ASSOCIATE_RJ:
        raise OrthancRejectsError(bytes(answer))
    return Upstream(stream, answer, limits)
