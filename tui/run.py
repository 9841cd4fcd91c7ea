"""Puts the screen together over a real unit: its reader, the machine's clock and time zone."""

from __future__ import annotations

from appliance.clock import SystemClock, local_zone
from appliance.config import UnitConfig
from tui.app import QafilaApp
from tui.unit_reader import StoreReader


def run(config: UnitConfig) -> int:
    """Show the screen until somebody leaves it; the exit code of the command."""
    clock = SystemClock()
    app = QafilaApp(StoreReader(config, clock), clock, local_zone(clock.wall_s()))
    app.run()
    return app.return_code or 0
