"""Whether a file that a destination gave back is the one this unit stored.

Equal if the bytes after group 0002 are; else if the canonical digests of data set and pixels are; else, where one of
both was rewritten in another transfer syntax, if the data sets are equal apart from what describes the encoding of the
pixels, and the decoded pixels are equal value by value. Nothing weaker counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from appliance.domain.values import Evidence
from sync.adapters.codec import CodecError, decoded_pixel_sha256
from sync.wire.digest import DigestError, Digests, bytes_after_meta_equal, digests

REWRITTEN_BY_CODECS = frozenset({0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002})
"""Photometric Interpretation, Planar Configuration, and the extended offset tables."""


class Verdict(StrEnum):
    """How both files compare."""

    BYTES = "bytes"
    CANONICAL = "canonical"
    DECODED = "decoded"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    """Not equal byte by byte, and at least one cannot be read as DICOM."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict and what was compared; digests are empty where a file could not be digested."""

    verdict: Verdict
    transfer_syntax_uid: str = ""
    dataset_sha256: str = ""
    pixel_sha256: str = ""

    @property
    def equal(self) -> bool:
        return self.verdict in (Verdict.BYTES, Verdict.CANONICAL, Verdict.DECODED)


def compare(ours: Path, theirs: Path) -> Comparison:
    """Compare our stored file with theirs, cheapest test first.

    Raises:
        OSError: If one of the files cannot be read.
    """
    try:
        with ours.open("rb") as ours_file, theirs.open("rb") as theirs_file:
            same_bytes = bytes_after_meta_equal(ours_file, theirs_file)
    except DigestError:
        return Comparison(Verdict.UNREADABLE)
    try:
        expected = _digests(ours)
    except DigestError:
        return Comparison(Verdict.BYTES if same_bytes else Verdict.UNREADABLE)
    if same_bytes:
        return _comparison(Verdict.BYTES, expected)
    try:
        found = _digests(theirs)
        if (found.dataset_sha256, found.pixel_sha256) == (expected.dataset_sha256, expected.pixel_sha256):
            return _comparison(Verdict.CANONICAL, expected)
        return _compare_decoded(ours, theirs, expected, found)
    except (DigestError, CodecError):
        return Comparison(Verdict.UNREADABLE)


def compare_again(earlier: Evidence, theirs: Path) -> Comparison:
    """Compare what they give back now with what an earlier proof showed, where our file is gone.

    Raises:
        OSError: If the file cannot be read.
    """
    facts = dict(earlier.detail)
    with theirs.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == facts.get("read_sha256"):
            syntax = facts.get("transfer_syntax_uid", "")
            return Comparison(Verdict.BYTES, syntax, earlier.dataset_sha256, earlier.pixel_sha256)
    if not earlier.dataset_sha256:
        return Comparison(Verdict.UNREADABLE)
    try:
        found = _comparison(Verdict.CANONICAL, _digests(theirs))
        if facts.get("compared") == Verdict.DECODED:
            rest = _digests(theirs, REWRITTEN_BY_CODECS).dataset_sha256
            found = Comparison(Verdict.DECODED, found.transfer_syntax_uid, rest, decoded_pixel_sha256(theirs))
    except (DigestError, CodecError):
        return Comparison(Verdict.UNREADABLE)
    same = (found.dataset_sha256, found.pixel_sha256) == (earlier.dataset_sha256, earlier.pixel_sha256)
    return found if same else Comparison(Verdict.DIFFERENT)


def _compare_decoded(ours: Path, theirs: Path, expected: Digests, found: Digests) -> Comparison:
    """Across transfer syntaxes; within one, other pixels are other pixels."""
    if expected.transfer_syntax_uid == found.transfer_syntax_uid or not (expected.pixel_sha256 and found.pixel_sha256):
        return Comparison(Verdict.DIFFERENT)
    ours_rest, theirs_rest = (_digests(path, REWRITTEN_BY_CODECS).dataset_sha256 for path in (ours, theirs))
    if ours_rest != theirs_rest:
        return Comparison(Verdict.DIFFERENT)
    ours_pixels, theirs_pixels = decoded_pixel_sha256(ours), decoded_pixel_sha256(theirs)
    if ours_pixels != theirs_pixels:
        return Comparison(Verdict.DIFFERENT)
    return Comparison(Verdict.DECODED, found.transfer_syntax_uid, ours_rest, ours_pixels)


def _digests(path: Path, leave_out: frozenset[int] = frozenset()) -> Digests:
    with path.open("rb") as file:
        return digests(file, leave_out)


def _comparison(verdict: Verdict, found: Digests) -> Comparison:
    return Comparison(verdict, found.transfer_syntax_uid, found.dataset_sha256, found.pixel_sha256)
