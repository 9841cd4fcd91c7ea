"""What ``encode`` promises beyond an exact file: small parts for each kind of picture, and no trace of a failure."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom.data
import pytest

from sync.wire.block import Kind
from sync.wire.effort import FAST, PLAIN, SMALL, Effort
from sync.wire.encode import encode
from sync.wire.errors import WireCancelled, WireError
from sync.wire.jxl import encode_picture
from sync.wire.limits import WireLimits
from sync.wire.octets import Octets
from sync.wire.rebuild import rebuild
from sync.wire.skeleton import needs_pixels
from tests.support.files import sample_files
from tests.support.wire_files import BASELINE, BIG_ENDIAN, EXPLICIT, IMPLICIT, Image, Made, Writer, jpeg, smooth, words
from tests.support.wire_parts import Parts, assert_comes_back, in_parts, rebuilt

PYDICOM_FILES = sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm"))


def kinds_of(parts: Parts) -> list[Kind]:
    """The kinds of the blocks of a pixel part, in order."""
    assert parts.pixels is not None
    octets = Octets(parts.pixels, "part")
    octets.take(35)
    octets.varint(1 << 60), octets.varint(1 << 60)
    kinds: list[Kind] = []
    while (kind := Kind(octets.byte())) is not Kind.END:
        kinds.append(kind)
        octets.varint(1 << 60)
        octets.take(octets.varint(1 << 60))
    octets.end()
    return kinds


# --- real files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", [FAST, Effort(4, 9)], ids=["fast", "better"])
@pytest.mark.parametrize("path", PYDICOM_FILES, ids=lambda p: p.stem)
def test_every_file_that_ships_with_pydicom_comes_back(path: Path, effort: Effort) -> None:
    assert_comes_back(path.read_bytes(), effort)


@pytest.mark.parametrize("path", [s.path for s in sample_files(broken=True)], ids=lambda p: p.stem)
def test_every_shared_image_comes_back(path: Path) -> None:
    assert_comes_back(path.read_bytes(), FAST)


# --- pictures ------------------------------------------------------------------------------------------------------

REFERENCE = smooth(200, 180, 1023)
REFERENCE_BYTES = len(encode_picture(REFERENCE.astype(np.uint16), 10, 5))
SLACK_BYTES = 200


@pytest.mark.parametrize(
    ("syntax", "image"),
    [
        (EXPLICIT, Image(200, 180, words(REFERENCE, 16), stored=10)),
        (IMPLICIT, Image(200, 180, words(REFERENCE, 16), stored=16)),
        (BIG_ENDIAN, Image(200, 180, words(REFERENCE, 16, big=True), stored=10)),
        (EXPLICIT, Image(200, 180, words(REFERENCE - 700, 16), stored=16, signed=True)),
        (EXPLICIT, Image(200, 180, words(REFERENCE - 700 & 0xFFF, 16), stored=12, signed=True)),
        (EXPLICIT, Image(200, 180, words(REFERENCE + 20_000, 16), stored=16)),
        (EXPLICIT, Image(200, 180, words(REFERENCE << 6, 16), stored=10, high=15)),
    ],
    ids=["plain", "implicit", "big", "signed", "unextended", "raised", "left"],
)
def test_the_same_picture_costs_the_same_however_it_is_written(syntax: str, image: Image) -> None:
    parts = assert_comes_back(Made(syntax, image).data, Effort(5, 19))
    assert parts.encoded.codec == "jxl"
    assert parts.encoded.pixels_bytes < REFERENCE_BYTES + SLACK_BYTES


@pytest.mark.parametrize("bit", [12, 15])
def test_an_overlay_in_unused_bits_does_not_ruin_the_picture(bit: int) -> None:
    overlay = np.zeros_like(REFERENCE)
    overlay[50:60, 30:150] = 1
    parts = assert_comes_back(Made(image=Image(200, 180, words(REFERENCE | overlay << bit, 16), stored=10)).data, SMALL)
    assert parts.encoded.pixels_bytes < REFERENCE_BYTES * 1.02 + SLACK_BYTES


def test_colours_cost_the_same_by_pixel_and_by_plane() -> None:
    picture = smooth(120, 100, 255, channels=3)
    picture[:, :, 1] = (picture[:, :, 0] + 3) & 255
    sizes = [
        assert_comes_back(Made(image=Image(120, 100, words(each, 8), 3, 8, 8, planar=planar)).data, SMALL)
        for each, planar in ((picture, 0), (picture.transpose(2, 0, 1), 1))
    ]
    assert sizes[0].encoded.pixels_bytes == sizes[1].encoded.pixels_bytes


@pytest.mark.parametrize("allocated", [1, 8, 16, 32, 64])
def test_pictures_of_every_width_are_coded_as_pictures(allocated: int) -> None:
    if allocated == 1:
        blob = np.hypot(*np.mgrid[-60:60, -50:50]) < 40
        value = np.packbits(blob, bitorder="little").tobytes()
    else:
        value = words(smooth(120, 100, 255) << (8 if allocated > 8 else 0), allocated)
    parts = assert_comes_back(Made(image=Image(120, 100, value, allocated=allocated, stored=allocated)).data, SMALL)
    assert kinds_of(parts) == [Kind.PICTURE]


def test_luma_with_half_the_chroma_is_coded_as_a_picture() -> None:
    picture = smooth(120, 200, 255).astype(np.uint8)
    value = np.stack([picture[:, ::2], picture[:, 1::2], picture[::, ::2] // 2, picture[:, ::2] // 3], axis=-1)
    image = Image(120, 200, value.tobytes(), 3, 8, 8, photometric="YBR_FULL_422")
    parts = assert_comes_back(Made(image=image).data, SMALL)
    assert kinds_of(parts) == [Kind.PICTURE]


def test_large_pictures_are_cut_into_bands_that_a_limit_bounds() -> None:
    limits = WireLimits(image_band_pixels_max=20_000, image_edge_pixels_max=150)
    data = Made(image=Image(200, 180, words(REFERENCE, 16), stored=10)).data
    parts = assert_comes_back(data, SMALL, limits)
    assert kinds_of(parts) == [Kind.PICTURE] * 3
    assert rebuilt(parts.encoded.skeleton, parts.pixels, WireLimits(image_pixels_max=20_000)) == data
    with pytest.raises(WireError, match="pixels"):
        rebuilt(parts.encoded.skeleton, parts.pixels, WireLimits(image_pixels_max=10_000))


def test_noise_is_not_made_larger_by_more_than_its_frame() -> None:
    data = Made(image=Image(200, 180, np.random.default_rng(0).bytes(72_000))).data
    for effort in (FAST, SMALL, PLAIN):
        parts = assert_comes_back(data, effort)
        assert len(parts.encoded.skeleton) + parts.encoded.pixels_bytes < len(data) + 150


def test_effort_zero_leaves_pictures_to_zstd() -> None:
    parts = assert_comes_back(Made(image=Image(200, 180, words(REFERENCE, 16))).data, PLAIN)
    assert kinds_of(parts) == [Kind.ZSTD]


# --- loops ---------------------------------------------------------------------------------------------------------


def _loop(frames: int, *, moving: bool) -> bytes:
    """Speckle that stays with a little that changes, or that is new in every frame."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (200, 180)).astype(np.int64)
    changed = [first]
    for number in range(1, frames):
        if moving:
            changed.append(rng.integers(0, 256, (200, 180)))
        else:
            changed.append(changed[-1].copy())
            changed[-1][number * 10 : number * 10 + 10] ^= 3
    return Made(image=Image(200, 180, words(np.stack(changed), 8), allocated=8, stored=8, frames=frames)).data


