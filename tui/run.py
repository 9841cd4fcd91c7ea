"""Puts the screen together over a real unit: its reader, the machine's clock and time zone."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.clock import SystemClock, local_zone
from appliance.config import UnitConfig
from appliance.domain.rendered import Previews
from tui.app import QafilaApp
from tui.arabic import let_terminal_show_arabic
from tui.glass import from_environment
from tui.graphics.terminal import display
from tui.services import Courier, Services
from tui.unit_counter import UnitCounter
from tui.unit_desk import UnitDesk
from tui.unit_health import UnitHealth
from tui.unit_inbox import UnitInbox
from tui.unit_people import UnitPeople
from tui.unit_power import UnitPower
from tui.unit_reader import StoreReader


def made_app(
    config: UnitConfig, config_path: Path, previews: Previews, courier: Courier | None, graphics: str
) -> QafilaApp:
    """The screen of this unit, not shown yet; ``previews`` and ``courier`` reach what the screen itself may not;
    ``graphics`` stands before what the configuration says, unless empty."""
    clock = SystemClock()
    let_terminal_show_arabic(config.screen.arabic_names == "shaped")
    return QafilaApp(
        StoreReader(config, clock),
        clock,
        local_zone(clock.wall_s()),
        Services(
            counter=UnitCounter(config, clock),
            health=UnitHealth(config, config_path, clock),
            people=UnitPeople(config, clock),
            desk=UnitDesk(config, clock),
            previews=previews,
            courier=courier,
            inbox=UnitInbox(config, clock),
            power=UnitPower(config, clock),
            display=display(graphics or config.screen.graphics, os.environ),
            keyboard=from_environment(),
            lock_after_s=config.screen.lock_after_s,
        ),
        config.screen.language,
    )


def run(config: UnitConfig, config_path: Path, previews: Previews, courier: Courier | None, graphics: str = "") -> int:
    """Show the screen until somebody leaves it; the exit code of the command."""
    app = made_app(config, config_path, previews, courier, graphics)
    app.run()
    return app.return_code or 0
