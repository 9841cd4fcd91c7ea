"""A corrected copy of a Part 10 file: other attributes, what was there before kept inside, the same pixels bit for bit.

Only the head of the file is written anew; everything from the pixel data on is copied as bytes, so no codec is in the
way and memory does not grow with a loop. The copy is then read back and every other element compared with the original:
a file of which that cannot be shown is not used. Bytes of strangers are parsed here, so this runs in a process of its
own (``revise_worker``), asked by ``Reviser``.

Previous values are kept in the Original Attributes Sequence (0400,0561), PS3.3 C.12.1.1.9.
"""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from pydicom import dcmread
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from appliance.dicom.character_sets import suspect_encoding
from appliance.dicom.structure import DEFLATED_UID
from appliance.dicom.wanted import CORRECTABLE, NEW_UIDS, Change, Revised

COPY_BYTES = 1024 * 1024
OF_ANOTHER_ORDER = ("RequestAttributesSequence",)
"""What a copy for another patient does not take along, but as a previous value: it names the first one's order."""
_UTF_8 = "ISO_IR 192"
_CHARACTER_SET, _ORIGINALS = Tag("SpecificCharacterSet"), Tag("OriginalAttributesSequence")
_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


class ReviseError(Exception):
    """No corrected copy could be made; nothing is left behind.

    Attributes:
        code: ``unreadable``, ``character-set`` (a new text cannot be written beside the old ones), ``not-correctable``
            (an attribute that is not corrected), ``changed-more`` (the copy differs in something else), or what
            ``BoundedChild`` says.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def revise(source: BinaryIO, target: BinaryIO, change: Change) -> Revised:
    """Write a corrected copy of ``source`` to ``target``, which is readable too and empty; not flushed to the disk.

    Raises:
        ReviseError: If none could be made.
        Exception: Whatever pydicom raises on bytes it cannot read.
    """
    wanted = {**change.values, **change.new_uids}
    if unknown := set(change.values) - set(CORRECTABLE):
        raise ReviseError("not-correctable", ", ".join(sorted(unknown)))
    if change.new_uids and set(change.new_uids) != set(NEW_UIDS):
        raise ReviseError("not-correctable", "a copy needs three UIDs of its own")
    original, pixels_offset = _head(source)
    is_deflated = original.file_meta.TransferSyntaxUID == DEFLATED_UID
    corrected = copy.deepcopy(original)
    before = {keyword: _text(original, keyword) for keyword in wanted}
    taken_out = tuple(keyword for keyword in OF_ANOTHER_ORDER if change.new_uids and keyword in original)
    originals = _originals(original, (*wanted, *taken_out), change)
    is_converted, fitting = _fit_character_set(corrected, change.values)
    if is_converted:
        originals.ModifiedAttributesSequence[0].SpecificCharacterSet = original.get("SpecificCharacterSet", "")
    _apply(corrected, {**fitting, **change.new_uids})
    for keyword in taken_out:
        delattr(corrected, keyword)
    corrected.OriginalAttributesSequence = [*corrected.get("OriginalAttributesSequence", []), originals]
    _write(corrected, target)
    if pixels_offset and not is_deflated:
        source.seek(pixels_offset)
        for piece in _pieces(source):
            target.write(piece)
    _check(source, target, {**fitting, **change.new_uids}, taken_out, is_converted=is_converted)
    return digested(target, before)


# --- reading and writing ----------------------------------------------------------------------------------------------


def _head(file: BinaryIO) -> tuple[FileDataset, int]:
    """Everything before the pixel data, and where that begins (0: there is none). A deflated file is read whole."""
    file.seek(0)
    found = dcmread(file, stop_before_pixels=True)
    if found.file_meta.TransferSyntaxUID == DEFLATED_UID:
        file.seek(0)
        return dcmread(file), 0
    offset = file.tell()
    return found, offset if file.read(1) else 0


def _write(dataset: FileDataset, target: BinaryIO) -> None:
    meta = dataset.file_meta
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "QAFILA"
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=False)
    target.write(out.getvalue())


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(COPY_BYTES):
        yield piece


def digested(target: BinaryIO, before: dict[str, str]) -> Revised:
    """What a whole file of ours is, read back."""
    _, pixels_offset = _head(target)
    target.seek(132)
    dataset_offset = _dataset_offset(target)
    whole, dataset, pixels = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    target.seek(0)
    position = 0
    for piece in _pieces(target):
        whole.update(piece)
        dataset.update(piece[max(0, dataset_offset - position) :])
        pixels.update(piece[max(0, pixels_offset - position) :])
        position += len(piece)
    return Revised(
        sha256=whole.hexdigest(),
        dataset_sha256=dataset.hexdigest(),
        pixels_sha256=pixels.hexdigest() if pixels_offset else "",
        size_bytes=position,
        before=before,
    )


def _dataset_offset(file: BinaryIO) -> int:
    """Where group 0002 ends, by its length element, which is always the first one that we write."""
    head = file.read(12)
    if head[:4] != b"\x02\x00\x00\x00":
        raise ReviseError("unreadable", "the file has no group length")
    return 132 + 12 + int.from_bytes(head[8:12], "little")


# --- what changes -----------------------------------------------------------------------------------------------------


def _apply(dataset: Dataset, values: Mapping[str, str]) -> None:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _originals(original: Dataset, wanted: Iterable[str], change: Change) -> Dataset:
    """The item that keeps what was there before, as raw as it was; empty where there was nothing."""
    modified = Dataset()
    for keyword in wanted:
        if keyword in original:
            modified[keyword] = copy.deepcopy(original[keyword])
        else:
            setattr(modified, keyword, None)
    item = Dataset()
    item.ModifiedAttributesSequence = [modified]
    item.AttributeModificationDateTime = change.at
    item.ModifyingSystem = change.system[:64]
    item.SourceOfPreviousValues = change.source[:64]
    item.ReasonForTheAttributeModification = "CORRECT"
    return item


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    parts = (value,) if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(value)
    return "\\".join(str(part) for part in parts) if keyword != "PatientName" else str(value)


# --- character sets ---------------------------------------------------------------------------------------------------


def _fit_character_set(dataset: FileDataset, values: Mapping[str, str]) -> tuple[bool, dict[str, str]]:
    """Make room for new text: as the file is written, else all of it in UTF-8, else names in their Latin group only.

    Returns:
        Whether the text of the file was converted, and the values that can be written.

    Raises:
        ReviseError: ``character-set`` when none of that works.
    """
    if all(_is_encodable(value, dataset) for value in values.values()):
        return False, dict(values)
    if _is_decodable(dataset):
        _convert(dataset)
        return True, dict(values)
    latin = {keyword: value.split("=")[0] for keyword, value in values.items()}
    if all(_is_encodable(value, dataset) and value.strip("^") for value in latin.values() if value):
        return False, latin
    raise ReviseError("character-set", "the file's own text is not in the character set that it names")


def _codecs(dataset: Dataset) -> list[str]:
    labels = dataset.get("SpecificCharacterSet") or ""
    return [codec if codec != "iso8859" else "ascii" for codec in convert_encodings(labels)]


def _is_encodable(value: str, dataset: Dataset) -> bool:
    for codec in _codecs(dataset):
        try:
            value.encode(codec)
        except (UnicodeEncodeError, LookupError):
            continue
        return True
    return False


def _is_decodable(dataset: Dataset, outer: tuple[str, ...] = ()) -> bool:
    """Whether every text of the file is what its character set says, as far as bytes can tell."""
    named = dataset.get("SpecificCharacterSet") or ""
    labels = outer if not named else (named,) if isinstance(named, str) else tuple(map(str, named))
    codecs = [codec if codec != "iso8859" else "ascii" for codec in convert_encodings(list(labels) or "")]
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement):
            vr = raw.VR or dataset[tag].VR
            if vr in _TEXT_VRS and isinstance(raw.value, bytes) and not _decodes(raw.value, labels, codecs):
                return False
        elif raw is not None and raw.VR == "SQ" and not all(_is_decodable(item, labels) for item in raw.value):
            return False
    return True


def _decodes(raw: bytes, labels: tuple[str, ...], codecs: list[str]) -> bool:
    if suspect_encoding(raw, labels):
        return False
    if b"\x1b" in raw:
        return True  # switched inside the value; pydicom follows the escapes
    try:
        raw.decode(codecs[0])
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _convert(dataset: Dataset) -> None:
    """All text in UTF-8, also in sequences that had a character set of their own."""
    dataset.decode()
    _relabel(dataset)
    dataset.SpecificCharacterSet = _UTF_8


def _relabel(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                if "SpecificCharacterSet" in item:
                    item.SpecificCharacterSet = _UTF_8
                _relabel(item)


# --- proof ------------------------------------------------------------------------------------------------------------


def _check(
    source: BinaryIO, target: BinaryIO, values: Mapping[str, str], taken_out: Sequence[str], *, is_converted: bool
) -> None:
    """The copy has the new values, everything else as it was, and the same bytes from the pixel data on.

    Raises:
        ReviseError: ``changed-more`` otherwise.
    """
    written, pixels_offset = _head(target)
    found, original_offset = _head(source)
    changed = {Tag(keyword) for keyword in (*values, *taken_out)} | {_ORIGINALS}
    changed |= {_CHARACTER_SET} if is_converted else set()
    for tag in sorted({*written.keys(), *found.keys()} - changed):
        if tag.element == 0:
            continue  # a group's length, retired; it is dropped rather than left wrong
        if not _is_same(found, written, tag, by_text=is_converted):
            raise ReviseError("changed-more", f"element {tag} differs")
    if still := [keyword for keyword in taken_out if keyword in written]:
        raise ReviseError("changed-more", f"{still[0]} is still there")
    for keyword, value in values.items():
        if _text(written, keyword) != value.rstrip():
            raise ReviseError("changed-more", f"{keyword} is not as it was asked for")
    if bool(pixels_offset) != bool(original_offset):
        raise ReviseError("changed-more", "the pixel data is gone")
    if pixels_offset:
        source.seek(original_offset)
        target.seek(pixels_offset)
        if any(ours != theirs for ours, theirs in zip(_pieces(source), _pieces(target), strict=True)):
            raise ReviseError("changed-more", "the pixel data differs")


def _is_same(found: Dataset, written: Dataset, tag: int, *, by_text: bool) -> bool:
    if (tag in found) != (tag in written):
        return False
    one, other = found.get_item(tag), written.get_item(tag)
    if isinstance(one, RawDataElement) and isinstance(other, RawDataElement) and one.value == other.value:
        return True
    if not by_text and isinstance(one, RawDataElement) and one.VR not in (None, "UN", "SQ"):
        return False
    return bool(_element(found, tag) == _element(written, tag))


def _element(dataset: Dataset, tag: int) -> DataElement:
    element: DataElement = dataset[tag]
    return element
