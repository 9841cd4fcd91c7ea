"""Makes corrected copies of stored files in a process with bounds, durable before anybody hears of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from appliance.dicom.bounded_child import BoundedChild, ChildError
from appliance.dicom.wanted import Change, Note, Revised
from appliance.orthanc.blobs import PARTIAL_SUFFIX, blob_path, ensure_folder, flush, flush_folder

ANSWER_S_MAX = 600.0
"""A loop of 2 GiB on a slow card: read twice, written once, read back once."""
IDLE_S_MAX = 60.0
MEMORY_BYTES_MAX = 768 * 1024 * 1024


class CopyError(Exception):
    """No corrected copy was made; ``code`` as ``revise.ReviseError`` and ``BoundedChild`` have it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Copy:
    """A durable corrected file that has no name yet under which anybody would find it."""

    def __init__(self, folder: Path, blob_uuid: str, partial: Path, revised: Revised) -> None:
        self.blob_uuid = blob_uuid
        self.revised = revised
        self._path = blob_path(folder, blob_uuid)
        self._partial = partial

    @property
    def partial(self) -> Path:
        """Where its bytes are until ``put_in_place``."""
        return self._partial

    def put_in_place(self) -> None:
        """Give it its name, durably; call it inside the transaction that makes its row.

        Raises:
            OSError: If it cannot be had; then there is no row either.
        """
        self._partial.replace(self._path)
        flush_folder(self._path.parent)

    def discard(self) -> None:
        """It is not wanted; what cannot be removed now is swept later."""
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)


class Reviser:
    """Asks the child; one question at a time, from one thread. A context manager."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is ``appliance.stored.revision_dir``."""
        self._folder = folder
        self._child = BoundedChild("appliance.dicom.revise_worker", (str(MEMORY_BYTES_MAX), str(IDLE_S_MAX)))

    def __enter__(self) -> Reviser:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def copy(self, source: Path, change: Change) -> Copy:
        """A corrected copy of ``source``, durable.

        Raises:
            CopyError: If none could be made.
            OSError: If the disk does not take it.
        """
        return self._made(source, {"change": asdict(change)})

    def note(self, picture: Path, note: Note) -> Copy:
        """A note that pictures of the study of ``picture`` are rejected; raises as ``copy``."""
        return self._made(picture, {"note": asdict(note)})

    def _made(self, source: Path, wanted: Mapping[str, object]) -> Copy:
        blob_uuid = str(uuid.uuid4())
        path = blob_path(self._folder, blob_uuid)
        ensure_folder(self._folder)
        ensure_folder(path.parent)
        partial = path.with_name(path.name + PARTIAL_SUFFIX)
        question = {"source": str(source), "target": str(partial), **wanted}
        try:
            revised = Revised(**self._child.ask(question, ANSWER_S_MAX))
            _flush(partial)
        except (ChildError, OSError) as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, ChildError):
                raise CopyError(error.code, error.reason) from error
            raise
        return Copy(self._folder, blob_uuid, partial, revised)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush(descriptor, "fsync of a corrected copy")
    finally:
        os.close(descriptor)
