"""Whether a process of the centre answers on its port."""

from __future__ import annotations

import http.client
import ssl

from central.config import Door

ANSWER_S_MAX = 5.0


def answers(door: Door, path: str) -> bool:
    """Whether it is up; its certificate is for others to check, and names another host than this one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(door.bind, door.bind)
    if door.certificate_file:
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, door.port, timeout=ANSWER_S_MAX, context=unchecked
        )
    else:
        connection = http.client.HTTPConnection(host, door.port, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
