"""Reads sixels back: a decoder of its own, as simple as the format, for what tests take from a terminal's stream."""

from __future__ import annotations

import re
from itertools import product

START = re.compile(r'\x1bP[0-9;]*q"1;1;(\d+);(\d+)')
END = "\x1b\\"
_TOKEN = re.compile(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|([$-])|([?-~])", re.DOTALL)

Colour = tuple[int, int, int]
"""In per cent."""


def pictures(stream: str) -> list[str]:
    """Every complete picture in what a program wrote."""
    return [
        stream[one.start() : stream.index(END, one.end())]
        for one in START.finditer(stream)
        if END in stream[one.end() :]
    ]


def pixels(picture: str) -> list[list[Colour | None]]:
    """Rows of colours; ``None`` where nothing was drawn."""
    head = START.match(picture)
    assert head, picture[:40]
    width, height = int(head[1]), int(head[2])
    rows: list[list[Colour | None]] = [[None] * width for _ in range(-(-height // 6) * 6)]
    palette: dict[int, Colour] = {}
    x, top, colour = 0, 0, (0, 0, 0)
    at = head.end()
    for token in _TOKEN.finditer(picture, at):
        assert token.start() == at, f"no sixel at {at}: {picture[at : at + 20]!r}"
        at = token.end()
        number, red, green, blue, count, repeated, control, single = token.groups()
        if number is not None:
            if red is not None:
                palette[int(number)] = (int(red), int(green), int(blue))
            colour = palette[int(number)]
        elif control is not None:
            x, top = 0, top + (6 if control == "-" else 0)
        else:
            bits = ord(repeated or single) - 0x3F
            end = x + int(count or 1)
            for row, column in product(range(6), range(x, end)):
                if bits >> row & 1:
                    assert rows[top + row][column] is None, "a pixel is drawn twice"
                    rows[top + row][column] = colour
            x = end
    assert at == len(picture)
    assert all(one is None for row in rows[height:] for one in row)
    return rows[:height]
