"""Previews: what Orthanc draws, how it is read, and that nothing of it ever raises."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.domain.rendered import Rendered, read_pam
from appliance.orthanc.rendering import DOWN, LAST, MIDDLE, NOT_YET, OrthancPreviews
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import start_central
from tests.support.ports import free_port
from tests.support.world import small_picture

GREY = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\x01\x02"


@pytest.fixture(scope="module", params=orthanc_commands())
def orthanc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancHandle]:
    with start_central(str(request.param), tmp_path_factory.mktemp("orthanc"), free_port()) as started:
        yield started


def access_file(folder: Path, url: str) -> Path:
    path = folder / "orthanc.json"
    path.write_text(json.dumps({"url": url, "username": "", "password": ""}), encoding="utf-8")
    return path


def test_pam_is_read_as_pixels_and_what_is_none_is_refused() -> None:
    assert read_pam(GREY) == Rendered(2, 1, 1, b"\x01\x02")
    assert read_pam(GREY).rgb(1, 0) == (2, 2, 2) and read_pam(GREY).rgb(2, 0) == (0, 0, 0)
    for bad in (
        b"",
        GREY[:-1],
        GREY + b"\x00",
        b"P5\n" + GREY,
        GREY.replace(b"DEPTH 1", b"DEPTH 2"),
        GREY.replace(b"255", b"65535"),
        GREY.replace(b"WIDTH 2", b"WIDTH x"),
        GREY.replace(b"WIDTH 2\n", b""),
        GREY.replace(b"WIDTH 2", b"WIDTH -2"),
        b"P7\n" + b"#" * 2000 + GREY[3:],
    ):
        with pytest.raises(ValueError):
            read_pam(bad)


@pytest.mark.orthanc
def test_frames_of_a_loop_are_drawn_small_by_number_and_by_name(orthanc: OrthancHandle, tmp_path: Path) -> None:
    loop = small_picture(64, 1)
    loop.Rows, loop.Columns, loop.NumberOfFrames = 60, 80, 7
    loop.PixelData = b"".join(bytes([number * 30]) * (60 * 80) for number in range(7))
    out = io.BytesIO()
    loop.save_as(out, enforce_file_format=True)
    assert orthanc.request("POST", "/instances", out.getvalue())[0] == 200
    previews = OrthancPreviews(access_file(tmp_path, orthanc.url))
    uid = str(loop.SOPInstanceUID)
    numbers = [previews.preview(uid, asked, 20, 20).frame_number for asked in (1, MIDDLE, LAST, 5, 99)]
    assert numbers == [1, 4, 7, 5, 7]
    first = previews.preview(uid, 1, 20, 20)
    assert first.frame_count == 7 and first.rendered is not None
    assert (first.rendered.width_px, first.rendered.height_px) == (20, 15)
    assert first.rendered != previews.preview(uid, 4, 20, 20).rendered
    assert previews.preview("1.2.3", 1, 20, 20).sentence == NOT_YET


def test_store_that_is_down_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", access_file(tmp_path, f"http://127.0.0.1:{free_port()}")):
        assert OrthancPreviews(path).preview("1.2.3", 1, 20, 20).sentence == DOWN


@pytest.mark.orthanc
def test_orthanc_that_dies_between_two_previews_is_a_sentence(orthanc: OrthancHandle, tmp_path: Path) -> None:
    picture = small_picture(4096, 2)
    out = io.BytesIO()
    picture.save_as(out, enforce_file_format=True)
    assert orthanc.request("POST", "/instances", out.getvalue())[0] == 200
    previews = OrthancPreviews(access_file(tmp_path, orthanc.url))
    uid = str(picture.SOPInstanceUID)
    assert previews.preview(uid, 1, 20, 20).rendered is not None
    orthanc.process.kill()
    orthanc.process.wait()
    assert previews.preview(uid, 1, 20, 20).sentence == DOWN
