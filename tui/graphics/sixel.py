"""Pictures as sixels (DEC STD 070): six rows of pixels in a band, and one line of the band for each colour in it.

A colour is told in per cent, so there are 101 greys, all of which are used. Colours that are no greys are rounded to a
cube of 150; together they fit into the 256 registers that every terminal with sixels has.
"""

from __future__ import annotations

import re
from functools import lru_cache

from appliance.domain.rendered import Rendered

BAND_ROWS = 6
_GREY_COUNT = 101
_RED_STEPS, _GREEN_STEPS, _BLUE_STEPS = 5, 6, 5
_GREY_SPREAD_MAX = 12
"""Between the channels of a pixel that is grey all the same: of a JPEG, or of a colour that nobody sees as one."""
_FIRST_CHARACTER = 0x3F
_TRANSPARENT = "\x1bP0;1q"
_END = "\x1b\\"
_LONG_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)
_PER_CENT = bytes((value * 100 + 127) // 255 for value in range(256))
_CHARACTERS = bytes((value + _FIRST_CHARACTER) & 0xFF for value in range(256))


class _Registers(dict[tuple[int, int, int], int]):
    """The register of a colour, worked out once."""

    def __missing__(self, rgb: tuple[int, int, int]) -> int:
        red, green, blue = rgb
        if max(rgb) - min(rgb) <= _GREY_SPREAD_MAX:
            found = _PER_CENT[sum(rgb) // 3]
        else:
            in_cube = _step(red, _RED_STEPS) * _GREEN_STEPS + _step(green, _GREEN_STEPS)
            found = _GREY_COUNT + in_cube * _BLUE_STEPS + _step(blue, _BLUE_STEPS)
        self[rgb] = found
        return found


def encoded(rendered: Rendered) -> str:
    """All that a terminal is sent, with its cursor where the picture begins; about 1 s of work for a million pixels."""
    width = rendered.width_px
    registers = _in_registers(rendered)
    head = f'{_TRANSPARENT}"1;1;{width};{rendered.height_px}'
    palette = "".join(_defined(number) for number in sorted(set(registers)))
    step = BAND_ROWS * width
    bands = (_band(registers[at : at + step], width) for at in range(0, len(registers), step))
    return head + palette + b"-".join(bands).decode("ascii") + _END


def _in_registers(rendered: Rendered) -> bytes:
    pixels = rendered.pixels
    if rendered.channel_count == 1:
        return pixels.translate(_PER_CENT)
    registers = _Registers()
    return bytes(map(registers.__getitem__, zip(pixels[0::3], pixels[1::3], pixels[2::3], strict=True)))


def _band(registers: bytes, width: int) -> bytes:
    rows = [registers[at : at + width] for at in range(0, len(registers), width)]
    return b"$".join(_line(rows, number, width) for number in sorted(set(registers)))


def _line(rows: list[bytes], number: int, width: int) -> bytes:
    """Where in the band one colour is: a bit for each row, the uppermost the lowest."""
    bits = 0
    for row, of_row in zip(rows, _tables(number), strict=False):
        if number in row:
            bits |= int.from_bytes(row.translate(of_row), "little")
    characters = bits.to_bytes(width, "little").translate(_CHARACTERS)
    return b"#%d" % number + _LONG_RUN.sub(lambda run: b"!%d%c" % (len(run[0]), run[0][0]), characters)


@lru_cache(maxsize=256)
def _tables(number: int) -> tuple[bytes, ...]:
    """For each row of a band: the row's bit where the colour is, nothing elsewhere."""
    return tuple(bytes((1 << row) * (one == number) for one in range(256)) for row in range(BAND_ROWS))


def _defined(number: int) -> str:
    if number < _GREY_COUNT:
        return f"#{number};2;{number};{number};{number}"
    rest, blue = divmod(number - _GREY_COUNT, _BLUE_STEPS)
    red, green = divmod(rest, _GREEN_STEPS)
    of_each = ((red, _RED_STEPS), (green, _GREEN_STEPS), (blue, _BLUE_STEPS))
    return f"#{number};2;" + ";".join(str(step * 100 // (steps - 1)) for step, steps in of_each)


def _step(value: int, steps: int) -> int:
    return (value * (steps - 1) + 127) // 255
