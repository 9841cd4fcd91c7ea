"""A picture as it is drawn for orientation: small, 8 bits a channel, never what a diagnosis is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from appliance.domain.wording import Wording

_HEADER_BYTES_MAX = 1024
_CHANNEL_COUNTS = (1, 3)


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rows from the top, in each row pixels from the left, in each pixel one grey byte or three of RGB."""

    width_px: int
    height_px: int
    channel_count: int
    pixels: bytes

    def rgb(self, x: int, y: int) -> tuple[int, int, int]:
        """One pixel; outside of the picture it is black."""
        if not (0 <= x < self.width_px and 0 <= y < self.height_px):
            return 0, 0, 0
        at = (y * self.width_px + x) * self.channel_count
        if self.channel_count == 1:
            return (self.pixels[at],) * 3
        return self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]


@dataclass(frozen=True, slots=True)
class Preview:
    """One frame, or the sentence that says why it cannot be shown now."""

    rendered: Rendered | None
    frame_number: int = 1
    """From 1, as viewers count."""
    frame_count: int = 1
    sentence: Wording | None = None


class Previews(Protocol):
    """Draws stored pictures small; may block for a few seconds, never longer, and never raises."""

    def preview(self, sop_instance_uid: str, frame_number: int, width_px: int, height_px: int) -> Preview:
        """Frame ``frame_number`` (from 1; 0: the middle one, -1: the last one) that fits into so many pixels."""
        ...


def read_pam(data: bytes) -> Rendered:
    """A Portable Arbitrary Map of 8 bits a channel, as Orthanc renders it.

    Raises:
        ValueError: If it is none, is cut, or has another depth.
    """
    head, end, pixels = data.partition(b"ENDHDR\n")
    if not end or len(head) > _HEADER_BYTES_MAX or not head.startswith(b"P7\n"):
        raise ValueError("no PAM picture")
    facts = dict(line.split(b" ", 1) for line in head.splitlines()[1:] if b" " in line)
    try:
        width, height, depth, highest = (int(facts[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except KeyError as error:
        raise ValueError("a PAM picture without its size") from error
    if depth not in _CHANNEL_COUNTS or highest != 255 or width < 1 or height < 1:
        raise ValueError("another kind of PAM picture")
    if len(pixels) != width * height * depth:
        raise ValueError("a cut PAM picture")
    return Rendered(width, height, depth, pixels)
