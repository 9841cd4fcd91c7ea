"""What a PDF says of whose it is, beside its pages, does not go into an object; the pages stay as they are."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.imports.paper import check_paper
from appliance.imports.paper_properties import without_properties
from appliance.imports.problems import ImportProblem
from tests.imports.test_papers import CATALOG, PAGE, PAGES, stream
from tests.support.import_files import SECRET, pdf

INFO = b"<< /Author (%s \\) \\( (of (many)) brackets) /Title <%s> /CreationDate (D:2026) >>"
HEXED = SECRET.hex().encode()
XMP = b"<x:xmpmeta><dc:creator>%s</dc:creator></x:xmpmeta>" % SECRET
TEXT = stream(b"BT (%s) Tj ET" % SECRET)
"""On a page: people see it, and it stays."""


def info(dictionary: bytes = INFO % (SECRET, HEXED)) -> bytes:
    return pdf(CATALOG, PAGES, PAGE, dictionary, trailer=b"/Info 4 0 R")


def object_stream(*numbered: tuple[int, bytes], is_packed: bool = True) -> bytes:
    """As PDF 1.5 writers put small objects together."""
    table, bodies = b"", b""
    for number, body in numbered:
        table += b"%d %d " % (number, len(bodies))
        bodies += body + b" "
    dictionary = b"/Type /ObjStm /N %d /First %d" % (len(numbered), len(table))
    packed = zlib.compress(table + bodies)
    return stream(packed, dictionary + b" /Filter /FlateDecode") if is_packed else stream(table + bodies, dictionary)


def unpacked(data: bytes) -> bytes:
    """Everything in it that is readable, streams too, as a reader that stops where each stream ends."""
    out = data
    for body in re.findall(rb"stream\n(.*?)\nendstream", data, re.DOTALL):
        inflate = zlib.decompressobj()
        try:
            out += inflate.decompress(body)
            assert inflate.eof
        except zlib.error:
            continue
    return out


PAPERS = {
    "literal and hexadecimal": info(),
    "spelled otherwise": pdf(CATALOG, PAGES, PAGE, INFO % (SECRET, HEXED), trailer=b"/#49nfo 4 0 R"),
    "strings of their own": pdf(CATALOG, PAGES, PAGE, b"<</Author 5 0 R>>", b"(%s)" % SECRET, trailer=b"/Info 4 0 R"),
    "two versions": pdf(CATALOG, PAGES, PAGE, INFO % (SECRET, HEXED), trailer=b"/Info 4 0 R").replace(
        b"xref\n", b"4 0 obj\n<< /Author (%s) >>\nendobj\nxref\n" % SECRET, 1
    ),
    "in a packed stream": pdf(CATALOG, PAGES, PAGE, object_stream((9, b"<</A 1>>"), (7, INFO % (SECRET, HEXED))),
        trailer=b"/Info 7 0 R"),
    "in a stream that is not packed": pdf(CATALOG, PAGES, PAGE, object_stream((7, INFO % (SECRET, HEXED)),
        is_packed=False), trailer=b"/Info 7 0 R"),
    "packed string of its own": pdf(CATALOG, PAGES, PAGE, object_stream((7, b"<</Author 8 0 R>>"),
        (8, b"(%s)" % (SECRET * 9))), trailer=b"/Info 7 0 R"),
    "XMP": pdf(CATALOG, PAGES, PAGE, stream(XMP, b"/Type /Metadata /Subtype /XML")),
    "packed XMP": pdf(CATALOG, PAGES, PAGE, stream(zlib.compress(XMP), b"/Type/Metadata/Filter/FlateDecode")),
}  # fmt: skip


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS.keys())
def test_properties_are_gone_and_the_paper_is_whole_and_as_long_as_before(paper: bytes) -> None:
    assert SECRET in unpacked(paper) or HEXED in paper
    plain = without_properties(paper)
    check_paper(plain)
    assert len(plain) == len(paper)
    assert SECRET not in unpacked(plain)
    assert HEXED not in unpacked(plain)
    assert without_properties(plain) == plain


def test_pages_stay_as_they_are() -> None:
    paper = pdf(CATALOG, PAGES, PAGE, INFO % (SECRET, HEXED), TEXT, trailer=b"/Info 4 0 R")
    plain = without_properties(paper)
    assert TEXT in plain
    assert plain[: plain.index(b"/Author")] == paper[: paper.index(b"/Author")]
    assert without_properties(pdf()) == pdf()


@pytest.mark.parametrize("number", range(12))
def test_packed_stream_fits_its_room_whatever_is_left_over(number: int) -> None:
    author = SECRET * 3 + b"xyzzyabcdefg"[:number]
    paper = pdf(CATALOG, PAGES, PAGE, object_stream((7, b"<</Author (%s)>>" % author)), trailer=b"/Info 7 0 R")
    plain = without_properties(paper)
    assert len(plain) == len(paper)
    assert SECRET not in unpacked(plain)


@pytest.mark.parametrize(
    ("paper", "code"),
    [
        (info(b"<< /Author (no end >>"), "paper-damaged"),
        (info(b"<< /Title <4142"), "paper-damaged"),
        (info(b"<< /Author (x) >>").replace(b"endobj", b"endxxx"), "paper-properties"),
        (
            pdf(CATALOG, PAGES, PAGE, stream(zlib.compress(b"7 0 <<>>"), b"/Type /ObjStm /Filter /FlateDecode"),
                trailer=b"/Info 7 0 R"),
            "paper-properties",
        ),
    ],
)  # fmt: skip
def test_paper_whose_properties_cannot_be_taken_out_is_refused(paper: bytes, code: str) -> None:
    with pytest.raises(ImportProblem) as caught:
        without_properties(paper)
    assert caught.value.code == code


@given(st.sampled_from(sorted(PAPERS)), st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_damaged_paper_is_refused_or_keeps_its_length(name: str, at: int, other: bytes) -> None:
    paper = PAPERS[name]
    begin = at % len(paper)
    damaged = paper[:begin] + other + paper[begin + len(other) :]
    try:
        assert len(without_properties(damaged)) == len(damaged)
    except ImportProblem as problem:
        assert problem.code in ("paper-damaged", "paper-properties")
