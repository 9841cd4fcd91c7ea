"""Looks whether a PDF is one: whole, with a page, without password, programs or files inside; pure and bounded.

It is no reader of PDF: dictionaries are looked through as text, outside of streams, and object streams are unpacked far
enough to look through them too. A scanner's paper passes; what is odd is refused.
"""

from __future__ import annotations

import re
import zlib

from appliance.imports.problems import ImportProblem

TAIL_BYTES = 2048
"""The end of file mark stands in it (ISO 32000-1 annex H.3 lets readers look at the last 1,024 bytes)."""
INFLATED_BYTES_MAX = 64 * 1024 * 1024
"""Of all object streams together."""

_END = re.compile(rb"startxref\s+(\d{1,10})\s+%%EOF\s*\Z")
_STREAM = re.compile(rb"stream\r?\n")
_NAME_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_ENCRYPT = re.compile(rb"/Encrypt\s*(?:<<|\d+\s+\d+\s+R)")
_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|EmbeddedFiles?|RichMedia|XFA)(?![A-Za-z])")
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm(?![A-Za-z])")
_FLATE_ONLY = re.compile(rb"/Filter\s*(?:\[\s*)?/(?:FlateDecode|Fl)(?![A-Za-z])")
_DICTIONARY_BYTES_MAX = 64 * 1024
"""How far before a stream its dictionary is looked for."""


def check_paper(data: bytes) -> None:
    """Return when ``data`` is a PDF that may be encapsulated.

    Raises:
        ImportProblem: With a ``paper-`` code.
    """
    if not data.startswith(b"%PDF-"):
        raise ImportProblem("paper-damaged", "no header")
    end = _END.search(data[-TAIL_BYTES:])
    if end is None:
        raise ImportProblem("paper-cut", "no end of file mark")
    if int(end[1]) >= len(data):
        raise ImportProblem("paper-cut", "its table of contents is behind its end")
    text = _dictionaries(data)
    if _ENCRYPT.search(text):
        raise ImportProblem("paper-encrypted")
    found = _ACTIVE.search(text)
    if found:
        raise ImportProblem("paper-active", found[0].decode("ascii"))
    if not _PAGE.search(text):
        raise ImportProblem("paper-empty")


def _dictionaries(data: bytes) -> bytes:
    """Everything outside of streams, and what object streams hold; with names spelled out."""
    outside: list[bytes] = []
    room_bytes = INFLATED_BYTES_MAX
    at = 0
    while found := _STREAM.search(data, at):
        outside.append(data[at : found.start()])
        end = data.find(b"endstream", found.end())
        if end < 0:
            raise ImportProblem("paper-damaged", "a stream without end")
        inside = _unpacked(data, max(at, found.start() - _DICTIONARY_BYTES_MAX), found, end, room_bytes)
        room_bytes -= len(inside)
        outside.append(inside)
        at = end + len(b"endstream")
    outside.append(data[at:])
    return _NAME_ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), b"\n".join(outside))


def _unpacked(data: bytes, begin: int, stream: re.Match[bytes], end: int, room_bytes: int) -> bytes:
    """The contents of an object stream; nothing for any other stream."""
    start = data.rfind(b"obj", begin, stream.start())
    dictionary = _NAME_ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), data[max(start, begin) : stream.start()])
    if not _OBJECT_STREAM.search(dictionary):
        return b""
    raw = data[stream.end() : end]
    if b"/Filter" not in dictionary:
        return raw[:room_bytes]
    if not _FLATE_ONLY.search(dictionary):
        raise ImportProblem("paper-damaged", "objects packed in an unusual way")
    inflate = zlib.decompressobj()
    try:
        unpacked = inflate.decompress(raw, room_bytes + 1)
    except zlib.error as error:
        raise ImportProblem("paper-damaged", "an object stream cannot be unpacked") from error
    if len(unpacked) > room_bytes:
        raise ImportProblem("paper-damaged", "its objects are too large")
    return unpacked
