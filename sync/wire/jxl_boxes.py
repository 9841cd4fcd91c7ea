"""The container of JPEG XL (ISO/IEC 18181-2), which parts leave out: its boxes say nothing that a decoder needs.

Only the codestream and the JPEG reconstruction data travel. A decoder puts fixed boxes around them, so that no box of
foreign making, compressed metadata for instance, ever reaches libjxl.
"""

from __future__ import annotations

from collections.abc import Iterator

from sync.wire.errors import WireError

CODESTREAM_MAGIC = b"\xff\x0a"
_FIRST_BOXES = bytes.fromhex("0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20")


def taken_apart(coded: bytes) -> tuple[bytes, bytes]:
    """Codestream and JPEG reconstruction data (empty where there is none) of what libjxl's encoder wrote.

    Raises:
        WireError: If it has boxes that cannot be left out.
    """
    if coded.startswith(CODESTREAM_MAGIC):
        return coded, b""
    if not coded.startswith(_FIRST_BOXES):
        raise WireError("libjxl wrote a container of an unknown kind")
    codestream, reconstruction = b"", b""
    for kind, content in _boxes(coded[len(_FIRST_BOXES) :]):
        if kind == b"jxlc":
            codestream += content
        elif kind == b"jxlp":
            codestream += content[4:]
        elif kind == b"jbrd":
            reconstruction = content
        elif kind != b"jxll":
            raise WireError("libjxl wrote metadata that a part does not carry")
    return codestream, reconstruction


def put_together(codestream: bytes | memoryview, reconstruction: bytes) -> bytes:
    """A container that libjxl turns into the JPEG again."""
    return b"".join((_FIRST_BOXES, _box(b"jbrd", reconstruction), _box(b"jxlc", codestream)))


def _box(kind: bytes, content: bytes | memoryview) -> bytes:
    return b"".join(((len(content) + 8).to_bytes(4, "big"), kind, content))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big") or len(data) - position
        if not 8 <= size <= len(data) - position:
            raise WireError("libjxl wrote a box of an impossible size")
        yield data[position + 4 : position + 8], data[position + 8 : position + size]
        position += size
