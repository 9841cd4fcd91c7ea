"""Clipped anatomy is found; air, collimators, marks and good films are not taken for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from appliance.dicom.phantom import chest_pixels
from appliance.quality.saturation import clipped_shares, reached_from_edge

Picture = NDArray[Any]
TOP = 4095


def film(seed: int = 1) -> Picture:
    """A body with two dark lungs in air, noise on the body, air and collimator left to the tests (dark is low)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:400j, -1:1:400j]
    body = (x / 0.7) ** 2 + (y / 1.5) ** 2 < 1
    lungs = (((np.abs(x) - 0.3) / 0.22) ** 2 + (y / 0.5) ** 2) < 1
    picture = np.where(body, 2400.0, 0.0) - np.where(lungs, 1700.0, 0.0) + 300 * np.cos(9 * y) * body
    picture = picture + rng.normal(0, 40, picture.shape) * body
    clipped: Picture = np.clip(picture, 0, TOP).astype(np.uint16)
    return clipped


def collimated(picture: Picture, value: int, noise: float = 0.0, edge: int = 40) -> Picture:
    """The same under a collimator whose shadow has this value."""
    shadow = np.random.default_rng(5).normal(value, noise, picture.shape) if noise else np.full(picture.shape, value)
    framed = np.clip(shadow, 0, TOP).astype(np.uint16)
    framed[edge:-edge, edge:-edge] = picture[edge:-edge, edge:-edge]
    return framed


@pytest.mark.parametrize("seed", range(3))
def test_plain_air_beside_the_body_is_not_clipping(seed: int) -> None:
    dark, bright = clipped_shares(film(seed))
    assert dark < 0.005 and bright < 0.005


@pytest.mark.parametrize(("shadow", "noise"), [(TOP, 0.0), (0, 0.0), (3900, 12.0)])
def test_air_within_a_collimator_is_not_clipping(shadow: int, noise: float) -> None:
    dark, bright = clipped_shares(collimated(film(), shadow, noise))
    assert dark < 0.005 and bright < 0.005


@pytest.mark.parametrize("shadow", [None, TOP, 0])
def test_lungs_that_are_clipped_black_are_found(shadow: int | None) -> None:
    picture = np.maximum(film(), 900).astype(np.uint16)
    if shadow is not None:
        picture = collimated(picture, shadow if shadow else 900)
    dark, _ = clipped_shares(picture)
    assert 0.05 < dark < 0.3


def test_clipping_at_the_high_end_is_found_there() -> None:
    dark, bright = clipped_shares((TOP - np.maximum(film(), 900)).astype(np.uint16))
    assert dark < 0.005 and bright > 0.05


def test_marks_and_dead_pixels_are_not_clipping() -> None:
    picture = film()
    picture[60:75, 150:170] = TOP
    picture[::37, ::41] = TOP
    assert max(clipped_shares(picture)) < 0.005


@pytest.mark.parametrize("seed", range(4))
def test_phantom_chest_gives_no_dark_clipping(seed: int) -> None:
    assert clipped_shares(chest_pixels(400, 320, 12, seed))[0] < 0.005


@pytest.mark.parametrize("picture", [np.zeros((64, 64)), np.eye(64) * 3, np.zeros((3, 4000)), np.ones((1, 1))])
def test_picture_of_a_handful_of_levels_is_not_judged(picture: Picture) -> None:
    assert clipped_shares(picture.astype(np.int16)) == (0.0, 0.0)


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_what_hangs_together_with_the_edge_is_what_a_walk_reaches(mask: NDArray[np.bool_]) -> None:
    rows, columns = mask.shape
    wanted = np.zeros_like(mask)
    open_pixels = [(r, c) for r in range(rows) for c in range(columns) if r in (0, rows - 1) or c in (0, columns - 1)]
    while open_pixels:
        r, c = open_pixels.pop()
        if 0 <= r < rows and 0 <= c < columns and mask[r, c] and not wanted[r, c]:
            wanted[r, c] = True
            open_pixels += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    assert (reached_from_edge(mask) == wanted).all()
