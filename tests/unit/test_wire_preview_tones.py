"""The grey-scale pipeline against pydicom's, which shares no code with it, and against numbers worked out by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from sync.wire.preview_tones import averaged, fitted, grey, padding_mask, palette_colour, rgb_of_ybr, stored_values

RAMP = np.arange(0, 4096, dtype=np.float64).reshape(64, 64)


def header(**values: object) -> Dataset:
    """An image of 12 bits, unsigned, with these elements besides."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def table(keyword: str, descriptor: list[int], data: list[int]) -> dict[str, object]:
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "OW", struct.pack(f"<{len(data)}H", *data))
    return {keyword: Sequence([item])}


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(2048, 4096), (1000, 301), (3000, 2), (100.5, 37.25)])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.5, -1024)])
def test_windows_show_what_pydicom_shows(
    function: str, centre: float, width: float, slope: float, intercept: float
) -> None:
    described = header(
        WindowCenter=centre, WindowWidth=width, VOILUTFunction=function, RescaleSlope=slope, RescaleIntercept=intercept
    )
    modality = apply_modality_lut(RAMP.astype(np.uint16), described)
    with np.errstate(over="ignore"):  # pydicom's exponential runs over where the answer is 0
        shown = apply_voi_lut(modality, described).astype(np.float64)
    low, high = slope * 0 + intercept, slope * 4095 + intercept
    expected = (shown - low) / (high - low) * 255
    assert np.abs(grey(RAMP, described, 0) - expected).max() <= 0.51


def test_a_voi_table_goes_before_a_window_as_in_pydicom() -> None:
    curve = [int(4095 * (n / 4095) ** 2) for n in range(4096)]
    described = header(WindowCenter=1, WindowWidth=1, **table("VOILUTSequence", [4096, 0, 12], curve))
    expected = apply_voi_lut(RAMP.astype(np.uint16), described, prefer_lut=True) / 4095 * 255
    assert np.abs(grey(RAMP, described, 0) - expected).max() <= 0.51


def test_a_modality_table_goes_before_the_window() -> None:
    mapped = [4095 - n for n in range(4096)]
    described = header(WindowCenter=2048, WindowWidth=4096, **table("ModalityLUTSequence", [4096, 0, 16], mapped))
    plain = header(WindowCenter=2048, WindowWidth=4096)
    assert (grey(RAMP, described, 0) == grey(4095 - RAMP, plain, 0)).all()


def test_a_table_that_begins_below_zero_is_read_as_signed() -> None:
    described = header(PixelRepresentation=1, **table("VOILUTSequence", [256, 0xFF80, 8], list(range(256))))
    assert grey(np.array([[-128.0, 0.0, 127.0, -500.0, 500.0]]), described, 0).tolist() == [[0, 128, 255, 0, 255]]


def test_a_table_of_bytes_is_read_as_bytes() -> None:
    described = header(VOILUTSequence=Sequence([Dataset()]))
    described.VOILUTSequence[0].add_new(0x00283002, "US", [256, 0, 8])
    described.VOILUTSequence[0].add_new(0x00283006, "OW", bytes(range(256)))
    assert grey(np.array([[0.0, 77.0, 255.0]]), described, 0).tolist() == [[0, 77, 255]]


def test_a_table_that_declares_more_bits_than_it_uses_is_not_dark() -> None:
    described = header(**table("VOILUTSequence", [4096, 0, 16], list(range(4096))))
    assert grey(RAMP, described, 0).max() == 255


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_least_values_are_white_where_the_header_says_so_and_once(
    photometric: str, shape: str | None, inverted: bool
) -> None:
    described = header(PhotometricInterpretation=photometric, WindowCenter=2048, WindowWidth=4096)
    if shape:
        described.PresentationLUTShape = shape
    shown = grey(RAMP, described, 0)
    assert (shown[0, 0], shown[-1, -1]) == ((255, 0) if inverted else (0, 255))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"WindowCenter": 100},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 100, "WindowWidth": -5, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": "", "WindowWidth": ""},
    ],
)
def test_without_a_sensible_window_nearly_all_values_are_spread(values: dict[str, object]) -> None:
    picture = RAMP.copy()
    picture[0, 0] = 60_000  # a hot pixel takes no part of the range
    shown = grey(picture, header(**values), 0)
    assert shown.min() == 0
    assert shown.max() == 255
    assert abs(float(shown[32, 0]) - 127) < 3


def test_one_value_only_is_shown_as_grey() -> None:
    assert (grey(np.full((4, 4), 7.0), header(), 0) == 128).all()


