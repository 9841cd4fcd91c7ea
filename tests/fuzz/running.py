"""Runs one target on drawn bytes, each example under a watch; a crash comes out as an error with the shortest bytes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed

from tests.fuzz.mutants import mutants
from tests.fuzz.targets import Target

EXAMPLE_S_MAX = 20
"""An example is a few kilobytes and takes a millisecond; this is for a loop without end, on a busy machine."""


class TooSlow(BaseException):
    """An example did not end; no ``Exception``, so that no parser can take it for its own."""


def fuzz(target: Target, seed: int, example_count: int, note: Callable[[bytes], object] = lambda data: None) -> int:
    """Draw so many examples; how many the parser took without an error.

    Args:
        target: What is fuzzed.
        seed: The same one draws the same examples.
        example_count: How many.
        note: Called with each example before it runs, for crashes that end the process.

    Raises:
        BaseException: What the parser raised and may not, or ``TooSlow``; its note shows the bytes.
    """
    taken_count = 0

    @with_seed(seed)
    @settings(
        max_examples=example_count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(mutants(target.seeds()))
    def each(data: bytes) -> None:
        nonlocal taken_count
        note(data)
        try:
            watched(target.run, data)
        except target.allowed:
            return
        taken_count += 1

    each()
    return taken_count


def watched(run: Callable[[bytes], object], data: bytes) -> None:
    """Run it, for ``EXAMPLE_S_MAX`` seconds at most.

    Raises:
        TooSlow: If it takes longer.
    """

    def too_slow(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"{len(data)} bytes take more than {EXAMPLE_S_MAX} s: {data[:200].hex()}")

    before = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(EXAMPLE_S_MAX)
    try:
        run(data)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
