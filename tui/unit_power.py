"""The way of F12 to a real unit: the door is closed by a live file, the machine ended by the configured command."""

from __future__ import annotations

import subprocess

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.power import Leaving
from appliance.domain.wording import told
from appliance.logging import log
from appliance.power import leaving
from tui.reader import ReadTrouble

COMMAND_S_MAX = 30.0


class UnitPower:
    """Implements ``tui.services.PowerOff``."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._run_dir = config.run_dir
        self._command = config.screen.power_off_command
        self._clock = clock

    @property
    def switches_off(self) -> bool:
        """As the protocol says."""
        return bool(self._command)

    def leave(self) -> None:
        """As the protocol says."""
        leaving.say_leaving(self._run_dir, Leaving.READY, self._clock)

    def stay(self) -> None:
        """As the protocol says."""
        leaving.stay(self._run_dir)

    def off(self) -> None:
        """As the protocol says."""
        try:
            subprocess.run(
                self._command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=COMMAND_S_MAX
            )
        except (OSError, subprocess.SubprocessError) as error:
            log("tui", "cannot switch off", why=type(error).__name__)
            raise ReadTrouble(
                told("The unit could not be switched off from here. Nothing is lost; press the power key.")
            ) from error
