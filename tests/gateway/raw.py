"""Requests written by hand onto a socket, so that a test can stop in the middle of one."""

from __future__ import annotations

import socket
from types import TracebackType

import h11

from tests.gateway.rig import Unit


class RawAppend:
    """One append whose body goes out piece by piece."""

    def __init__(self, unit: Unit, port: int, sha256: str, offset: int, content_bytes: int, **headers: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        fields = {
            "Host": "localhost",
            "Upload-Offset": str(offset),
            "Upload-Complete": "?0",
            "Content-Length": str(content_bytes),
            **unit.auth,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self._h11 = h11.Connection(h11.CLIENT)
        request = h11.Request(method="PATCH", target=f"/v1/parts/{sha256}", headers=list(fields.items()))
        self.socket.sendall(self._h11.send(request) or b"")

    def __enter__(self) -> RawAppend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(self._h11.send(h11.Data(data=data)) or b"")

    def reset(self) -> None:
        """Break the connection without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def answer(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer."""
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                self._h11.receive_data(self.socket.recv(65536))
            elif isinstance(event, h11.Response):
                return event.status_code, {name.decode(): value.decode() for name, value in event.headers}
            else:
                assert isinstance(event, h11.InformationalResponse), event