def test_each_frame_has_its_own_window_in_an_enhanced_object() -> None:
    def group(centre: int) -> Dataset:
        window, item = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 100
        item.FrameVOILUTSequence = Sequence([window])
        return item

    described = header(
        PerFrameFunctionalGroupsSequence=Sequence([group(100), group(3000)]),
        SharedFunctionalGroupsSequence=Sequence([group(2000)]),
    )
    shown = [grey(RAMP, described, index).reshape(-1) for index in (0, 1, 2)]
    assert [int(np.argmax(each > 127)) for each in shown] == [100, 3000, 2000]


@pytest.mark.parametrize("limit", [None, 100])
def test_padding_is_black_and_takes_no_part_of_the_range(limit: int | None) -> None:
    values = np.full((40, 40), 50, dtype=np.uint16)
    values[10:30, 10:30] = np.arange(1000, 1400).reshape(20, 20)
    described = header(PixelPaddingValue=50, PhotometricInterpretation="MONOCHROME1")
    if limit is not None:
        described.PixelPaddingRangeLimit = limit
    used = padding_mask(values, described)
    assert used is not None
    shown = grey(averaged(values, 40, 40, used), described, 0)
    assert (shown[0] == 0).all()
    assert shown[10, 10] > 250
    assert shown[29, 29] < 5


def test_areas_that_are_partly_padding_average_the_rest() -> None:
    values = np.array([[0, 100], [0, 200]], dtype=np.uint16)
    assert averaged(values, 1, 1, values != 0).tolist() == [[150.0]]
    assert np.isnan(averaged(values, 1, 1, values == 7)).all()


@pytest.mark.parametrize(("height", "width"), [(7, 5), (10, 9), (3, 13), (1, 1)])
def test_averages_keep_the_mean_and_every_pixel_counts_by_its_area(height: int, width: int) -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (10, 13, 3)).astype(np.uint16)
    small = averaged(samples, height, width)
    assert small.shape == (height, width, 3)
    assert np.allclose(small.mean(axis=(0, 1)), samples.mean(axis=(0, 1)))
    assert np.allclose(averaged(samples[:, :, 0], height, width), small[:, :, 0])


def test_a_thin_line_does_not_vanish() -> None:
    picture = np.zeros((3000, 90), dtype=np.uint16)
    picture[1501] = 4095
    assert averaged(picture, 1024, 31).max() > 1000


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3000, 2500), (1024, 853)),
        ((1024, 768), (1024, 768)),
        ((1, 5000), (1, 1024)),
        ((1000, 1025), (999, 1024)),
        ((3, 2), (3, 2)),
    ],
)
def test_pictures_fit_and_are_never_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted(*size, 1024) == expected


@pytest.mark.parametrize("stored", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [0, 1])
def test_only_stored_bits_count_with_their_sign(stored: int, signed: int) -> None:
    values = np.array([0, 1, (1 << stored - 1) - 1, 1 << stored - 1, (1 << stored) - 1], dtype=np.uint16)
    described = header(BitsStored=stored, HighBit=stored - 1, PixelRepresentation=signed)
    rubbish = np.uint16(0xFFFF & ~((1 << stored) - 1))
    expected = [int(each) - (1 << stored if signed and each >> stored - 1 else 0) for each in values]
    assert stored_values(values | rubbish, described).tolist() == expected


def test_palettes_of_8_and_16_bits_give_the_same_colours() -> None:
    def described(bits: int, scale: int) -> Dataset:
        dataset = Dataset()
        for tag, values in ((1, [0, 255, 128]), (2, [0, 0, 64]), (3, [255, 1, 32])):
            dataset.add_new(0x00281100 + tag, "US", [3, 10, bits])
            data = struct.pack("<3H", *(each * scale for each in values)) if bits == 16 else bytes([*values, 0])
            dataset.add_new(0x00281200 + tag, "OW", data)
        return dataset

    indices = np.array([[9, 10, 11, 12, 200]], dtype=np.uint8)
    expected = [[[0, 0, 255], [0, 0, 255], [255, 0, 1], [128, 64, 32], [128, 64, 32]]]
    for made in (described(16, 257), described(8, 1), described(16, 1)):
        colours = palette_colour(indices, made)
        assert colours is not None
        assert colours.tolist() == expected
    assert palette_colour(indices, Dataset()) is None


@pytest.mark.parametrize(
    ("photometric", "ybr", "rgb"),
    [
        ("YBR_FULL", (255, 128, 128), (255, 255, 255)),
        ("YBR_FULL_422", (76, 85, 255), (254, 0, 0)),
        ("YBR_PARTIAL_422", (16, 128, 128), (0, 0, 0)),
        ("YBR_PARTIAL_422", (235, 128, 128), (255, 255, 255)),
    ],
)
def test_luma_and_chroma_become_colours(photometric: str, ybr: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    found = rgb_of_ybr(np.array([[ybr]], dtype=np.float64), photometric)[0, 0]
    assert np.abs(found - rgb).max() <= 1.0