@pytest.mark.parametrize("effort", [FAST, Effort(3, 9), SMALL], ids=["1", "3", "7"])
def test_frames_that_stay_nearly_the_same_are_predicted(effort: Effort) -> None:
    one, many = assert_comes_back(_loop(1, moving=False), effort), assert_comes_back(_loop(6, moving=False), effort)
    more_bytes = many.encoded.pixels_bytes - one.encoded.pixels_bytes
    assert more_bytes < 5 * one.encoded.pixels_bytes * 0.15


def test_frames_that_are_all_new_are_not_predicted() -> None:
    one, many = (assert_comes_back(_loop(count, moving=True), SMALL) for count in (1, 4))
    assert many.encoded.pixels_bytes < 4.02 * one.encoded.pixels_bytes


def test_small_frames_share_a_block() -> None:
    value = words(np.concatenate([smooth(32, 32, 255, seed=n) for n in range(64)]), 8)
    parts = assert_comes_back(Made(image=Image(32, 32, value, allocated=8, stored=8, frames=64)).data)
    assert kinds_of(parts) == [Kind.PICTURE]


def test_a_black_loop_is_no_bomb_for_its_own_decoder() -> None:
    limits = WireLimits(ratio_free_bytes=20_000, ratio_max=50)
    data = Made(image=Image(300, 300, bytes(90_000 * 8), allocated=8, stored=8, frames=8)).data
    parts = assert_comes_back(data, SMALL, limits)
    assert Kind.FILLER in kinds_of(parts)
    assert parts.encoded.pixels_bytes * limits.ratio_max + limits.ratio_free_bytes >= parts.encoded.restores_bytes
    lean = in_parts(data, SMALL)
    with pytest.raises(WireError, match="out of bounds"):
        rebuilt(lean.encoded.skeleton, lean.pixels, limits)


