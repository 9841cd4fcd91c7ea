"""The screen in a real foot: what Orthanc draws is on the photograph of the screen, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.orthancs import orthanc_commands
from tests.tui.foot import SIZE_PX, Foot, Shot, foot, missing, tui_command
from tests.tui.picture_unit import PictureUnit, picture_unit

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}; 'make screen-pixels' does it"),
]
WIDTH_PX, HEIGHT_PX = SIZE_PX
SIDE, MIDDLE = slice(WIDTH_PX * 62 // 100, WIDTH_PX), slice(WIDTH_PX // 4, WIDTH_PX * 3 // 4)
"""Columns of pixels in which nothing is as bright as the picture: of the study's page, and of the picture's dialog."""
BRIGHT = 40
LINE_PX = 40
"""Lower than two lines of text is no picture."""
STEPS_OFF_MAX = 3
"""Sixels tell brightness in per cent, which is 2.55 steps."""


def is_list(shot: Shot) -> bool:
    """The first page: one study, and its line is bright from edge to edge."""
    return bool(((shot[20 : HEIGHT_PX // 2].min(axis=2) > 150).mean(axis=1) > 0.6).any())


def picture_in(shot: Shot, place: slice = SIDE) -> NDArray[np.uint8]:
    """The grey picture in these columns, cut out along its bright edge; of no size when there is none."""
    side = shot[:, place]
    bright = (side.min(axis=2) > BRIGHT) & (np.ptp(side, axis=2) < 8)
    rows = np.flatnonzero(bright.mean(axis=1) > 0.3)
    rows = rows[: 1 + int(np.argmax(np.append(np.diff(rows), 2) > 1))]  # the first that follow each other
    columns = np.flatnonzero(bright[rows].mean(axis=0) > 0.3) if len(rows) else rows
    if len(rows) < LINE_PX or not len(columns):
        return np.zeros((0, 0), np.uint8)
    return side[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0]


def is_the_picture(shot: Shot, unit: PictureUnit, place: slice = SIDE) -> bool:
    """Whether the picture on the screen is what Orthanc draws at that size."""
    shown = picture_in(shot, place)
    height, width = shown.shape
    if width < 200 or height < 200:
        return False
    wanted = unit.drawn(width, height)
    if (wanted.width_px, wanted.height_px) != (width, height):
        return False
    off = np.abs(np.frombuffer(wanted.pixels, np.uint8).reshape(height, width).astype(int) - shown)
    return bool((off <= STEPS_OFF_MAX).mean() > 0.999)


def test_foot_shows_the_pixels_that_orthanc_draws_and_a_sentence_when_it_has_died(tmp_path: Path) -> None:
    with picture_unit(tmp_path, orthanc_commands()[0]) as unit, foot(tmp_path, *tui_command(unit.toml)) as screen:
        screen.wait_for_shot(is_list, "the list of studies")
        screen.press("Return")
        shot = screen.wait_for_shot(lambda shot: is_the_picture(shot, unit), "the picture in foot")
        keep(screen, "study")
        beside = np.diff(picture_in(shot).astype(int), axis=1) != 0
        assert beside.mean() > 0.2, "half-cells change at every tenth pixel at most"

        screen.press("F1")
        screen.wait_for_shot(lambda shot: not picture_in(shot).size, "the help without a picture over it")
        keep(screen, "help")
        screen.press("Escape")
        screen.wait_for_shot(lambda shot: is_the_picture(shot, unit), "the picture after the help")

        screen.press("Return")
        large = screen.wait_for_shot(
            lambda shot: is_the_picture(shot, unit, MIDDLE), "the picture over the whole screen"
        )
        assert picture_in(large, MIDDLE).size > 1.2 * picture_in(shot).size
        keep(screen, "large")
        screen.press("Escape")
        screen.wait_for_shot(lambda shot: is_the_picture(shot, unit), "the picture beside the list")

        unit.kill_orthanc()
        screen.press("Right")
        screen.wait_for_shot(lambda shot: not picture_in(shot).size, "no picture when Orthanc has died")
        keep(screen, "died")
        screen.press("Escape")
        screen.wait_for_shot(is_list, "the list of studies, as before")


def keep(screen: Foot, name: str) -> None:
    """For whoever wants to look: beside the test's other files."""
    screen.shot()
    (screen.folder / "shot.png").rename(screen.folder / f"{name}.png")
