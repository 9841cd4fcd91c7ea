"""HTTP to a server inside a namespace, past the emulated link: how the bench looks at what has arrived."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any

from bench.link.namespaces import Namespace

TIMEOUT_S = 30.0


class NamespaceConnection(http.client.HTTPConnection):
    """A connection whose socket begins inside the namespace, on its loopback."""

    def __init__(self, namespace: Namespace, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=TIMEOUT_S)
        self._namespace = namespace

    def connect(self) -> None:
        self.sock = self._namespace.connect(self.port, timeout_s=TIMEOUT_S)


class Rest:
    """JSON calls to one server inside a namespace."""

    def __init__(self, namespace: Namespace, port: int, login: tuple[str, str] | None = None) -> None:
        self._namespace = namespace
        self._port = port
        self._headers = {}
        if login is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()

    def fetch(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of an answer.

        Raises:
            OSError: If there is no answer, or it is not 2xx.
        """
        connection = NamespaceConnection(self._namespace, self._port)
        try:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise OSError(f"{method} {path} answered {answer.status}: {content[:200]!r}")
        return content

    def get(self, path: str) -> Any:
        """Decoded JSON. Raises ``OSError`` as ``fetch`` does."""
        return json.loads(self.fetch("GET", path))

    def post(self, path: str, tree: object) -> Any:
        """Decoded JSON of the answer to JSON. Raises ``OSError`` as ``fetch`` does."""
        return json.loads(self.fetch("POST", path, json.dumps(tree).encode()))
