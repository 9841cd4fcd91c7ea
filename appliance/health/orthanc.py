"""Is Orthanc there, of a version that was tested, and is our door in it? Each question waits three seconds at most."""

from __future__ import annotations

import http.client
import json
from base64 import b64encode
from collections.abc import Iterable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from appliance.health.check import Level, Result, Subject
from appliance.orthanc.process import VERSIONS_TESTED
from appliance.orthanc.settings import OrthancAccess, read_access

ANSWER_S_MAX = 3.0
ANSWER_BYTES_MAX = 1024 * 1024
_SILENT_HINT = "The supervisor starts it again by itself; see orthanc/orthanc.log in the data folder."


def check(subject: Subject) -> Iterable[Result]:
    """One answer for Orthanc, one for the door."""
    try:
        access = read_access(subject.config.run_dir)
    except (OSError, ValueError, KeyError):
        sentence = "Orthanc was not started in this data folder."
        return [Result("orthanc", Level.WARNING, sentence, "Start the unit with 'qafila unit run'.")]
    try:
        version = str(_ask(access, "/system").get("Version", ""))
    except (OSError, http.client.HTTPException, ValueError) as error:
        sentence = f"Orthanc does not answer ({type(error).__name__}): nothing can be received."
        return [Result("orthanc", Level.ALARM, sentence, _SILENT_HINT)]
    return [_version(version), _door(access)]


def _version(version: str) -> Result:
    if version in VERSIONS_TESTED:
        return Result("orthanc", Level.FINE, f"Orthanc {version} answers.", "", {"version": version})
    sentence = f"Orthanc {version or '(unknown version)'} answers, but this release is tested with others."
    hint = f"Install one of {', '.join(VERSIONS_TESTED)}."
    return Result("orthanc", Level.WARNING, sentence, hint, {"version": version})


def _door(access: OrthancAccess) -> Result:
    try:
        facts = _ask(access, "/qafila/door")
    except (OSError, http.client.HTTPException, ValueError):
        sentence = "Orthanc runs without our door: what it receives is not protected against power cuts."
        return Result("door", Level.ALARM, sentence, "Stop sending and restart the unit; check orthanc.python_plugin.")
    last_error = str(facts.get("last_error", ""))
    counts = facts.get("counts")
    numbers: dict[str, int | float | str] = dict(counts) if isinstance(counts, dict) else {}
    if last_error:
        return Result("door", Level.NOTICE, f"The door answers; it last refused for: {last_error}", "", numbers)
    return Result("door", Level.FINE, "The door answers.", "", numbers)


def _ask(access: OrthancAccess, path: str) -> dict[str, Any]:
    """One JSON object from Orthanc's REST API on loopback."""
    address = urlsplit(access.url)
    token = b64encode(f"{access.username}:{access.password}".encode()).decode("ascii")
    with closing(http.client.HTTPConnection(address.netloc, timeout=ANSWER_S_MAX)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        body = answer.read(ANSWER_BYTES_MAX)
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"status {answer.status}")
    facts = json.loads(body)
    if not isinstance(facts, dict):
        raise ValueError("no object")
    return facts
