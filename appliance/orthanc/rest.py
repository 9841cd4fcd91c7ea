"""Questions to our own Orthanc over loopback REST; every answer is bounded in time, and Orthanc being down is a value.

Address and password are made anew at every start of Orthanc, so they are read from ``run/orthanc.json`` each time.
"""

from __future__ import annotations

import http.client
import json
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from appliance.orthanc.feed import ChangeRow, parse_rows

ANSWER_S_MAX = 30.0
RENDER_S_MAX = 5.0
"""A person looks at an empty preview meanwhile."""
POST_S_MAX = 300.0
"""An object of 2 GiB on a slow card; the instance is kept already, so nobody waits for it."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024


class OrthancDown(Exception):
    """There is no answer: it is not running, starting, or stuck; everything may be asked again later."""


class OrthancRefused(Exception):
    """Orthanc answered, and the answer is no."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"Orthanc answered {status} to {what}")
        self.status = status


class OrthancRest:
    """The few calls that intake and recovery need; each opens its own connection, so any thread may call."""

    def __init__(self, access_file: Path) -> None:
        self._access_file = access_file

    def version(self) -> str:
        """Orthanc's version.

        Raises:
            OrthancDown, OrthancRefused: As every call here.
        """
        return str(self._json("GET", "/system").get("Version", ""))

    def changes(self, since_seq: int, limit_count: int) -> tuple[ChangeRow, ...]:
        """Rows of the change log after ``since_seq``, oldest first."""
        answer = self._json("GET", f"/changes?since={since_seq}&limit={limit_count}")
        try:
            return parse_rows(answer.get("Changes"))
        except ValueError as error:
            raise OrthancDown(str(error)) from error

    def blob_uuid(self, orthanc_id: str) -> str | None:
        """Which blob the index holds for an instance; ``None`` when it knows no such instance."""
        try:
            answer = self._json("GET", f"/instances/{quote(orthanc_id)}/attachments/dicom/info")
        except OrthancRefused as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise
        return str(answer.get("Uuid", ""))

    def tags_of(self, sop_instance_uid: str, blob_uuid: str) -> dict[str, Any] | None:
        """Orthanc's own reading of a blob: values by keyword, with ``TransferSyntaxUID``; ``None`` when not indexed."""
        found = self._call("POST", "/tools/lookup", sop_instance_uid.encode("ascii"))
        for row in _decoded(found):
            if row.get("Type") == "Instance" and self.blob_uuid(str(row["ID"])) == blob_uuid:
                path = f"/instances/{quote(str(row['ID']))}"
                syntax = self._call("GET", f"{path}/metadata/TransferSyntax").decode("ascii", "replace")
                tags = self._json("GET", f"{path}/simplified-tags")
                return {**tags, "TransferSyntaxUID": syntax, "OrthancPatientID": tags.get("PatientID", "")}
        return None

    def post(self, path: Path) -> str:
        """Hand a stored file to Orthanc again; its Orthanc identifier.

        Raises:
            OSError: If the file cannot be read.
        """
        with path.open("rb") as file:
            answer = _decoded(self._call("POST", "/instances", file, POST_S_MAX, path.stat().st_size))
        return str(answer.get("ID", "")) if isinstance(answer, dict) else ""

    def orthanc_id(self, sop_instance_uid: str) -> str:
        """Of an instance in the index; empty when it knows none."""
        found = _decoded(self._call("POST", "/tools/lookup", sop_instance_uid.encode("ascii"), RENDER_S_MAX))
        return next((str(row["ID"]) for row in found if row.get("Type") == "Instance"), "")

    def frame_count(self, orthanc_id: str) -> int:
        """How many frames an instance has."""
        return len(_decoded(self._call("GET", f"/instances/{quote(orthanc_id)}/frames", answer_s_max=RENDER_S_MAX)))

    def rendered(self, orthanc_id: str, frame_number: int, width_px: int, height_px: int) -> bytes:
        """Frame ``frame_number`` (from 1), windowed and made to fit into so many pixels, as a PAM file."""
        size = f"width={width_px}&height={height_px}&smooth=true"
        path = f"/instances/{quote(orthanc_id)}/frames/{frame_number - 1}/rendered?{size}"
        return self._call("GET", path, answer_s_max=RENDER_S_MAX, accept="image/x-portable-arbitrarymap")

    def delete(self, orthanc_id: str) -> None:
        """Take an instance out of the index; the door decides about its blob. One that is gone already is fine."""
        try:
            self._call("DELETE", f"/instances/{quote(orthanc_id)}")
        except OrthancRefused as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def _json(self, method: str, path: str) -> dict[str, Any]:
        answer = _decoded(self._call(method, path))
        if not isinstance(answer, dict):
            raise OrthancDown(f"the answer to {path} has another shape")
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        answer_s_max: float = ANSWER_S_MAX,
        body_bytes: int | None = None,
        accept: str = "",
    ) -> bytes:
        address, headers = self._access()
        if accept:
            headers["Accept"] = accept
        if body_bytes is not None:
            headers["Content-Length"] = str(body_bytes)
        try:
            with closing(http.client.HTTPConnection(address, timeout=answer_s_max)) as connection:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                data = answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise OrthancDown(f"no answer to {method} {path.partition('?')[0]}: {type(error).__name__}") from error
        if answer.status != http.client.OK:
            raise OrthancRefused(answer.status, f"{method} {path}")
        return data

    def _access(self) -> tuple[str, dict[str, str]]:
        try:
            access = json.loads(self._access_file.read_text(encoding="utf-8"))
            token = b64encode(f"{access['username']}:{access['password']}".encode()).decode("ascii")
            return urlsplit(access["url"]).netloc, {"Authorization": f"Basic {token}"}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OrthancDown("it was not started yet: run/orthanc.json is not there") from error


def _decoded(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError as error:
        raise OrthancDown("the answer is no JSON") from error
