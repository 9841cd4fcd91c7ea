"""What the service and a worker say to each other over pipes: one question, one answer, framed by their length.

Parts never travel here: a worker leaves them as files in the folder that the question names, and the answer says how
long they are and what their digests are.
"""

from __future__ import annotations

import msgspec

FRAME_BYTES_MAX = 64 * 1024
_LENGTH_BYTES = 4

SKELETON = "skeleton"
PIXELS = "pixels"
PREVIEW = "preview"
"""Names of the files that a worker leaves."""


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="code"):
    """Put a stored file into parts; ``jxl`` and ``zstd`` as in ``sync.wire.effort``."""

    path: str
    folder: str
    jxl: int
    zstd: int
    cpu_s_max: float


class Picture(msgspec.Struct, frozen=True, kw_only=True, tag="picture"):
    """Make the preview of a stored file."""

    path: str
    folder: str
    cpu_s_max: float


class Warm(msgspec.Struct, frozen=True, kw_only=True, tag="warm"):
    """Load what a preview needs: a picture is on its way."""

    cpu_s_max: float


Question = Code | Picture | Warm


class Coded(msgspec.Struct, frozen=True, kw_only=True, tag="coded"):
    """The parts are in the folder; fields as in ``sync.wire.encode.Encoded``."""

    sha256: str
    size_bytes: int
    skeleton_sha256: str
    skeleton_bytes: int
    pixels_sha256: str
    pixels_bytes: int
    restores_sha256: str
    restores_bytes: int
    codec: str


class Pictured(msgspec.Struct, frozen=True, kw_only=True, tag="pictured"):
    """The preview is in the folder; without a digest, none can be made."""

    sha256: str = ""
    size_bytes: int = 0
    media_type: str = ""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It could not be done.

    ``code``: ``missing`` (no such file), ``io-error`` (the stored file cannot be read), ``no-room`` (the parts cannot
    be written), ``unfit`` (the file cannot be put into parts, or not with so little memory). ``detail`` names a type or
    an errno, never a value of the file.
    """

    code: str
    detail: str = ""


class Warmed(msgspec.Struct, frozen=True, kw_only=True, tag="warmed"):
    """It is loaded."""


Answer = Coded | Pictured | Warmed | Failed

_QUESTIONS: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def framed(message: Question | Answer) -> bytes:
    """A message as it goes over the pipe."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def frame_bytes(received: bytes) -> int | None:
    """How long the frame at the start of ``received`` is in all; ``None`` while its head is incomplete.

    Raises:
        ValueError: If it declares more than ``FRAME_BYTES_MAX``.
    """
    if len(received) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(received[:_LENGTH_BYTES], "big")
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    return _LENGTH_BYTES + length


def question_of(frame: bytes) -> Question:
    """The question in a whole frame; raises ``msgspec.MsgspecError`` when it is none."""
    return _QUESTIONS.decode(frame[_LENGTH_BYTES:])


def answer_of(frame: bytes) -> Answer:
    """The answer in a whole frame; raises ``msgspec.MsgspecError`` when it is none."""
    return _ANSWERS.decode(frame[_LENGTH_BYTES:])