# --- coded frames --------------------------------------------------------------------------------------------------


def _of_jpegs(frames: list[bytes], cuts: int = 1) -> Made:
    fragments = []
    for frame in frames:
        frame += bytes(len(frame) % 2)
        step = -(-len(frame) // cuts) // 2 * 2 + 2
        fragments += [frame[at : at + step] for at in range(0, len(frame), step)]
    return Made(BASELINE, Image(300, 280, b"", 3, 8, 8, frames=len(frames), photometric="YBR_FULL_422"), fragments)


@pytest.mark.parametrize("cuts", [1, 3])
def test_jpeg_frames_are_recompressed_over_their_fragments(cuts: int) -> None:
    made = _of_jpegs([jpeg(300, 280, quality=93, seed=n) for n in range(3)], cuts)
    assert made.fragments is not None
    assert len(made.fragments) == 3 * cuts
    parts = assert_comes_back(made.data, Effort(3, 9))
    assert kinds_of(parts) == [Kind.JPEG] * 3
    assert parts.encoded.pixels_bytes < 0.92 * parts.encoded.restores_bytes


def test_equal_jpeg_frames_are_found_by_zstd() -> None:
    parts = assert_comes_back(_of_jpegs([jpeg(300, 280, quality=93)] * 8).data, SMALL)
    assert kinds_of(parts) == [Kind.ZSTD]
    assert parts.encoded.pixels_bytes < parts.encoded.restores_bytes / 7


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(imagecodecs.ljpeg_encode(smooth(90, 80, 4095).astype(np.uint16), bitspersample=12), id="lossless"),
        pytest.param(jpeg(90, 80)[:-300], id="cut"),
        pytest.param(b"\xff\xd8" + jpeg(90, 80)[200:], id="damaged"),
        pytest.param(jpeg(90, 80).replace(b"\xff\xc0", b"\xff\xc9"), id="arithmetic"),
    ],
)
def test_jpeg_streams_that_libjxl_cannot_take_travel_as_bytes(stream: bytes) -> None:
    parts = assert_comes_back(_of_jpegs([bytes(stream)]).data, SMALL)
    assert kinds_of(parts)[0] in (Kind.ZSTD, Kind.RAW)


