"""A hypothesis strategy for damaged files: sound ones with a few changes that break parsers, and plain noise."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

MUTATION_COUNT_MAX = 6
NOISE_BYTES_MAX = 400
_NUMBERS = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Where lengths and counts go wrong."""


@st.composite
def _mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, MUTATION_COUNT_MAX))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 6))
        if kind == 0:
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 1:
            number = draw(st.sampled_from(_NUMBERS))
            width = draw(st.sampled_from((1, 2, 4)))
            order = draw(st.sampled_from("<>"))
            data[at : at + width] = (
                struct.pack(f"{order}Q", number)[:width] if order == "<" else struct.pack(">Q", number)[-width:]
            )
        elif kind == 2:
            del data[at : at + draw(st.integers(1, 64))]
        elif kind == 3:
            data[at:at] = data[at : at + draw(st.integers(1, 64))] * draw(st.integers(1, 4))
        elif kind == 4:
            data[at:at] = draw(st.binary(max_size=16))
        elif kind == 5:
            del data[at:]
        else:
            other = draw(st.sampled_from(seeds))
            start = draw(st.integers(0, len(other)))
            data[at:] = other[start:]
    return bytes(data)


def mutants(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Mostly changed ``seeds``, sometimes noise."""
    return st.one_of(_mutated(seeds), _mutated(seeds), _mutated(seeds), st.binary(max_size=NOISE_BYTES_MAX))
