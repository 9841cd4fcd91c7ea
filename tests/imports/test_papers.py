"""Papers: a PDF that is whole and harmless passes, everything else is refused by name."""

from __future__ import annotations

import zlib

import pytest

from appliance.imports.paper import check_paper
from appliance.imports.problems import ImportProblem
from tests.support.import_files import pdf

CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
PAGE = b"<< /Type /Page /Parent 2 0 R >>"


def stream(body: bytes, dictionary: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (dictionary, len(body), body)


def packed(objects: bytes) -> bytes:
    """An object stream, as PDF 1.5 writers make them."""
    return stream(zlib.compress(objects), b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode")


def refusal(data: bytes) -> str:
    with pytest.raises(ImportProblem) as caught:
        check_paper(data)
    return caught.value.code


@pytest.mark.parametrize(
    "data",
    [
        pdf(),
        pdf(tail=b"\n\n"),
        pdf(CATALOG, packed(PAGES + PAGE)),
        pdf(CATALOG, PAGES, PAGE, stream(b"/JavaScript /Encrypt << /Launch", b"/Type /XObject")),
        pdf(CATALOG, PAGES, b"<</Type/Page/Parent 2 0 R>>"),
        pdf(CATALOG, PAGES, b"<< /Type /P#61ge >>"),
    ],
)
def test_paper_of_a_scanner_passes(data: bytes) -> None:
    check_paper(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.4\n", "paper-cut"),
        (pdf()[:-20], "paper-cut"),
        (pdf(tail=b"PK\3\4 another file"), "paper-cut"),
        (b"\n" + pdf(), "paper-damaged"),
        (pdf().replace(b"startxref\n", b"startxref\n99999"), "paper-cut"),
        (pdf(CATALOG, b"<< /Type /Pages /Kids [] /Count 0 >>"), "paper-empty"),
        (pdf(trailer=b"/Encrypt 9 0 R"), "paper-encrypted"),
        (pdf(trailer=b"/Encrypt << /Filter /Standard >>"), "paper-encrypted"),
        (pdf(CATALOG, PAGES, PAGE, b"<< /S /JavaScript /JS (app.alert) >>"), "paper-active"),
        (pdf(CATALOG, PAGES, PAGE, b"<< /S /J#61vaScript >>"), "paper-active"),
        (pdf(CATALOG, packed(PAGES + PAGE + b"<< /Type /Action /S /Launch >>")), "paper-active"),
        (pdf(CATALOG, PAGES, PAGE, b"<< /Names << /EmbeddedFiles 9 0 R >> >>"), "paper-active"),
        (pdf(CATALOG, PAGES, PAGE, b"<< /Length 9 >>\nstream\nabc"), "paper-damaged"),
        (pdf(CATALOG, packed(PAGES).replace(b"FlateDecode", b"LZWDecode")), "paper-damaged"),
        (pdf(CATALOG, stream(b"no zlib", b"/Type /ObjStm /Filter /FlateDecode")), "paper-damaged"),
        (pdf(CATALOG, packed(bytes(80 * 1024 * 1024))), "paper-damaged"),
    ],
)
def test_what_is_no_plain_paper_is_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code
