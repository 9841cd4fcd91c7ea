"""Every DICOM file at hand as a modality would send it: its own data set, byte for byte, under its own transfer syntax.

C-STORE carries a data set without file meta information, so that part is made here. Several files of pydicom's corpus
are one image in many encodings under one SOP Instance UID, which a unit rightly refuses as conflicts; each after the
first gets a UID of its own, of the same length, put in place of the old one.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dsutils import split_dataset

from tests.support.files import data_dir

PYDICOM_DATA = Path(pydicom.__file__).parent / "data"
_NO_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".dump", ".icc", ".gz"}
_SOP_INSTANCE_UID = {False: b"\x08\x00\x18\x00", True: b"\x00\x08\x00\x18"}
"""The tag by whether the byte order is big endian."""
_UID_AS_UNKNOWN = b"\x08\x00\x18\x00UN"


@dataclass(frozen=True, slots=True)
class Sendable:
    """One object as its sender has it: ``path`` is a Part 10 file whose data set is that of the corpus."""

    name: str
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    fault: str
    """What the standard forbids and the unit refuses; empty for an object that must get in."""


def corpus_files() -> dict[str, Path]:
    """pydicom's shipped files and the shared images, if they are here, by name; nothing is downloaded."""
    shipped = sorted(path for path in PYDICOM_DATA.rglob("*") if path.is_file() and path.suffix not in _NO_DICOM)
    files = {str(path.relative_to(PYDICOM_DATA)): path for path in shipped}
    folder = data_dir()
    return files | ({path.name: path for path in sorted(folder.glob("*.dcm"))} if folder else {})


def sendable(files: dict[str, Path], folder: Path) -> tuple[list[Sendable], dict[str, str]]:
    """What can be sent, written below ``folder``, and by name why the rest cannot: C-STORE has to name both SOP UIDs
    (PS3.7 table 9.3-1).
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    found: list[Sendable] = []
    unsendable: dict[str, str] = {}
    for number, (name, path) in enumerate(files.items()):
        header = _header(path)
        lacking = [key for key in ("SOPClassUID", "SOPInstanceUID") if not header.get(key)]
        if lacking:
            unsendable[name] = f"names no {' and no '.join(lacking)}"
            continue
        found.append(_written(name, path, header, folder / f"{number}.dcm", taken))
        taken.add(found[-1].sop_instance_uid)
    return found, unsendable


def c_store(item: Sendable, port: int, *, calling: str = "XRAY", called: str = "QAFILA") -> int | None:
    """The status of one C-STORE over an association of its own; ``None`` when that was aborted or refused.

    The file's data set goes as it is: ``pynetdicom._config.STORE_SEND_CHUNKED_DATASET`` has to be set.
    """
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(item.sop_class_uid, item.transfer_syntax_uid)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return None
    try:
        answer = association.send_c_store(item.path)
        return int(answer.Status) if "Status" in answer else None
    except ValueError:  # the context was not accepted
        return None
    finally:
        if association.is_established:
            association.release()


def _header(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, stop_before_pixels=True, force=True)


def _written(name: str, path: Path, header: Dataset, target: Path, taken: set[str]) -> Sendable:
    syntax, body = _syntax_and_body(path, header)
    uid = str(header.SOPInstanceUID)
    if uid in taken:
        body, uid = _renamed(body, uid, taken, is_big=syntax == ExplicitVRBigEndian)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = header.SOPClassUID, UID(uid)
    meta.TransferSyntaxUID = UID(syntax)
    with target.open("wb") as file:
        pydicom.dcmwrite(file, _only(meta), enforce_file_format=True)
        file.write(body)
    return Sendable(name, target, str(header.SOPClassUID), uid, syntax, _fault(name, header, syntax, body))


def _fault(name: str, header: Dataset, syntax: str, body: bytes) -> str:
    """The rules for refusals, told from the file with pydicom and zlib alone."""
    uid = UID(syntax)
    absent = [key for key in ("StudyInstanceUID", "SeriesInstanceUID") if not header.get(key)]
    if absent:
        return f"has no {absent[0]}"  # PS3.3 table A.1-1
    if not header.SOPInstanceUID.is_valid:
        return "its SOP Instance UID is none"  # PS3.5 section 9.1
    if "truncated" in name:
        return "is cut off, as the corpus itself says"
    if not (uid.is_implicit_VR or uid.is_deflated or body[4:6].isalpha()):
        return "is written without VR under a transfer syntax with VR"  # PS3.5 annex A.4
    if uid.is_deflated and len(_behind_deflated(body)) > 1:
        return "has more than a pad byte behind the deflate stream"  # PS3.5 annex A.5
    if _UID_AS_UNKNOWN in body:
        return "writes its SOP Instance UID as UN"  # any Orthanc refuses it, with or without us
    return ""


def _behind_deflated(body: bytes) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    stream.decompress(body)
    return stream.unused_data


def _only(meta: FileMetaDataset) -> Dataset:
    """A data set without elements, so that only preamble and group 0002 are written."""
    dataset = Dataset()
    dataset.file_meta = meta
    return dataset


def _syntax_and_body(path: Path, header: Dataset) -> tuple[str, bytes]:
    raw = path.read_bytes()
    if raw[128:132] == b"DICM":
        meta, offset = split_dataset(path)
        # A deflated data set gets its pad byte when it is sent (PS3.5 annex A.5), if not before.
        pad = b"\0" * (len(raw) - offset & 1) if meta.TransferSyntaxUID.is_deflated else b""
        return str(meta.TransferSyntaxUID), raw[offset:] + pad
    is_implicit, is_little = header.original_encoding
    if is_implicit:
        return str(ImplicitVRLittleEndian), raw
    return str(ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian), raw


def _renamed(body: bytes, uid: str, taken: Iterable[str], *, is_big: bool) -> tuple[bytes, str]:
    """The data set under another SOP Instance UID of the same length."""
    component = max(re.finditer(r"\d+", uid), key=lambda found: len(found[0]))
    free = (f"{uid[: component.end() - 3]}{number:03d}{uid[component.end() :]}" for number in range(1000))
    other = next(candidate for candidate in free if candidate not in taken)
    at = body.index(uid.encode("ascii"), body.index(_SOP_INSTANCE_UID[is_big]))
    return body[:at] + other.encode("ascii") + body[at + len(uid) :], other
