"""Takes out of a PDF what its properties say (author, title, programs, dates, XMP); pure, and every offset stays.

Strings are overwritten with blanks where they stand, and object streams packed again into the room that they had, so
that the tables of contents stay true and no page is touched. Pages, forms and notes on them stay: people see those.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.imports.paper import INFLATED_BYTES_MAX
from appliance.imports.problems import ImportProblem

REFERENCE_COUNT_MAX = 64
OBJECT_BYTES_MAX = 1024 * 1024
"""Of a dictionary of properties."""
_DICTIONARY_BYTES_MAX = 64 * 1024
_STREAM = re.compile(rb"stream\r?\n")
_ENDSTREAM = b"endstream"
_INFO = re.compile(rb"/(?:I|#49)(?:n|#6[eE])(?:f|#66)(?:o|#6[fF])\s*(?:(?P<number>\d{1,10})\s+\d{1,5}\s+R|<<)")
_REFERENCE = re.compile(rb"(?<!\d)(\d{1,10})\s+\d{1,5}\s+R(?![A-Za-z])")
_NAME_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_METADATA = re.compile(rb"/Type\s*/Metadata(?![A-Za-z])|/Subtype\s*/XML(?![A-Za-z])")
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm(?![A-Za-z])")
_FIRST, _COUNT = re.compile(rb"/First\s+(\d{1,9})"), re.compile(rb"/N\s+(\d{1,9})")
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_ZLIB_HEAD, _ADLER_BYTES, _STORED_BYTES = b"\x78\xda", 4, 5


@dataclass(frozen=True, slots=True)
class _Stream:
    """Where one lies: its dictionary (names spelled out), and its body without the end of line behind it."""

    dictionary: bytes
    begin: int
    end: int

    @property
    def is_packed(self) -> bool:
        return b"/Filter" in self.dictionary


def without_properties(data: bytes) -> bytes:
    """The same paper of the same length, which says nothing of whose it is beside its pages.

    Args:
        data: What ``check_paper`` let pass.

    Raises:
        ImportProblem: ``paper-properties`` when they cannot be taken out, ``paper-damaged`` when a string has no end.
    """
    paper = bytearray(data)
    streams = list(_streams(data))
    for stream in streams:
        if _METADATA.search(stream.dictionary):
            room = stream.end - stream.begin
            is_flate = stream.is_packed and b"/FlateDecode" in stream.dictionary
            paper[stream.begin : stream.end] = _packed(b" ", room) if is_flate else b" " * room
    outside = _outside(data, streams)
    wanted: set[int] = set()
    for begin, end in outside:
        for found in _INFO.finditer(data, begin, end):
            if found["number"]:
                wanted.add(int(found["number"]))
            else:
                _blank(paper, found.end() - 2, min(end, found.end() + OBJECT_BYTES_MAX))
    # What a property refers to is a string of its own, so one more round is enough.
    referred = _blank_objects(paper, outside, streams, wanted)
    _blank_objects(paper, outside, streams, referred - wanted)
    return bytes(paper)


def _streams(data: bytes) -> Iterator[_Stream]:
    at = 0
    while found := _STREAM.search(data, at):
        end = data.find(_ENDSTREAM, found.end())
        if end < 0:
            raise ImportProblem("paper-damaged", "a stream without end")
        start = data.rfind(b"obj", max(at, found.start() - _DICTIONARY_BYTES_MAX), found.start())
        dictionary = data[max(start, at) : found.start()]
        body_end = end - 1 if data[end - 1 : end] == b"\n" else end
        body_end -= data[body_end - 1 : body_end] == b"\r"
        yield _Stream(_spelled_out(dictionary), found.end(), max(found.end(), body_end))
        at = end + len(_ENDSTREAM)


def _outside(data: bytes, streams: list[_Stream]) -> list[tuple[int, int]]:
    """Ranges between the bodies of streams."""
    edges = [0, *(edge for stream in streams for edge in (stream.begin, stream.end)), len(data)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _spelled_out(dictionary: bytes) -> bytes:
    return _NAME_ESCAPE.sub(lambda code: bytes([int(code[1], 16)]), dictionary)


def _blank_objects(
    paper: bytearray, outside: list[tuple[int, int]], streams: list[_Stream], wanted: set[int]
) -> set[int]:
    """Blank every version of these objects; the numbers of what they refer to."""
    if len(wanted) > REFERENCE_COUNT_MAX:
        raise ImportProblem("paper-properties", f"{len(wanted)} dictionaries")
    referred: set[int] = set()
    if not wanted:
        return referred
    heads = re.compile(rb"(?<!\d)(?:%s)\s+\d{1,5}\s+obj(?![A-Za-z])" % b"|".join(b"%d" % one for one in sorted(wanted)))
    for begin, end in outside:
        for found in heads.finditer(bytes(paper[begin:end])):
            start = begin + found.end()
            stop = paper.find(b"endobj", start, min(end, start + OBJECT_BYTES_MAX))
            if stop < 0:
                raise ImportProblem("paper-properties", "a dictionary without end")
            referred |= _references(paper[start:stop])
            _blank(paper, start, stop)
    for stream in streams:
        if _OBJECT_STREAM.search(stream.dictionary):
            referred |= _blank_in_stream(paper, stream, wanted)
    return referred


def _references(text: bytes | bytearray) -> set[int]:
    return {int(found[1]) for found in _REFERENCE.finditer(text)}


def _blank_in_stream(paper: bytearray, stream: _Stream, wanted: set[int]) -> set[int]:
    """As ``_blank_objects``, in one object stream (ISO 32000-1 section 7.5.7)."""
    raw = bytes(paper[stream.begin : stream.end])
    original = _inflated(raw) if stream.is_packed else raw
    objects = bytearray(original)
    places = _places(stream, objects)
    referred: set[int] = set()
    for index, (number, start) in enumerate(places):
        if number in wanted:
            stop = places[index + 1][1] if index + 1 < len(places) else len(objects)
            referred |= _references(objects[start:stop])
            _blank(objects, start, stop)
    changed = bytes(objects)
    if changed != original:
        paper[stream.begin : stream.end] = _packed(changed, len(raw)) if stream.is_packed else changed
    return referred


def _places(stream: _Stream, objects: bytearray) -> list[tuple[int, int]]:
    """Number and begin of each object in it, in order of their place."""
    first, count = _FIRST.search(stream.dictionary), _COUNT.search(stream.dictionary)
    if first is None or count is None or b"/DecodeParms" in stream.dictionary:
        raise ImportProblem("paper-properties", "an object stream of an unusual kind")
    words = bytes(objects[: int(first[1])]).split()[: 2 * int(count[1])]
    if not all(word.isdigit() for word in words):
        raise ImportProblem("paper-damaged", "an object stream without a table")
    numbers = list(map(int, words))
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    return sorted(((number, int(first[1]) + offset) for number, offset in pairs), key=lambda pair: pair[1])


def _inflated(raw: bytes) -> bytes:
    inflate = zlib.decompressobj()
    try:
        objects = inflate.decompress(raw, INFLATED_BYTES_MAX)
    except zlib.error as error:
        raise ImportProblem("paper-damaged", "an object stream cannot be unpacked") from error
    if not inflate.eof:
        raise ImportProblem("paper-damaged", "an object stream is cut off")
    return objects


def _packed(content: bytes, room_bytes: int) -> bytes:
    """``content``, with a few blanks behind it, as a zlib stream of exactly so many bytes (RFC 1950, RFC 1951).

    Empty stored blocks fill it up; where there is no room for one, bytes behind the stream, which readers pass over.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush(zlib.Z_SYNC_FLUSH)
    spare = room_bytes - len(_ZLIB_HEAD) - len(body) - _STORED_BYTES - _ADLER_BYTES
    if spare < 0:
        whole = zlib.compress(content, 9)
        if len(whole) > room_bytes:
            raise ImportProblem("paper-properties", "an object stream has no room")
        return whole.ljust(room_bytes, b"\n")
    block_count, blank_count = divmod(spare, _STORED_BYTES)
    tail = b""
    if block_count and blank_count:
        body += _stored(b" " * blank_count, is_last=False)
        content += b" " * blank_count
        block_count -= 1
    else:
        tail = b"\n" * blank_count
    body += _stored(b"", is_last=False) * block_count + _stored(b"", is_last=True)
    return _ZLIB_HEAD + body + zlib.adler32(content).to_bytes(_ADLER_BYTES, "big") + tail


def _stored(content: bytes, *, is_last: bool) -> bytes:
    length = len(content)
    return bytes([is_last]) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + content


def _blank(text: bytearray, begin: int, end: int) -> None:
    """Overwrite every string between, literal or hexadecimal, with blanks."""
    at = begin
    while at < end:
        if text[at] == ord("("):
            stop = _literal_end(text, at, end)
            text[at + 1 : stop] = b" " * (stop - at - 1)
            at = stop
        elif text[at : at + 2] == b"<<":
            at += 1
        elif text[at] == ord("<"):
            stop = text.find(b">", at, end)
            if stop < 0:
                raise ImportProblem("paper-damaged", "a string without end")
            digits = [place for place in range(at + 1, stop) if text[place] in _HEX_DIGITS]
            for index, place in enumerate(digits):
                text[place] = b"20"[index % 2]
            at = stop
        at += 1


def _literal_end(text: bytearray, begin: int, end: int) -> int:
    """Where the bracket closes that opens at ``begin``."""
    depth, at = 0, begin
    while at < end:
        if text[at] == ord("\\"):
            at += 1
        elif text[at] == ord("("):
            depth += 1
        elif text[at] == ord(")"):
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise ImportProblem("paper-damaged", "a string without end")
