"""Previews: what a person sees of each kind of file, within its bytes; a reason where there is nothing to see."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from sync.wire.limits import WireLimits
from sync.wire.preview import MEDIA_TYPE, Preview, make_preview, preview_or_reason
from tests.support.files import Sample, sample_files
from tests.support.wire_files import (
    BASELINE,
    BIG_ENDIAN,
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT,
    IMPLICIT,
    Image,
    Made,
    Writer,
    jpeg,
    real_frame,
    smooth,
    words,
)

LIMITS = WireLimits()
PICTURE = smooth(90, 120, 255)


def preview_of(tmp_path: Path, made: Made) -> Preview:
    path = tmp_path / "file"
    path.write_bytes(made.data)
    found = preview_or_reason(path)
    assert isinstance(found, Preview), found
    assert found.media_type == MEDIA_TYPE
    return found


def seen(preview: Preview) -> NDArray[np.uint8]:
    """The picture as a browser shows it."""
    shown: NDArray[np.uint8] = imagecodecs.webp_decode(preview.data)
    assert shown.shape[:2] == (preview.height, preview.width)
    return shown[:, :, :3]


def reason_of(tmp_path: Path, data: bytes, limits: WireLimits = LIMITS) -> str:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert make_preview(path, limits) is None
    found = preview_or_reason(path, limits)
    assert isinstance(found, str)
    assert "PHANTOM" not in found
    return found


def is_like(shown: NDArray[np.uint8], expected: NDArray[np.int64], tolerance: float = 6.0) -> bool:
    difference = shown.astype(np.float64) - (expected[:, :, None] if expected.ndim == 2 else expected)
    return bool(np.abs(difference).mean() < tolerance)


def modality(name: str) -> bytes:
    return Writer().text(0x00080060, "CS", name)


def window(centre: int, width: int, writer: Writer | None = None) -> tuple[bytes, bytes]:
    writer = writer or Writer()
    return writer.text(0x00281050, "DS", str(centre)), writer.text(0x00281051, "DS", str(width))


# --- every way to write one picture --------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("allocated", [8, 16, 32])
def test_native_grey_is_shown(syntax: str, allocated: int, tmp_path: Path) -> None:
    value = words(PICTURE, allocated, big=syntax == BIG_ENDIAN)
    if allocated == 8 and syntax == BIG_ENDIAN:
        value = np.frombuffer(value, np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    image = Image(90, 120, value, allocated=allocated, stored=allocated, vr="OW")
    made = Made(syntax, image, extra=window(128, 256, Writer.of(syntax)))
    assert is_like(seen(preview_of(tmp_path, made)), PICTURE)


@pytest.mark.parametrize("bit", [12, 15])
def test_signed_words_with_an_overlay_in_their_high_bits_are_shown(bit: int, tmp_path: Path) -> None:
    stored = (PICTURE - 128 & 0xFFF) | 1 << bit
    image = Image(90, 120, words(stored, 16), stored=12, signed=True)
    assert is_like(seen(preview_of(tmp_path, Made(image=image, extra=window(0, 256)))), PICTURE)


def test_bits_are_shown(tmp_path: Path) -> None:
    blob = np.hypot(*np.mgrid[-45:45, -60:60]) < 40
    value = np.packbits(np.stack([~blob, blob, ~blob]), bitorder="little").tobytes()
    shown = seen(preview_of(tmp_path, Made(image=Image(90, 120, value, allocated=1, stored=1, frames=3))))
    assert is_like(shown, blob.astype(np.int64) * 255)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_native_colours_are_shown(planar: int, photometric: str, tmp_path: Path) -> None:
    colours = np.zeros((90, 120, 3), dtype=np.int64)
    colours[:, :40], colours[:, 40:80], colours[:, 80:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = colours
    if photometric == "YBR_FULL":
        to_ybr = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
        stored = np.clip(np.rint(colours @ to_ybr.T + [0, 128, 128]), 0, 255).astype(np.int64)
    value = words(stored.transpose(2, 0, 1) if planar else stored, 8)
    image = Image(90, 120, value, 3, 8, 8, planar=planar, photometric=photometric)
    shown = seen(preview_of(tmp_path, Made(image=image)))
    assert is_like(shown[:, 5:35], colours[:, 5:35], 12)
    assert is_like(shown[:, 45:75], colours[:, 45:75], 12)
    assert is_like(shown[:, 85:115], colours[:, 85:115], 12)


def test_a_palette_is_shown_in_its_colours(tmp_path: Path) -> None:
    writer = Writer()
    ramp = struct.pack("<256H", *(n * 257 for n in range(256)))
    black = bytes(512)
    extra = [writer.element(0x00281101 + n, "US", struct.pack("<3H", 256, 0, 16)) for n in range(3)] + [
        writer.element(0x00281201 + n, "OW", ramp if n == 0 else black) for n in range(3)
    ]
    image = Image(90, 120, words(PICTURE, 8), allocated=8, stored=8, photometric="PALETTE COLOR")
    shown = seen(preview_of(tmp_path, Made(image=image, extra=extra)))
    assert shown[:, :, 0].mean() > 5 * shown[:, :, 1:].mean()


@pytest.mark.parametrize("syntax", [uid for uid in ENCAPSULATED if real_frame(uid) is not None])
def test_a_coded_frame_of_every_syntax_that_can_be_made_here_is_shown(syntax: str, tmp_path: Path) -> None:
    frame = real_frame(syntax)
    assert frame is not None
    colour = frame.startswith(b"\xff\xd8") and frame == jpeg()
    image = Image(64, 48, b"", 3, 8, 8, photometric="YBR_FULL_422") if colour else Image(40, 36, b"", stored=12)
    fragments = [frame + bytes(len(frame) % 2)]
    preview = preview_of(tmp_path, Made(syntax, image, fragments, extra=() if colour else window(2048, 4096)))
    assert (preview.height, preview.width) == (image.rows, image.columns)
    expected = smooth(64, 48, 255, channels=3) if colour else smooth(40, 36, 4095) // 16
    assert is_like(seen(preview), expected, 9)


def test_a_deflated_file_is_shown(tmp_path: Path) -> None:
    image = Image(90, 120, words(PICTURE, 8), allocated=8, stored=8)
    body = Made(EXPLICIT, image, meta=False, preamble=None, extra=window(128, 256)).data
    head = Made(DEFLATED).data[: -len(Made(DEFLATED, meta=False, preamble=None).data)]
    path = tmp_path / "file"
    path.write_bytes(head + zlib.compress(body, wbits=-15))
    found = preview_or_reason(path)
    assert isinstance(found, Preview)
    assert is_like(seen(found), PICTURE)


@pytest.mark.parametrize(
    "sample",
    [s for s in sample_files(broken=True) if not s.name.startswith(("rt_plan", "rt_ss", "wave"))],
    ids=lambda s: s.name,
)
def test_every_shared_picture_has_a_preview_within_its_bytes(sample: Sample) -> None:
    preview = make_preview(sample.path)
    assert preview is not None
    assert len(preview.data) <= LIMITS.preview_still_bytes_max
    assert max(preview.width, preview.height) <= LIMITS.preview_edge_pixels
    assert seen(preview).std() > 3


# --- bounds --------------------------------------------------------------------------------------------------------


def test_detector_noise_fits_too_by_becoming_smaller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 1 << 14, (1100, 1024))
    made = Made(image=Image(1100, 1024, words(noise, 16), stored=14), extra=(modality("DX"),))
    preview = preview_of(tmp_path, made)
    assert len(preview.data) <= LIMITS.preview_still_bytes_max
    assert max(preview.width, preview.height) >= 200


@pytest.mark.parametrize(("frames", "name"), [(1, "US"), (3, "US"), (3, "XA")])
def test_ultrasound_and_loops_have_half_of_the_bytes(frames: int, name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (frames, 480, 640, 3))
    image = Image(480, 640, words(noise, 8), 3, 8, 8, frames=frames, photometric="RGB")
    preview = preview_of(tmp_path, Made(image=image, extra=(modality(name),)))
    assert len(preview.data) <= LIMITS.preview_ultrasound_bytes_max


def test_large_pictures_become_small_and_small_ones_stay(tmp_path: Path) -> None:
    large = Made(image=Image(1500, 1201, bytes(1500 * 1201 * 2)))
    small = Made(image=Image(9, 5, bytes(90)))
    assert [(p.height, p.width) for p in (preview_of(tmp_path, each) for each in (large, small))] == [
        (1024, 820),
        (9, 5),
    ]


# --- loops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_middle_frame_stands_for_a_loop(frames: int, tmp_path: Path) -> None:
    value = b"".join(words(PICTURE if n == frames // 2 else PICTURE * 0, 8) for n in range(frames))
    image = Image(90, 120, value, allocated=8, stored=8, frames=frames)
    assert is_like(seen(preview_of(tmp_path, Made(image=image, extra=window(128, 256)))), PICTURE)


def test_only_the_middle_frame_of_a_coded_loop_is_decoded(tmp_path: Path) -> None:
    image = Image(64, 48, b"", 3, 8, 8, frames=3, photometric="YBR_FULL_422")
    broken = b"\xff\xd8 no JPEG at all "
    preview = preview_of(tmp_path, Made(BASELINE, image, [broken, jpeg() + bytes(len(jpeg()) % 2), broken]))
    assert is_like(seen(preview), smooth(64, 48, 255, channels=3), 9)


def test_a_loop_that_is_cut_off_shows_what_is_there(tmp_path: Path) -> None:
    image = Image(90, 120, words(PICTURE, 8) * 3 + bytes(500), allocated=8, stored=8, frames=40)
    assert is_like(seen(preview_of(tmp_path, Made(image=image, extra=window(128, 256)))), PICTURE)


# --- nothing to show -----------------------------------------------------------------------------------------------


def test_there_is_a_reason_where_there_is_no_picture(tmp_path: Path) -> None:
    assert "no picture" in reason_of(tmp_path, Made().data)
    assert "no picture" in reason_of(tmp_path, b"")
    assert "no picture" in reason_of(tmp_path, b"rubbish" * 100)
    assert "cut off" in reason_of(tmp_path, Made(image=Image(90, 120, bytes(100))).data)
    video = Made("1.2.840.10008.1.2.4.102", Image(90, 120, b"", 3, 8, 8), [b"\0\0\0\x18ftypmp42" * 20])
    assert "1.2.840.10008.1.2.4.102 cannot be decoded" in reason_of(tmp_path, video.data)


def test_pictures_beyond_a_limit_are_not_decoded(tmp_path: Path) -> None:
    limits = WireLimits(preview_samples_max=90 * 120 - 1)
    assert "larger than previews" in reason_of(tmp_path, Made(image=Image(90, 120, words(PICTURE, 16))).data, limits)
    bomb = jpeg().replace(b"\xff\xc0\x00\x11\x08\x00@\x000", b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff")
    assert bomb != jpeg()
    assert "larger than previews" in reason_of(tmp_path, Made(BASELINE, Image(64, 48, b"", 3, 8, 8), [bomb]).data)
    j2k = real_frame("1.2.840.10008.1.2.4.90")
    assert j2k is not None
    wide = j2k[:8] + struct.pack(">II", 1 << 20, 1 << 20) + j2k[16:]
    made = Made("1.2.840.10008.1.2.4.90", Image(40, 36, b""), [wide])
    assert "larger than previews" in reason_of(tmp_path, made.data)


def test_a_deflate_bomb_is_not_inflated(tmp_path: Path) -> None:
    head = Made(DEFLATED).data[: -len(Made(DEFLATED, meta=False, preamble=None).data)]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(4 << 20)) + packer.flush()
    limits = WireLimits(preview_inflated_bytes_max=1 << 20)
    assert "deflated" in reason_of(tmp_path, head + bomb, limits)
    assert "damaged" in reason_of(tmp_path, head + b"\xff" * 99)


def test_an_unreadable_file_is_an_error_and_no_reason(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        make_preview(tmp_path / "absent")


def test_previews_are_the_same_every_time(tmp_path: Path) -> None:
    made = Made(image=Image(90, 120, words(PICTURE, 16)))
    assert preview_of(tmp_path, made) == preview_of(tmp_path, made)


def test_pydicom_says_nothing_about_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    odd = Writer().text(0x00100030, "DA", "PHANTOM?") + Writer().text(0x00280301, "DS", "PHANTOM")
    preview_of(tmp_path, Made(image=Image(90, 120, words(PICTURE, 16)), extra=(odd,)))
    assert caplog.records == []
    assert list(recwarn) == []