def test_a_jpeg_with_more_pixels_than_allowed_never_reaches_libjxl() -> None:
    made = _of_jpegs([jpeg(300, 280, quality=93)])
    assert kinds_of(assert_comes_back(made.data, SMALL, WireLimits(jpeg_pixels_max=300 * 280)))[0] is Kind.JPEG
    parts = assert_comes_back(made.data, SMALL, WireLimits(jpeg_pixels_max=300 * 280 - 1))
    assert Kind.JPEG not in kinds_of(parts)


# --- files without pixels, and large values ------------------------------------------------------------------------


def test_a_file_without_pixels_is_all_skeleton(tmp_path: Path) -> None:
    data = Made().data
    (tmp_path / "file").write_bytes(data)
    encoded = encode(tmp_path / "file", tmp_path / "pixels", SMALL)
    assert not (tmp_path / "pixels").exists()
    assert not needs_pixels(encoded.skeleton)
    assert (encoded.pixels_sha256, encoded.pixels_bytes, encoded.codec) == ("", 0, "none")


def test_a_document_travels_like_pixels_and_its_header_without_it() -> None:
    pdf = Writer().element(0x00420011, "OB", b"%PDF-1.7 text " * 20_000)
    parts = assert_comes_back(Made(extra=(pdf,)).data, SMALL)
    assert needs_pixels(parts.encoded.skeleton)
    assert len(parts.encoded.skeleton) < 2_000
    assert parts.encoded.restores_bytes == 280_000


def test_nested_pixels_stay_in_the_skeleton() -> None:
    icon = bytes(range(256)) * 4
    image = Image(200, 180, words(REFERENCE, 16))
    for undefined in (False, True):
        parts = assert_comes_back(Made(image=image, icon=icon, undefined=undefined).data)
        assert icon in parts.encoded.skeleton
        assert parts.encoded.restores_bytes == len(image.value)


# --- failures ------------------------------------------------------------------------------------------------------


def test_nothing_is_left_behind_when_it_is_cancelled(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_loop(4, moving=True))
    with pytest.raises(WireCancelled):
        encode(tmp_path / "file", tmp_path / "pixels", FAST, cancelled=lambda: True)
    assert not (tmp_path / "pixels").exists()


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1001))
    with pytest.raises(WireError, match="1001 bytes"):
        encode(tmp_path / "file", tmp_path / "pixels", FAST, WireLimits(file_bytes_max=1000))


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(_loop(4, moving=True))
    changed = path.read_bytes()[:-1] + b"?"

    def change() -> bool:
        path.write_bytes(changed)
        return False

    with pytest.raises(WireError):
        encode(path, tmp_path / "pixels", FAST, cancelled=change)
    assert not (tmp_path / "pixels").exists()


def test_a_coder_that_is_not_exact_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(picture: object, depth: int, effort: int) -> bytes:
        changed = np.array(picture)
        changed.flat[5] ^= 1
        return encode_picture(changed, depth, effort)

    monkeypatch.setattr("sync.wire.block.encode_picture", wrong)
    parts = assert_comes_back(Made(image=Image(200, 180, words(REFERENCE, 16))).data, SMALL)
    assert kinds_of(parts) == [Kind.ZSTD]


def test_rebuilding_needs_little_more_than_a_block_of_memory() -> None:
    data = Made(extra=(Writer().element(0x00420011, "OB", np.random.default_rng(0).bytes(30 << 20)),)).data
    parts = in_parts(data, FAST)
    assert parts.pixels is not None

    class Sink(io.BytesIO):
        def __init__(self) -> None:
            self.sizes: list[int] = []

        def write(self, piece: object) -> int:
            self.sizes.append(len(memoryview(piece)))  # type: ignore[arg-type]  # any buffer
            return self.sizes[-1]

    sink = Sink()
    assert rebuild(parts.encoded.skeleton, io.BytesIO(parts.pixels), sink) == hashlib.sha256(data).hexdigest()
    assert max(sink.sizes) <= 4 << 20
