"""Pictures as pixels: what is written to a terminal is decoded again and compared with what Orthanc drew."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.domain.rendered import Rendered
from tests.support.orthancs import orthanc_commands
from tests.tui import sixels
from tests.tui.picture_unit import PictureUnit, picture_unit
from tests.tui.terminal import CTRL_Q, DOWN, ENTER, ESCAPE, F1, RIGHT, Terminal, terminal
from tui.graphics import kitty, sixel
from tui.graphics.canvas import PICTURE_PX_MAX, Canvas, Display, Graphics
from tui.graphics.terminal import guessed

CELL_PX = (8, 16)
PIXELS, CELLS = "pas pour le diagnostic", "s'orienter"
"""Of the French captions."""


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[PictureUnit]:
    with picture_unit(tmp_path, orthanc_commands()[0]) as made:
        yield made


def opened_study(screen: Terminal) -> None:
    screen.wait_for_text("PATIENT, Number0")
    screen.type(ENTER)


def last_picture(screen: Terminal) -> str:
    """What stands there when nothing more is written."""
    screen.wait_until(lambda: bool(sixels.pictures(screen.seen.decode("utf-8", "ignore"))), "a picture in sixels")
    screen.press(b"")
    return sixels.pictures(screen.seen.decode("utf-8", "ignore"))[-1]


def grey_levels(rendered: Rendered) -> list[list[int]]:
    width = rendered.width_px
    return [list(rendered.pixels[at : at + width]) for at in range(0, len(rendered.pixels), width)]


def in_per_cent(rendered: Rendered) -> list[list[tuple[int, int, int]]]:
    return [[((grey * 100 + 127) // 255,) * 3 for grey in row] for row in grey_levels(rendered)]


@pytest.mark.orthanc
def test_sixels_in_the_terminal_are_the_picture_that_orthanc_draws_until_orthanc_dies(unit: PictureUnit) -> None:
    with terminal(unit.toml, "--graphics", "sixel", rows=30, columns=110, cell_px=CELL_PX) as screen:
        opened_study(screen)
        shown = last_picture(screen)
        rows = sixels.pixels(shown)
        assert len(rows) > 200
        assert rows == in_per_cent(unit.drawn(len(rows[0]), len(rows)))
        assert PIXELS in screen.text and CELLS not in screen.text

        screen.press(F1)
        screen.seen = b""
        screen.press(DOWN)
        assert not sixels.pictures(screen.seen.decode("utf-8", "ignore")), "a picture is drawn over the help"
        screen.press(ESCAPE)
        assert last_picture(screen) == shown

        unit.kill_orthanc()
        screen.seen = b""
        screen.type(RIGHT)
        screen.wait_until(lambda: "rien n'est perdu" in screen.text, "a sentence instead of the picture")
        assert not sixels.pictures(screen.seen.decode("utf-8", "ignore"))
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


@pytest.mark.orthanc
def test_kitty_is_sent_the_picture_that_orthanc_draws_and_cells_that_show_it(unit: PictureUnit) -> None:
    with terminal(unit.toml, "--graphics", "kitty", rows=30, columns=110, cell_px=CELL_PX) as screen:
        opened_study(screen)
        screen.wait_until(lambda: PIXELS in screen.text, "the label of pixels")
        screen.press(b"")
        width, height, rgb, columns, rows = kitty_picture(screen.seen.decode("utf-8", "ignore"))
        assert rgb[0::3] == rgb[1::3] == rgb[2::3] == unit.drawn(width, height).pixels
        assert (columns, rows) == (-(-width // CELL_PX[0]), -(-height // CELL_PX[1]))
        after = screen.seen.decode("utf-8", "ignore").rpartition("\x1b_G")[2]
        lines = re.findall("(?:\U0010eeee[^\U0010eeee\x1b]*)+", after)
        assert [line.count("\U0010eeee") for line in lines] == [columns] * rows
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


def kitty_picture(stream: str) -> tuple[int, int, bytes, int, int]:
    """The last one of a stream: width, height, RGB, and in how many columns and rows it is to be shown."""
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", stream)
    starts = [number for number, (keys, _) in enumerate(chunks) if "a=T" in keys]
    last = chunks[starts[-1] :]
    assert all(len(data) <= kitty.CHUNK_BYTES and len(data) % 4 == 0 for _, data in last)
    assert [keys[-1] for keys, _ in last] == ["1"] * (len(last) - 1) + ["0"]
    told = dict(pair.split("=") for pair in last[0][0].split(","))
    rgb = zlib.decompress(b64decode("".join(data for _, data in last)))
    return int(told["s"]), int(told["v"]), rgb, int(told["c"]), int(told["r"])


@pytest.mark.orthanc
@pytest.mark.parametrize("options", [("--graphics", "sixel"), ("--graphics", "cells"), ()])
def test_terminal_that_tells_no_size_or_has_no_name_for_pixels_gets_half_cells(
    unit: PictureUnit, options: tuple[str, ...]
) -> None:
    cell_px = (0, 0) if "sixel" in options else CELL_PX
    with terminal(unit.toml, *options, rows=30, columns=110, cell_px=cell_px) as screen:
        opened_study(screen)
        screen.wait_until(lambda: CELLS in screen.text, "the label of half-cells")
        screen.press(b"")
        assert screen.text.count("▀") > 400 and not sixels.pictures(screen.seen.decode("utf-8", "ignore"))
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


@pytest.mark.parametrize(
    ("environment", "graphics"),
    [
        ({"TERM": "foot"}, Graphics.SIXEL),
        ({"TERM": "foot-extra"}, Graphics.SIXEL),
        ({"TERM": "xterm-kitty"}, Graphics.KITTY),
        ({"TERM": "foot", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, Graphics.CELLS),
        ({"TERM": "xterm-256color"}, Graphics.CELLS),
        ({"TERM": "linux"}, Graphics.CELLS),
        ({"TERM": "tmux-256color"}, Graphics.CELLS),
        ({}, Graphics.CELLS),
    ],
)
def test_terminal_is_known_by_its_name_and_half_cells_go_over_ssh(
    environment: dict[str, str], graphics: Graphics
) -> None:
    assert guessed(environment) is graphics


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 7), (33, 12), (3, 6)])
def test_sixels_of_any_size_hold_every_pixel_once(width: int, height: int) -> None:
    grey = Rendered(width, height, 1, bytes(number * 37 % 256 for number in range(width * height)))
    (picture,) = sixels.pictures(sixel.encoded(grey))
    assert sixels.pixels(picture) == in_per_cent(grey)


def test_sixels_of_colours_are_near_and_grey_in_colour_stays_grey() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 20), (90, 92, 88), (255, 255, 255), (0, 0, 0)]
    rendered = Rendered(len(colours), 1, 3, bytes(channel for colour in colours for channel in colour))
    (row,) = sixels.pixels(sixels.pictures(sixel.encoded(rendered))[0])
    for wanted, got in zip(colours, row, strict=True):
        assert got is not None
        assert all(abs(channel * 100 / 255 - shown) <= 13 for channel, shown in zip(wanted, got, strict=True))
    assert row[4] == (35, 35, 35) and row[5] == (100, 100, 100) and row[0] == (100, 0, 0)


def test_registers_are_no_more_than_every_terminal_has() -> None:
    every = bytes(channel for red in range(0, 256, 15) for green in range(0, 256, 15) for blue in range(0, 256, 15)
                  for channel in (red, green, blue))  # fmt: skip
    picture = sixel.encoded(Rendered(18 * 18, 18, 3, every))
    assert max(int(number) for number in re.findall(r"#(\d+)", picture)) < 256


@pytest.mark.parametrize("graphics", [Graphics.SIXEL, Graphics.KITTY])
@pytest.mark.parametrize("cells", [(1, 1), (45, 20), (200, 70)])
def test_picture_never_leaves_its_place(graphics: Graphics, cells: tuple[int, int]) -> None:
    canvas = Display(graphics, lambda: (9, 17)).canvas(*cells)
    width, height = canvas.size_px
    assert 0 < width <= min(cells[0] * 9, PICTURE_PX_MAX) and 0 < height <= min(cells[1] * 17, PICTURE_PX_MAX)
    assert height % sixel.BAND_ROWS == 0
    picture = canvas.made_ready(Rendered(width, height, 1, bytes(width * height)))
    assert picture.columns <= cells[0] and picture.rows <= cells[1]
    moves = re.findall(r"\x1b\[(\d+);(\d+)H", picture.written(3, 5))
    assert all(6 <= int(row) <= 5 + cells[1] and 4 <= int(column) <= 3 + cells[0] for row, column in moves)


def test_place_without_a_known_cell_size_is_of_half_cells() -> None:
    assert Display(Graphics.SIXEL, lambda: None).canvas(10, 5) == Canvas(Graphics.CELLS, 10, 5)
