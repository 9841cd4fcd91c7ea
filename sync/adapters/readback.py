"""Proof over DICOMweb: QIDO-RS says whether instances are there, WADO-RS gives each back, the bytes are compared."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import httpx

from appliance.domain.failure import FailureKind
from sync.adapters.base import Attempt, Checked, SendItem
from sync.adapters.failures import Failed, failure
from sync.adapters.multipart import MultipartError, OnePart, Sink, boundary_of
from sync.adapters.proof import EXPANSION_MAX, Reading, compared, prove
from sync.adapters.stow import first_value
from sync.adapters.web import WebSession, media_type

SOP_INSTANCE_UID = "00080018"
QIDO_BYTES_PER_INSTANCE = 4 * 1024
SMALL_BYTES = 64 * 1024 * 1024
ACCEPT_WADO = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON_TYPES = ("application/dicom+json", "application/json")


def verify_by_reading(
    web: WebSession,
    items: Sequence[SendItem],
    work_dir: Path,
    attempt: Attempt,
    on_result: Callable[[Checked], None],
) -> None:
    """Report each item; stop between two items when the attempt is cancelled.

    Raises:
        Failed: For what concerns the whole link; items not reported by then are unanswered.
    """
    for study, group in groupby(items, key=lambda item: item.study_instance_uid):
        waiting = list(group)
        present = _present(web, study, [item.sop_instance_uid for item in waiting])
        for item in waiting:
            if attempt.cancel.is_set():
                return
            on_result(_checked(web, item, work_dir, attempt, is_present=item.sop_instance_uid in present))


def query(web: WebSession, path: str, params: dict[str, str], size_bytes: int) -> list[object] | None:
    """A QIDO-RS search; ``None`` when the service says there is nothing under this path.

    Raises:
        Failed: ``not-dicomweb`` when the answer is not DICOM JSON, and as ``WebSession.exchange``.
    """
    headers = {"Accept": "application/dicom+json"}
    with web.exchange("GET", path, headers, params=params, size_bytes=size_bytes) as response:
        if response.status_code == 204:
            return []
        if response.status_code == 404 and media_type(response) != "text/html":
            return None
        if response.status_code >= 500:
            raise Failed(failure("http-500"))
        if response.status_code != 200 or media_type(response) not in _JSON_TYPES:
            raise Failed(failure("not-dicomweb"))
        body = web.read_all(response)
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Failed(failure("not-dicomweb")) from error
    if not isinstance(answer, list):
        raise Failed(failure("not-dicomweb"))
    return answer


def _present(web: WebSession, study: str, uids: Sequence[str]) -> set[str]:
    """Which instances of a study the destination lists; asked again one by one if it does not know lists of UIDs."""
    path = f"/studies/{quote(study, safe='')}/instances"

    def listed(wanted: Iterable[str], count: int) -> set[str]:
        answer = query(web, path, {"SOPInstanceUID": ",".join(wanted)}, count * QIDO_BYTES_PER_INSTANCE)
        return {str(first_value(entry, SOP_INSTANCE_UID)).strip(" \0") for entry in answer or []}

    present = listed(uids, len(uids))
    if len(uids) > 1:
        for uid in uids:
            if uid not in present and uid in listed([uid], 1):
                present.add(uid)
    return present


def _checked(web: WebSession, item: SendItem, work_dir: Path, attempt: Attempt, *, is_present: bool) -> Checked:
    try:
        return prove(item, "wado", lambda: _read(web, item, work_dir, attempt) if is_present else None)
    except Failed as failed:
        if failed.failure.kind is FailureKind.LINK:
            raise
        return Checked(item.item_id, failure=failed.failure)


def _read(web: WebSession, item: SendItem, work_dir: Path, attempt: Attempt) -> Reading | None:
    """Retrieve one instance and compare it; ``None`` when it is not there."""
    with tempfile.NamedTemporaryFile(dir=work_dir, prefix="readback-", suffix=".dcm") as file:
        read_sha256 = _retrieve(web, item, file, attempt)
        if read_sha256 is None:
            return None
        file.flush()
        return Reading(compared(item, Path(file.name)), read_sha256, file.tell())


def _retrieve(web: WebSession, item: SendItem, sink: Sink, attempt: Attempt) -> str | None:
    uids = (item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
    path = "/studies/{}/series/{}/instances/{}".format(*(quote(uid, safe="") for uid in uids))
    with web.exchange("GET", path, {"Accept": ACCEPT_WADO}, size_bytes=item.size_bytes) as response:
        if response.status_code in (404, 410):
            return None
        if response.status_code != 200:
            raise Failed(failure("http-500" if response.status_code >= 500 else "http-4xx"))
        return _store(web, response, item, sink, attempt)


def _store(web: WebSession, response: httpx.Response, item: SendItem, sink: Sink, attempt: Attempt) -> str:
    boundary = boundary_of(response.headers.get("Content-Type", ""))
    if boundary is None and media_type(response) != "application/dicom":
        raise Failed(failure("answer-unusable"))
    hashing = _HashingSink(sink, max(SMALL_BYTES, EXPANSION_MAX * item.size_bytes))
    part = OnePart(boundary, hashing) if boundary else None
    try:
        for piece in web.read(response):
            if part:
                part.feed(piece)
            else:
                hashing.write(piece)
            attempt.on_progress(item.item_id, hashing.size_bytes)
    except MultipartError as error:
        raise Failed(failure("answer-unusable")) from error
    if part and not part.complete:
        raise Failed(failure("answer-unusable"))
    return hashing.sha256.hexdigest()


class _HashingSink:
    """Writes to a file, hashes what it writes and stops at a bound: an endless answer must not fill the disk."""

    def __init__(self, sink: Sink, bytes_max: int) -> None:
        self._sink = sink
        self._bytes_max = bytes_max
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes, /) -> int:
        self.size_bytes += len(data)
        if self.size_bytes > self._bytes_max:
            raise Failed(failure("answer-too-large"))
        self.sha256.update(data)
        return self._sink.write(data)
