"""C-STORE of a batch: the stored transfer syntax first, then an uncompressed one that the peer takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from appliance.domain.failure import Failure, FailureKind
from appliance.logging import log
from sync.adapters.association import Context, Conversation
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.codec import NO_ROOM, CodecError, transcode
from sync.adapters.compare import compare
from sync.adapters.failures import Failed, failure, is_storage_warning, storage_failure
from sync.adapters.services import VERIFICATION
from sync.wire.digest import DigestError, read_meta

FALLBACKS = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
BATCH_COUNT_MAX = 40
"""At most 128 presentation contexts fit into an association (PS3.8 section 9.3.2.2); an item may need three."""


def contexts_for(items: Sequence[SendItem]) -> list[Context]:
    """Each SOP class with its stored syntax and the fallbacks, one context each, so that each is answered by itself."""
    wanted: dict[Context, None] = {(VERIFICATION, FALLBACKS[1]): None}
    for item in items:
        for syntax in (item.transfer_syntax_uid, *FALLBACKS):
            wanted.setdefault((item.sop_class_uid, syntax))
    return list(wanted)


def store_items(
    talk: Conversation,
    items: Sequence[SendItem],
    work_dir: Path,
    attempt: Attempt,
    on_result: Callable[[Sent], None],
) -> None:
    """Send and report item by item; stop between two when the attempt is cancelled.

    Raises:
        Failed: With a link failure when the association is gone; the item in flight is then not reported.
    """
    for item in items:
        if attempt.cancel.is_set():
            return
        try:
            with _as_accepted(talk, item, work_dir) as path:
                status = _store(talk, item, path, attempt)
        except Failed as failed:
            if failed.failure.kind is FailureKind.LINK:
                raise
            on_result(Sent(item.item_id, failed.failure))
            continue
        if status != 0x0000 and (is_storage_warning(status) or status == 0x0111):
            log("sync.dimse", "stored with a remark", sop=item.sop_instance_uid, status=f"{status:04x}")
        on_result(Sent(item.item_id, storage_failure(status)))


def _store(talk: Conversation, item: SendItem, path: Path, attempt: Attempt) -> int:
    handed_bytes = 0

    def on_bytes(count: int) -> None:
        nonlocal handed_bytes
        handed_bytes = min(handed_bytes + count, item.size_bytes)
        attempt.on_progress(item.item_id, handed_bytes)

    return talk.store(path, on_bytes)


@contextmanager
def _as_accepted(talk: Conversation, item: SendItem, work_dir: Path) -> Iterator[Path]:
    """The file in a transfer syntax that the peer accepted: the stored one, or a checked copy in another."""
    if (item.sop_class_uid, item.transfer_syntax_uid) in talk.accepted:
        with _with_true_header(item, work_dir) as path:
            yield path
        return
    syntax = next((s for s in FALLBACKS if (item.sop_class_uid, s) in talk.accepted), None)
    if syntax is None:
        refused = item.sop_class_uid in talk.refused_classes
        raise Failed(failure("class-refused" if refused else "syntax-refused"))
    try:
        with TemporaryDirectory(dir=work_dir, prefix="transcoded-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / "copy.dcm"
            transcode(item.path, copy, syntax)
            if not compare(item.path, copy).equal:
                raise CodecError("the copy differs")
            yield copy
    except CodecError as error:
        raise Failed(failure("syntax-refused")) from error
    except OSError as error:
        raise Failed(_disk_failure(error)) from error


@contextmanager
def _with_true_header(item: SendItem, work_dir: Path) -> Iterator[Path]:
    """The file itself, or a copy whose group 0002 names the same UIDs as its data set.

    pynetdicom takes the UIDs of the C-STORE command from group 0002; some files disagree there with themselves, and
    then the peer must refuse (0xA900).
    """
    try:
        with item.path.open("rb") as file:
            offset_bytes = read_meta(file).dataset_offset_bytes
            header = read_file_meta_info(item.path)
            if _uids(header) == (item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax_uid):
                yield item.path
                return
            with NamedTemporaryFile(dir=work_dir, prefix="headed-", suffix=".dcm") as copy:
                uids = (UID(item.sop_class_uid), UID(item.sop_instance_uid), UID(item.transfer_syntax_uid))
                header.MediaStorageSOPClassUID, header.MediaStorageSOPInstanceUID, header.TransferSyntaxUID = uids
                group_2 = DicomBytesIO()
                write_file_meta_info(group_2, header, enforce_standard=True)
                copy.write(bytes(128) + b"DICM" + group_2.getvalue())
                file.seek(offset_bytes)
                shutil.copyfileobj(file, copy, 1 << 20)
                copy.flush()
                yield Path(copy.name)
    except (DigestError, InvalidDicomError) as error:
        raise Failed(failure("file-unreadable")) from error
    except OSError as error:
        raise Failed(_disk_failure(error)) from error


def _disk_failure(error: OSError) -> Failure:
    """A copy that finds no room now is made later; a stored file that cannot be read needs a person."""
    return failure("work-dir" if error.errno in NO_ROOM else "file-unreadable")


def _uids(header: FileMetaDataset) -> tuple[str, str, str]:
    return (
        str(header.get("MediaStorageSOPClassUID", "")),
        str(header.get("MediaStorageSOPInstanceUID", "")),
        str(header.get("TransferSyntaxUID", "")),
    )
