"""One multipart part: read the same however the network cuts it, and never taken for whole when it is cut."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.adapters.multipart import PART_HEADERS_BYTES_MAX, MultipartError, OnePart, boundary_of

BOUNDARY = b"edge"
CONTENT = st.binary(max_size=200) | st.lists(
    st.sampled_from([b"\r\n", b"--", b"edge", b"\r\n--edg", b"x", b"-"]), max_size=20
).map(lambda parts: b"".join(parts).replace(b"\r\n--edge", b""))


def body(content: bytes) -> bytes:
    return b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--edge--\r\n"


def read(raw: bytes, cuts: list[int]) -> tuple[bytes, bool]:
    sink = io.BytesIO()
    part = OnePart(BOUNDARY, sink)
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for start, end in itertools.pairwise(edges):
        part.feed(raw[start:end])
    return sink.getvalue(), part.complete


@given(CONTENT, st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=300, deadline=None)
def test_content_is_the_same_however_it_is_cut(content: bytes, cuts: list[int]) -> None:
    if b"\r\n--edge" not in content + b"\r":
        assert read(body(content), cuts) == (content, True)


@given(CONTENT, st.integers(1, 400))
@settings(max_examples=300, deadline=None)
def test_a_cut_body_is_never_complete(content: bytes, missing: int) -> None:
    raw = body(content)[:-2]
    if b"\r\n--edge--" not in content:
        assert not read(raw[: max(0, len(raw) - missing)], [])[1]


@pytest.mark.parametrize(
    "raw",
    [
        b"--edge--\r\n",
        b"--edge\r\n\r\na\r\n--edge\r\n\r\nb\r\n--edge--",
        bytes(PART_HEADERS_BYTES_MAX + 10),
        b"--edge\r\nX: " + b"y" * (PART_HEADERS_BYTES_MAX + 10),
        body(b"a") + bytes(PART_HEADERS_BYTES_MAX + 10),
    ],
    ids=["no part", "two parts", "endless preamble", "endless headers", "endless epilogue"],
)
def test_what_is_not_one_part_is_refused(raw: bytes) -> None:
    with pytest.raises(MultipartError):
        read(raw, [])


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc-1', b"abc-1"),
        ('Multipart/Related;boundary="a b";type="application/dicom"', b"a b"),
        ("multipart/related", None),
        ("application/dicom; boundary=x", None),
        ("", None),
    ],
)
def test_boundary_of_a_content_type(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary
