"""A real video, where ffmpeg is installed: after rewriting every picture decodes to the same pixels."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from appliance.imports.mp4 import read_video
from appliance.imports.remux import write_video

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg on this machine")


def ffmpeg(*words: str) -> str:
    done = subprocess.run(["ffmpeg", "-v", "error", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def picture_digests(path: Path) -> list[str]:
    """Of each decoded picture in the order it is shown."""
    lines = ffmpeg("-i", str(path), "-map", "0:v", "-f", "framemd5", "-").splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(
    ("size", "rate", "profile"),
    [("640x480", "25", "high"), ("854x480", "30000/1001", "main"), ("320x240", "15", "baseline")],
)
def test_rewritten_video_shows_the_same(tmp_path: Path, size: str, rate: str, profile: str) -> None:
    source, clean = tmp_path / "source.mp4", tmp_path / "clean.mp4"
    pictures = ("-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}:duration=1")
    sound = ("-f", "lavfi", "-i", "sine=440:duration=1")
    coding = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-profile:v", profile, "-metadata", "title=DUPONT")
    ffmpeg(*pictures, *sound, *coding, str(source))
    data = source.read_bytes()
    video = read_video(BytesIO(data), len(data))
    with clean.open("wb") as file:
        write_video(video, BytesIO(data), file)
    assert picture_digests(clean) == picture_digests(source)
    assert len(video.samples) == len(picture_digests(source))
    assert f"{video.parameters.columns}x{video.parameters.rows}" == size
    assert b"DUPONT" in data
    assert b"DUPONT" not in clean.read_bytes()
