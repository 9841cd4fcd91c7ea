"""Stills: what goes into DICOM is the picture and nothing else, upright, and what is odd is refused."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.imports.exif import orientation
from appliance.imports.jpeg import read_jpeg
from appliance.imports.kinds import Kind
from appliance.imports.pictures import Pixels, read_picture, upright
from appliance.imports.problems import ImportProblem
from tests.support.import_files import SECRET, chunk, exif, jpeg, pattern, png, png_header, segment, with_segments

PIXELS_MAX = 1_000_000


def refusal(kind: Kind, data: bytes) -> str:
    with pytest.raises(ImportProblem) as caught:
        read_picture(kind, data, PIXELS_MAX)
    return caught.value.code


def turned(pixels: Pixels, by: int) -> Pixels:
    """As a camera stores a scene when it is held so that EXIF says ``by``; written apart from ``upright``."""
    undo = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: np.swapaxes(p, 0, 1),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: np.rot90(np.swapaxes(p, 0, 1), 2),
        8: lambda p: np.rot90(p, -1),
    }[by]
    return np.ascontiguousarray(undo(pixels))


def test_plain_jpeg_keeps_its_coded_bytes() -> None:
    data = jpeg()
    picture = read_picture(Kind.JPEG, data, PIXELS_MAX)
    assert picture.baseline == data
    assert (picture.rows, picture.columns, picture.photometric) == (48, 64, "YBR_FULL_422")


@pytest.mark.parametrize(
    ("data", "photometric"),
    [
        (jpeg(subsampling="444"), "YBR_FULL"),
        (jpeg(subsampling="422"), "YBR_FULL_422"),
        (jpeg(pattern(colours=1)), "MONOCHROME2"),
    ],
)
def test_colours_are_named_as_they_are_coded(data: bytes, photometric: str) -> None:
    assert read_picture(Kind.JPEG, data, PIXELS_MAX).photometric == photometric


def test_adobe_flag_without_jfif_says_red_green_blue() -> None:
    plain = jpeg(subsampling="444")
    without_jfif = plain[:2] + plain[20:]
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
    assert read_jpeg(with_segments(without_jfif, adobe)).is_rgb
    assert not read_jpeg(with_segments(plain, adobe)).is_rgb


@pytest.mark.parametrize(
    "extra",
    [
        exif(1),
        exif(1, ">"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
        segment(0xE2, b"MPF\0" + SECRET),
        segment(0xED, b"Photoshop 3.0\0" + SECRET),
        segment(0xFE, SECRET),
        segment(0xE0, b"JFXX\0\x10" + SECRET),
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET),
    ],
)
def test_metadata_of_somebody_else_is_left_out(extra: bytes) -> None:
    data = with_segments(jpeg(), extra)
    assert SECRET in data
    clean = read_picture(Kind.JPEG, data, PIXELS_MAX).baseline
    assert clean
    assert SECRET not in clean
    assert b"DUPONT" not in clean


def test_file_behind_the_picture_is_left_out() -> None:
    assert read_picture(Kind.JPEG, jpeg() + b"PK\3\4" + SECRET, PIXELS_MAX).baseline == jpeg()
    picture = read_picture(Kind.PNG, png(pattern()) + b"PK\3\4", PIXELS_MAX)
    assert picture.pixels is not None
    assert np.array_equal(picture.pixels, pattern())


@pytest.mark.parametrize("by", range(1, 9))
def test_scene_is_upright_however_the_camera_was_held(by: int) -> None:
    scene = pattern()
    assert np.array_equal(upright(turned(scene, by), by), scene)
    picture = read_picture(Kind.PNG, png(turned(scene, by), chunk(b"eXIf", exif(by)[10:])), PIXELS_MAX)
    assert picture.pixels is not None
    assert np.array_equal(picture.pixels, scene)


def test_turned_jpeg_becomes_upright_pixels() -> None:
    scene = pattern()
    straight = read_picture(Kind.JPEG, jpeg(turned(scene, 6), "444"), PIXELS_MAX)
    picture = read_picture(Kind.JPEG, with_segments(jpeg(turned(scene, 6), "444"), exif(6)), PIXELS_MAX)
    assert straight.pixels is None
    assert picture.pixels is not None
    assert picture.pixels.shape == scene.shape
    assert np.abs(picture.pixels.astype(int) - scene).max() < 12
    assert (picture.photometric, picture.was_lossy) == ("RGB", True)


@pytest.mark.parametrize("block", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", exif(9)[10:]])
def test_odd_exif_means_upright(block: bytes) -> None:
    assert orientation(block) == 1


@pytest.mark.parametrize("colours", [1, 2, 3, 4])
def test_png_of_every_colour_type_gives_its_pixels(colours: int) -> None:
    pixels = np.stack([pattern(colours=1)] * colours, axis=-1) if colours > 1 else pattern(colours=1)
    if colours in (2, 4):
        pixels[..., -1] = 255
    picture = read_picture(Kind.PNG, png(pixels), PIXELS_MAX)
    expected = pixels if colours in (1, 3) else pixels[..., :-1].squeeze()
    assert picture.pixels is not None
    assert np.array_equal(picture.pixels, expected)
    assert picture.notes == ()


def test_see_through_parts_are_laid_on_black_and_said() -> None:
    pixels = np.full((4, 4, 4), 200, np.uint8)
    pixels[0, :, 3], pixels[1, :, 3] = 0, 128
    picture = read_picture(Kind.PNG, png(pixels), PIXELS_MAX)
    assert picture.pixels is not None
    assert [int(v) for v in picture.pixels[:3, 0, 0]] == [0, 100, 157]
    assert picture.notes == ("see-through",)


def _sof(body: bytes, marker: int = 0xC0) -> bytes:
    return b"\xff\xd8" + segment(marker, body) + segment(0xDA, bytes(6)) + b"\x12\x34\xff\xd9"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (jpeg()[:-2], "picture-cut"),
        (jpeg()[:300], "picture-cut"),
        (jpeg()[:2], "picture-cut"),
        (b"\xff\xd8\xff\xd9", "picture-damaged"),
        (jpeg().replace(b"\xff\xc0", b"\xff\xc3"), "picture-coding"),
        (_sof(b"\x0c\0\x10\0\x10\1\1\x11\0"), "picture-depth"),
        (_sof(b"\x08\0\x10\0\x10\4" + b"\1\x11\0" * 4), "picture-colours"),
        (_sof(b"\x08\0\0\0\x10\1\1\x11\0"), "picture-coding"),
        (_sof(b"\x08\xff\xff\xff\xff\1\1\x11\0"), "picture-too-large"),
        (_sof(b"\x08\0\x10\0\x10\1\1\x11\0"), "picture-damaged"),
        (b"\xff\xd8" + segment(0xFE, b"x") * 9000, "picture-damaged"),
    ],
)
def test_bad_jpeg_is_refused(data: bytes, code: str) -> None:
    assert refusal(Kind.JPEG, data) == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png(pattern())[:-1], "picture-cut"),
        (png(pattern())[:60], "picture-cut"),
        (png(pattern()).replace(b"IDAT", b"IDAX"), "picture-damaged"),
        (png(pattern(), chunk(b"acTL", bytes(8))), "picture-animated"),
        (png(pattern(), chunk(b"ABCD", b"")), "picture-damaged"),
        (png_header(100_000, 100_000), "picture-too-large"),
        (png_header(60_000, 1), "picture-damaged"),
        (png_header(64, 64, bits=16), "picture-depth"),
        (png_header(0, 64), "picture-damaged"),
        (png_header(64, 64, colour_type=5), "picture-damaged"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "picture-damaged"),
    ],
)
def test_bad_png_is_refused(data: bytes, code: str) -> None:
    assert refusal(Kind.PNG, data) == code


def test_endless_scans_are_refused() -> None:
    data = jpeg()
    start = data.index(b"\xff\xda")
    assert refusal(Kind.JPEG, data[:-2] + data[start:-2] * 200 + b"\xff\xd9") == "picture-damaged"
