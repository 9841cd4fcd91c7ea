"""Frames between service and worker."""

from __future__ import annotations

import msgspec
import pytest

from sync.encoder.messages import (
    FRAME_BYTES_MAX,
    Answer,
    Code,
    Coded,
    Failed,
    Picture,
    Pictured,
    Question,
    Warm,
    Warmed,
    answer_of,
    frame_bytes,
    framed,
    question_of,
)

CODED = Coded(
    sha256="a",
    size_bytes=1,
    skeleton_sha256="b",
    skeleton_bytes=2,
    pixels_sha256="c",
    pixels_bytes=3,
    restores_sha256="d",
    restores_bytes=4,
    codec="jxl",
)


@pytest.mark.parametrize(
    "question",
    [
        Code(path="/a", folder="/b", jxl=3, zstd=9, cpu_s_max=1.5),
        Picture(path="/a", folder="/b", cpu_s_max=2.0),
        Warm(cpu_s_max=1.0),
    ],
)
def test_question_comes_back_from_its_frame(question: Question) -> None:
    assert question_of(framed(question)) == question


@pytest.mark.parametrize("answer", [CODED, Pictured(), Pictured(sha256="a"), Warmed(), Failed(code="unfit")])
def test_answer_comes_back_from_its_frame(answer: Answer) -> None:
    frame = framed(answer)
    assert frame_bytes(frame) == len(frame) == frame_bytes(frame + b"more")
    assert answer_of(frame) == answer


def test_frame_that_has_not_come_is_waited_for() -> None:
    frame = framed(CODED)
    assert frame_bytes(b"") is None
    assert frame_bytes(frame[:3]) is None
    assert frame_bytes(frame[:4]) == len(frame)


def test_endless_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="frame"):
        frame_bytes((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode({"type": "other"}), msgspec.msgpack.encode(7)])
def test_frame_of_something_else_is_refused(body: bytes) -> None:
    frame = len(body).to_bytes(4, "big") + body
    with pytest.raises(msgspec.MsgspecError):
        answer_of(frame)
    with pytest.raises(msgspec.MsgspecError):
        question_of(frame)
