"""How hard to try: chosen by the caller from link rate, backlog and CPU left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """JPEG XL effort, 1 (fast) to 9 (small), and zstd level, 1 to 19.

    Effort 0 leaves JPEG XL out: zstd alone, with little memory, for a file that its coder does not survive.

    Raises:
        ValueError: If one of them is out of range.
    """

    jxl: int = 7
    zstd: int = 19

    def __post_init__(self) -> None:
        if not 0 <= self.jxl <= 9 or not 1 <= self.zstd <= 19:
            raise ValueError("JPEG XL effort must be 0 to 9 and zstd level 1 to 19")


FAST = Effort(jxl=1, zstd=3)
SMALL = Effort(jxl=7, zstd=19)
PLAIN = Effort(jxl=0, zstd=9)
