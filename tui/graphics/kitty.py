"""Pictures by kitty's graphics protocol, with Unicode placeholders: a picture goes where text is written over it.

Needs kitty 0.28 or ghostty; other terminals that know the protocol do not know the placeholders.
"""

from __future__ import annotations

import zlib
from base64 import b64encode

from appliance.domain.rendered import Rendered

IMAGE_ID = 0x514146
"""One for every picture: sent again it replaces the one before, so the terminal never holds more than one of ours."""
CHUNK_BYTES = 4096
_PLACEHOLDER = chr(0x10EEEE)
_ROW_MARKS = (
    "0305 030D 030E 0310 0312 033D 033E 033F 0346 034A 034B 034C 0350 0351 0352 0357 035B 0363 0364 0365 "
    "0366 0367 0368 0369 036A 036B 036C 036D 036E 036F 0483 0484 0485 0486 0487 0592 0593 0594 0595 0597 "
    "0598 0599 059C 059D 059E 059F 05A0 05A1 05A8 05A9 05AB 05AC 05AF 05C4 0610 0611 0612 0613 0614 0615 "
    "0616 0617 0657 0658 0659 065A 065B 065D 065E 06D6 06D7 06D8 06D9 06DA 06DB 06DC 06DF 06E0 06E1 06E2 "
    "06E4 06E7 06E8 06EB 06EC"
)
"""The first of kitty's ``rowcolumn-diacritics.txt``: the sign that means row 0, row 1, ..."""
_MARKS = tuple(chr(int(code, 16)) for code in _ROW_MARKS.split())
ROW_COUNT_MAX = len(_MARKS)


def transmission(rendered: Rendered, columns: int, rows: int) -> str:
    """The pixels, to be shown in so many cells; nothing is seen of them yet, and the terminal answers nothing."""
    data = b64encode(zlib.compress(_as_rgb(rendered), 1)).decode("ascii")
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
    what = f"a=T,U=1,i={IMAGE_ID},q=2,f=24,o=z,s={rendered.width_px},v={rendered.height_px},c={columns},r={rows},"
    sent = []
    for number, chunk in enumerate(chunks):
        more = int(number < len(chunks) - 1)
        sent.append(f"\x1b_G{what if number == 0 else ''}m={more};{chunk}\x1b\\")
    return "".join(sent)


def placeholder_row(row: int, columns: int) -> str:
    """The cells of one row; their colour names the picture, a sign on the first says which row, the others count on."""
    red, green, blue = IMAGE_ID >> 16, IMAGE_ID >> 8 & 0xFF, IMAGE_ID & 0xFF
    first = _PLACEHOLDER + _MARKS[row] + _MARKS[0]
    return f"\x1b[0;38;2;{red};{green};{blue}m{first}{_PLACEHOLDER * (columns - 1)}\x1b[0m"


def _as_rgb(rendered: Rendered) -> bytes:
    if rendered.channel_count == 3:
        return rendered.pixels
    rgb = bytearray(3 * len(rendered.pixels))
    rgb[0::3] = rgb[1::3] = rgb[2::3] = rendered.pixels
    return bytes(rgb)
