"""JPEG 2000 as a picture's codestream: exact, smaller where it is chosen, and checked before it is decoded."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.dicom.phantom import phantom_chest
from sync.wire import j2k, jxl, picture_codec
from sync.wire.errors import WireError
from sync.wire.raster import Samples


def once_lossy(edge: int = 640) -> Samples:
    """A film that was JPEG 2000 with loss before it was given to us."""
    original = phantom_chest(edge, edge, 12, seed=77).pixel_array
    lossy = imagecodecs.jpeg2k_encode(original, level=60, codecformat="j2k", reversible=False, bitspersample=12)
    film: Samples = np.minimum(imagecodecs.jpeg2k_decode(lossy), 4095).astype(np.uint16)
    return film


@given(st.integers(2, 16), st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_every_grey_picture_comes_back(depth: int, height: int, width: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 2**depth, (height, width))
    picture: Samples = values.astype(np.uint8) if depth <= 8 else values.astype(np.uint16)
    coded = j2k.encode_picture(picture, depth)
    assert j2k.is_codestream(coded)
    assert np.array_equal(picture_codec.decode_picture(coded, picture.shape, depth), picture)


def test_film_that_was_a_wavelet_is_coded_as_one_and_is_smaller() -> None:
    picture = once_lossy()
    coded = picture_codec.encode_picture(picture, 12, 7)
    assert j2k.is_codestream(coded)
    assert len(coded) < len(jxl.encode_picture(picture, 12, 7))
    assert np.array_equal(picture_codec.decode_picture(coded, picture.shape, 12), picture)


@pytest.mark.parametrize("effort", [1, 3])
def test_fast_efforts_stay_with_jpeg_xl(effort: int) -> None:
    assert not j2k.is_codestream(picture_codec.encode_picture(once_lossy(), 12, effort))


def test_other_films_stay_with_jpeg_xl() -> None:
    film = phantom_chest(640, 640, 12, seed=78).pixel_array
    assert not j2k.is_codestream(picture_codec.encode_picture(film, 12, 5))


@pytest.mark.parametrize(("shape", "depth"), [((64, 65), 12), ((65, 64), 12), ((64, 64), 11), ((64, 64, 3), 12)])
def test_another_picture_than_the_block_says_is_refused(shape: tuple[int, ...], depth: int) -> None:
    coded = j2k.encode_picture(np.zeros((64, 64), np.uint16), 12)
    with pytest.raises(WireError):
        picture_codec.decode_picture(coded, shape, depth)


@given(st.data())
def test_damage_is_an_error_or_another_picture_never_more(data: st.DataObject) -> None:
    picture = np.random.default_rng(5).integers(0, 4096, (40, 40)).astype(np.uint16)
    coded = bytearray(j2k.encode_picture(picture, 12))
    position = data.draw(st.integers(0, len(coded) - 1))
    coded[position] ^= data.draw(st.integers(1, 255))
    length = data.draw(st.integers(4, len(coded)))
    try:
        decoded = picture_codec.decode_picture(bytes(coded[:length]), (40, 40), 12)
    except WireError:
        return
    assert decoded.shape == (40, 40)
