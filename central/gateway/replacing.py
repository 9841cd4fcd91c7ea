"""Taking out of the PACS what a correction replaces, so that the corrected file can take its place.

Only exactly a replaced content is taken out: by the SHA-256 of the file that the PACS gives back, or by what it showed
when it proved to hold it. Before it goes, a durable copy of it is kept here until the correction is proved; the
correction itself is made of parts that stay as long as it is not. So whatever is killed at whatever moment, both are
somewhere, and the next attempt goes on.

Orthanc is asked through its REST interface, for DICOMweb knows no deletion. Its own identifier of an instance is made
of the Patient ID too, so a correction of that would otherwise stand beside the earlier picture.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from appliance.clock import Clock
from appliance.domain.limits import LimitSet
from appliance.domain.values import Evidence
from appliance.durable import sync_folder
from appliance.logging import log
from sync.adapters.base import SendItem
from sync.adapters.compare import compare, compare_again
from sync.adapters.failures import Failed, failure
from sync.adapters.web import WebAddress, WebSession

SMALL_BYTES = 4096
STEP_BYTES = 1024 * 1024
EXPANSION_MAX = 32


class Replacer:
    """Blocking; safe to call from several threads for different instances."""

    def __init__(self, address: WebAddress, keep_dir: Path, limits: LimitSet, clock: Clock) -> None:
        self._address = address
        self._keep_dir = keep_dir
        self._limits = limits
        self._clock = clock

    def make_room(self, item: SendItem, evidences: Sequence[Evidence]) -> None:
        """Take what ``item`` replaces out of the PACS; nothing happens when it holds nothing, or the item already.

        Args:
            item: A correction, rebuilt; ``replaces`` names what it may take the place of.
            evidences: What the PACS showed of those contents when it proved to hold them.

        Raises:
            Failed: ``digest-mismatch`` when it holds anything else under this UID: nothing was taken out then. Others
                when it could not be asked, or no copy could be kept.
        """
        try:
            with WebSession(self._address, self._limits, self._clock) as web:
                old = [
                    orthanc_id
                    for orthanc_id in self._found(web, item.sop_instance_uid)
                    if self._is_replaced(web, orthanc_id, item, evidences)
                ]
                for orthanc_id in old:
                    self._delete(web, orthanc_id)
                    log("gateway.replacing", "earlier content taken out", sop=item.sop_instance_uid)
        except OSError as error:
            raise Failed(failure("work-dir")) from error

    def put_back(self, item: SendItem) -> None:
        """The PACS does not take the correction: what it held before goes there again.

        Raises:
            Failed: If it could not be asked; the copy stays here.
        """
        for path in self._copies(item.sop_instance_uid):
            size_bytes = path.stat().st_size
            with path.open("rb") as file, WebSession(self._address, self._limits, self._clock) as web:
                headers = {"Content-Type": "application/dicom", "Content-Length": str(size_bytes)}
                with web.exchange(
                    "POST", "/instances", headers, content=_pieces(file), size_bytes=size_bytes
                ) as answer:
                    if answer.status_code != 200:
                        raise Failed(failure("http-500"))
            path.unlink()
            log("gateway.replacing", "earlier content put back", sop=item.sop_instance_uid)

    def settled(self, item: SendItem) -> None:
        """The correction is proved: the copies of what it replaced are not needed any more."""
        for path in self._copies(item.sop_instance_uid):
            path.unlink(missing_ok=True)

    # --- Orthanc ---------------------------------------------------------------------------------------------------

    def _found(self, web: WebSession, uid: str) -> list[str]:
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(uid))}
        content = iter([uid.encode("ascii")])
        with web.exchange("POST", "/tools/lookup", headers, content=content, size_bytes=SMALL_BYTES) as answer:
            if answer.status_code != 200:
                raise Failed(failure("http-500"))
            body = web.read_all(answer)
        try:
            return [str(row["ID"]) for row in json.loads(body) if row["Type"] == "Instance"]
        except (ValueError, TypeError, KeyError) as error:
            raise Failed(failure("answer-unusable")) from error

    def _is_replaced(self, web: WebSession, orthanc_id: str, item: SendItem, evidences: Sequence[Evidence]) -> bool:
        """Whether the PACS's file is one that the item replaces, then with a copy of it here; the item itself is not.

        Raises:
            Failed: ``digest-mismatch`` when it is neither.
        """
        with self._fetched(web, orthanc_id, item) as (path, sha256):
            if sha256 in item.replaces or any(compare_again(evidence, path).equal for evidence in evidences):
                self._keep(path, item.sop_instance_uid, orthanc_id)
                return True
            if compare(item.path, path).equal:
                return False
        raise Failed(failure("digest-mismatch"))

    @contextmanager
    def _fetched(self, web: WebSession, orthanc_id: str, item: SendItem) -> Iterator[tuple[Path, str]]:
        path = item.path.with_name(f"held-{orthanc_id}.dcm")
        bytes_max = EXPANSION_MAX * max(item.size_bytes, STEP_BYTES)
        digest, size_bytes = hashlib.sha256(), 0
        try:
            with (
                path.open("wb") as file,
                web.exchange("GET", f"/instances/{orthanc_id}/file", {}, size_bytes=item.size_bytes) as answer,
            ):
                if answer.status_code != 200:
                    raise Failed(failure("http-500"))
                for piece in web.read(answer):
                    size_bytes += len(piece)
                    if size_bytes > bytes_max:
                        raise Failed(failure("answer-too-large"))
                    digest.update(piece)
                    file.write(piece)
            yield path, digest.hexdigest()
        finally:
            path.unlink(missing_ok=True)

    def _delete(self, web: WebSession, orthanc_id: str) -> None:
        with web.exchange("DELETE", f"/instances/{orthanc_id}", {}, size_bytes=SMALL_BYTES) as answer:
            if answer.status_code not in (200, 404):
                raise Failed(failure("http-500"))
            web.read_all(answer)

    # --- copies ----------------------------------------------------------------------------------------------------

    def _keep(self, path: Path, uid: str, orthanc_id: str) -> None:
        """A durable copy; an older one of the same file is as good and is written anew."""
        self._keep_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._keep_dir / f"{_stem(uid)}-{orthanc_id}.part"
        with path.open("rb") as source, partial.open("wb") as target:
            for piece in _pieces(source):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(partial.with_suffix(".dcm"))
        sync_folder(self._keep_dir)

    def _copies(self, uid: str) -> list[Path]:
        return sorted(self._keep_dir.glob(f"{_stem(uid)}-*.dcm"))


def _stem(uid: str) -> str:
    """A file name that no UID can lead astray."""
    return hashlib.sha256(uid.encode("ascii")).hexdigest()[:32]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(STEP_BYTES):
        yield piece
