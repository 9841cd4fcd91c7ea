"""When something happened, as a value handed in, so that nothing in the store reads a clock itself."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.clock import Clock, utc_text


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks.

    ``wall_s`` is for people and may be wrong by years; order within a boot comes from ``mono_s``.
    """

    wall_s: float
    boot_id: str
    mono_s: float

    @property
    def at(self) -> str:
        """``wall_s`` as UTC text, the form of every ``_at`` column."""
        return utc_text(self.wall_s)


def stamp_of(clock: Clock) -> Stamp:
    """The present moment as ``clock`` believes it."""
    return Stamp(wall_s=clock.wall_s(), boot_id=clock.boot_id(), mono_s=clock.mono_s())
