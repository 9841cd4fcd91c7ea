"""Videos: only what DICOM's H.264 syntaxes allow, with exactly the pictures that were there and nothing beside."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest

from appliance.imports.boxes import box
from appliance.imports.h264 import HIGH_41_UID, HIGH_42_UID, read_parameters
from appliance.imports.mp4 import Video, read_video
from appliance.imports.problems import ImportProblem
from appliance.imports.remux import write_video
from tests.support.import_files import SECRET, TURNED, mp4, nal, sps


def video_of(data: bytes) -> Video:
    return read_video(BytesIO(data), len(data))


def rewritten(data: bytes) -> bytes:
    target = BytesIO()
    length = write_video(video_of(data), BytesIO(data), target)
    assert length == len(target.getvalue())
    return target.getvalue()


def pictures_of(data: bytes) -> list[bytes]:
    return [data[start : start + length] for start, length in video_of(data).samples]


def refusal(data: bytes) -> str:
    with pytest.raises(ImportProblem) as caught:
        write_video(video_of(data), BytesIO(data), BytesIO())
    return caught.value.code


def test_video_says_what_the_object_needs() -> None:
    video = video_of(mp4(parameters=sps(1920, 1080, level=40), delta=1001))
    assert (video.parameters.columns, video.parameters.rows) == (1920, 1080)
    assert len(video.samples) == 7
    assert video.frame_time_ms == pytest.approx(33.3667, abs=1e-4)
    assert video.transfer_syntax_uid == HIGH_41_UID
    assert video.notes == ("sound-left-out",)


@pytest.mark.parametrize("chunk_count", [1, 2, 3, 7])
def test_rewritten_video_holds_the_same_pictures(chunk_count: int) -> None:
    data = mp4(chunk_count=chunk_count)
    clean = rewritten(data)
    assert pictures_of(clean) == pictures_of(data)
    assert video_of(clean).parameters == video_of(data).parameters
    assert video_of(clean).frame_time_ms == video_of(data).frame_time_ms


def test_rewritten_video_carries_nothing_of_somebody_else() -> None:
    data = mp4() + box(b"free", SECRET) + box(b"uuid", b"PK\3\4" + SECRET)
    clean = rewritten(data)
    assert data.count(SECRET) > 4
    assert SECRET not in clean
    assert b"soun" not in clean
    assert len(clean) % 2 == 0


def test_length_is_even_whatever_the_pictures_are() -> None:
    for length in (50, 51):
        clean = rewritten(mp4(pictures=[nal(5, length, 0)]))
        assert len(clean) % 2 == 0
        assert len(video_of(clean).samples) == 1


def test_turned_video_is_told() -> None:
    assert "video-turned" in video_of(mp4(matrix=TURNED)).notes


@pytest.mark.parametrize(
    ("parameters", "delta", "uid"),
    [
        (sps(640, 480, profile=66, constraints=0xC0), 1000, HIGH_41_UID),
        (sps(640, 480, profile=77), 1000, HIGH_41_UID),
        (sps(1920, 1080, level=42), 500, HIGH_42_UID),
        (sps(1920, 1080, level=41), 500, HIGH_42_UID),
        (sps(1280, 720, level=32), 500, HIGH_41_UID),
    ],
)
def test_lowest_transfer_syntax_that_may_hold_it_is_used(parameters: bytes, delta: int, uid: str) -> None:
    assert video_of(mp4(parameters=parameters, delta=delta)).transfer_syntax_uid == uid


@pytest.mark.parametrize(("columns", "rows"), [(16, 16), (1920, 1080), (854, 480), (642, 478)])
def test_size_is_that_of_the_shown_part(columns: int, rows: int) -> None:
    parameters = read_parameters(sps(columns, rows))
    assert (parameters.columns, parameters.rows) == (columns, rows)


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (mp4(codec=b"hvc1"), "video-coding"),
        (mp4(codec=b"mp4v"), "video-coding"),
        (mp4(codec=b"encv"), "video-protected"),
        (mp4(fragmented=True), "video-pieces"),
        (mp4() + box(b"moof"), "video-pieces"),
        (mp4(parameters=sps(profile=88)), "video-profile"),
        (mp4(parameters=sps(profile=66)), "video-profile"),
        (mp4(parameters=sps(chroma=2)), "video-profile"),
        (mp4(parameters=sps(is_progressive=False)), "video-interlaced"),
        (mp4(parameters=sps(3840, 2160, level=51)), "video-level"),
        (mp4(parameters=sps(1920, 1080, level=42), delta=250), "video-level"),
        (mp4(parameters=sps(640, 480, level=50)), "video-level"),
        (mp4(parameters=b"\x67"), "video-damaged"),
        (mp4(parameters=b"\x67\x64\0\x1f" + bytes(20)), "video-damaged"),
        (mp4(scale=0), "video-damaged"),
        (mp4(delta=0), "video-damaged"),
        (mp4(pictures=[]), "video-damaged"),
        (mp4(pictures=[nal(6, 20, 0)]), "video-damaged"),
        (mp4(pictures=[nal(5, 20, 0)[:-1]]), "video-damaged"),
        (mp4(pictures=[nal(5, 20, 0) + b"\0\0"]), "video-damaged"),
        (mp4(pictures=[b""]), "video-damaged"),
        (mp4()[:-1], "video-cut"),
        (mp4()[:400], "video-cut"),
        (box(b"ftyp", b"isom"), "video-cut"),
        (box(b"moov") + mp4(), "video-damaged"),
        (_patched(mp4(sound=False), b"vide", b"text"), "video-none"),
        (_patched(mp4(), b"soun\0", b"vide\0"), "video-several"),
        (box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 1 << 62), "video-cut"),
        (box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 3), "video-damaged"),
        (box(b"ftyp", b"isom") + box(b"free") * 20_000, "video-damaged"),
    ],
)
def test_what_the_syntax_does_not_allow_is_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_pictures_that_point_behind_the_file_are_refused() -> None:
    data = mp4()
    at = data.index(b"stco") + 12
    far = data[:at] + struct.pack(">I", len(data) - 10) + data[at + 4 :]
    assert refusal(far) == "video-cut"


def test_table_that_claims_millions_of_pictures_costs_nothing() -> None:
    data = mp4()
    at = data.index(b"stsz") + 8
    assert refusal(data[:at] + struct.pack(">II", 1, 0xFFFFFFFF) + data[at + 8 :]) == "video-damaged"
    at = data.index(b"stsc") + 12
    assert refusal(data[:at] + struct.pack(">II", 1, 0xFFFFFFFF) + data[at + 8 :]) == "video-damaged"
