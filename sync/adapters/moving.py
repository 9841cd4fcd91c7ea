"""Proof by C-FIND and C-MOVE: the peer sends each instance back to our own listener, the bytes are compared."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pynetdicom.dimse_messages
from pydicom.dataset import Dataset
from pydicom.uid import UID, AllTransferSyntaxes, ImplicitVRLittleEndian
from pynetdicom import _config, evt, register_uid
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

from appliance.domain.failure import FailureKind
from sync.adapters.association import COMMAND_BYTES, Context, Conversation
from sync.adapters.base import Attempt, Checked, SendItem
from sync.adapters.failures import Failed, failure
from sync.adapters.proof import EXPANSION_MAX, Reading, compared, prove
from sync.adapters.services import FIND, MOVE

CONTEXTS: tuple[Context, ...] = ((FIND, str(ImplicitVRLittleEndian)), (MOVE, str(ImplicitVRLittleEndian)))
_STEP_BYTES = 1 << 20


_one_at_a_time = threading.Lock()


@contextmanager
def receiving_into(folder: Path) -> Iterator[None]:
    """Have pynetdicom write what it receives below ``folder``, not into memory; it does not let one choose where.

    The choice is one for the process, so only one read-back by C-MOVE runs at a time, whatever the destination. All
    that came goes at the end: neither pynetdicom, when a data set is cut off, nor we, when the association is, remove
    it.

    Raises:
        Failed: ``work-dir`` when there is no room.
    """
    module = pynetdicom.dimse_messages
    with _one_at_a_time, _folder_in(folder) as received:
        original: Any = module.NamedTemporaryFile  # type: ignore[attr-defined] # an import of theirs
        files: list[Any] = []

        def make(*arguments: Any, **options: Any) -> Any:
            files.append(original(*arguments, dir=received, **options))
            return files[-1]

        module.NamedTemporaryFile = make  # type: ignore[attr-defined] # an import of theirs
        before, _config.STORE_RECV_CHUNKED_DATASET = _config.STORE_RECV_CHUNKED_DATASET, True
        try:
            yield
        finally:
            _config.STORE_RECV_CHUNKED_DATASET = before
            module.NamedTemporaryFile = original  # type: ignore[attr-defined] # an import of theirs
            for file in files:
                file.close()


def _folder_in(folder: Path) -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(dir=folder, prefix="moved-", ignore_cleanup_errors=True)
    except OSError as error:
        raise Failed(failure("work-dir")) from error


class Returned:
    """Instances that came back, by SOP Instance UID; the files belong to whoever takes them."""

    def __init__(self, wanted: Sequence[SendItem]) -> None:
        self._paths: dict[str, Path] = {}
        self._wanted = {item.sop_instance_uid for item in wanted}

    def on_store(self, event: Any) -> int:
        """Handler of C-STORE: keep what was asked for, refuse everything else."""
        uid, path = str(event.request.AffectedSOPInstanceUID), Path(event.dataset_path)
        if uid not in self._wanted or uid in self._paths:
            path.unlink(missing_ok=True)
            return 0x0124
        kept = path.with_suffix(".kept.dcm")
        path.rename(kept)  # pynetdicom removes the file it made when the handler returns
        self._paths[uid] = kept
        return 0x0000

    def take(self, uid: str) -> Path | None:
        """The file of this instance, once."""
        return self._paths.pop(uid, None)


def listener_contexts(items: Sequence[SendItem]) -> list[PresentationContext]:
    """The SOP classes of these items in any transfer syntax; classes that pynetdicom does not know are made known."""
    contexts = []
    for class_uid in sorted({item.sop_class_uid for item in items}):
        if uid_to_service_class(class_uid) is not StorageServiceClass:
            register_uid(UID(class_uid), f"Unknown{class_uid.replace('.', '_')}", StorageServiceClass)
        context = PresentationContext()
        context.abstract_syntax = UID(class_uid)
        context.transfer_syntax = list(AllTransferSyntaxes)
        contexts.append(context)
    return contexts


def listener_bytes(items: Sequence[SendItem]) -> int:
    """About what may come back, for the listener's deadline."""
    return EXPANSION_MAX * sum(item.size_bytes for item in items) + COMMAND_BYTES


def handlers(returned: Returned) -> list[tuple[Any, Callable[[Any], Any]]]:
    """For the listener."""
    return [(evt.EVT_C_STORE, returned.on_store)]


def verify_by_moving(
    talk: Conversation,
    returned: Returned,
    move_ae_title: str,
    items: Sequence[SendItem],
    attempt: Attempt,
    on_result: Callable[[Checked], None],
) -> None:
    """Report each item; stop between two items when the attempt is cancelled.

    Raises:
        Failed: ``service-refused`` when the peer has no C-FIND or C-MOVE, or a link failure.
    """
    if not all(context in talk.accepted for context in CONTEXTS):
        raise Failed(failure("service-refused"))
    for item in items:
        if attempt.cancel.is_set():
            return
        try:
            on_result(prove(item, "move", functools.partial(_read, talk, returned, move_ae_title, item)))
        except Failed as failed:
            if failed.failure.kind is FailureKind.LINK:
                raise
            on_result(Checked(item.item_id, failure=failed.failure))


def _read(talk: Conversation, returned: Returned, move_ae_title: str, item: SendItem) -> Reading | None:
    if not _is_found(talk, item):
        return None
    status = _final_status(
        talk,
        lambda association, message_id: association.send_c_move(_identifier(item), move_ae_title, MOVE, message_id),
        item.size_bytes,
    )[0]
    path = returned.take(item.sop_instance_uid)
    if path is None:
        raise Failed(failure("move-failed"))
    try:
        if status != 0x0000:
            raise Failed(failure("move-failed"))
        return Reading(compared(item, path), _sha256(path), path.stat().st_size)
    finally:
        path.unlink(missing_ok=True)


def _is_found(talk: Conversation, item: SendItem) -> bool:
    status, found = _final_status(
        talk, lambda association, message_id: association.send_c_find(_identifier(item), FIND, message_id)
    )
    if status != 0x0000:
        raise Failed(failure("move-failed"))
    return any(str(entry.get("SOPInstanceUID", "")) == item.sop_instance_uid for entry in found)


def _final_status(
    talk: Conversation, request: Callable[[Any, int], Any], size_bytes: int = 0
) -> tuple[int, list[Dataset]]:
    """Run a C-FIND or C-MOVE to its last response; the identifiers of the pending ones beside its status."""

    def run(association: Any, message_id: int) -> tuple[int, list[Dataset]]:
        identifiers: list[Dataset] = []
        status = 0xFF00
        for answer, identifier in request(association, message_id):
            status = talk.status_of(answer)
            talk.guard.begin(size_bytes + COMMAND_BYTES)
            if status in (0xFF00, 0xFF01) and identifier is not None and len(identifiers) < 100:
                identifiers.append(identifier)
        return status, identifiers

    status, identifiers = talk.call(run, size_bytes + COMMAND_BYTES)
    return status, identifiers


def _identifier(item: SendItem) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = item.study_instance_uid
    identifier.SeriesInstanceUID = item.series_instance_uid
    identifier.SOPInstanceUID = item.sop_instance_uid
    return identifier


def _sha256(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while step := file.read(_STEP_BYTES):
            hashed.update(step)
    return hashed.hexdigest()
