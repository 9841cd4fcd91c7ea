"""Watches the battery, and holds the machine's end up until what is being received is written, for a bounded time.

Every way to switch off goes through logind: the power key, F12, a battery that UPower calls empty. logind waits for
whoever holds a delay lock; this process holds one, closes the door when it is told, and gives the lock back when all
is written or ``WRITE_S_MAX`` has passed. When it is dead the unit is stopped in order all the same, without a word.
"""

from __future__ import annotations

import asyncio
import os

from appliance.bus import Followed, RefusedError, call, followed, properties
from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.power import Battery, Leaving
from appliance.domain.snapshot import PowerState
from appliance.logging import log
from appliance.power import battery as upower
from appliance.power.leaving import SAY_S, say_leaving
from appliance.store.errors import StoreError

LOGIND = "org.freedesktop.login1"
LOGIND_PATH = "/org/freedesktop/login1"
MANAGER = "org.freedesktop.login1.Manager"
RULES = (
    f"sender='{upower.SERVICE}',path='{upower.PATH}'",
    f"member='NameOwnerChanged',arg0='{upower.SERVICE}'",
    f"sender='{LOGIND}',path='{LOGIND_PATH}',member='PrepareForShutdown'",
    f"member='NameOwnerChanged',arg0='{LOGIND}'",
)
BEAT_S = 4.0
"""What is known of the battery is said again this often."""
WRITE_S_MAX = 45.0
"""logind waits 60 s (``InhibitDelayMaxSec``); a device whose images did not come through sends them again."""
SHOWN_S = 2.0
"""The screen says that all is written before it goes."""
PAUSE_S = 5.0


class Keeper:
    """One for a machine.

    Args:
        config: Of the unit.
        clock: For live files.
        bus_address: Of a D-Bus daemon; ``None``: the system's.
    """

    def __init__(self, config: UnitConfig, clock: Clock, bus_address: str | None = None) -> None:
        self._config = config
        self._clock = clock
        self._bus_address = bus_address
        self._lock: int | None = None
        self._is_followed: bool | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with followed(self._bus_address, RULES) as bus:
                    await self._follow(bus)
            except Exception as error:  # whatever the bus does, power must be watched again
                if self._is_followed is not False:
                    log("unit.power", "nobody tells of power", why=type(error).__name__)
                self._is_followed = False
            finally:
                self._give_back()
            await asyncio.sleep(PAUSE_S)

    async def _follow(self, bus: Followed) -> None:
        while not bus.is_gone:
            bus.news.clear()
            self._say(await _battery(bus))
            is_leaving = await _is_leaving(bus)
            if is_leaving and self._lock is not None:
                await self._leave(bus)
            elif is_leaving:  # after the lock was given back, until power goes or logind says that it does not
                say_leaving(self._config.run_dir, Leaving.OFF, self._clock)
                await asyncio.sleep(SAY_S)
                continue
            elif self._lock is None:
                self._lock = await _delay_lock(bus)
            try:
                async with asyncio.timeout(BEAT_S):
                    await bus.news.wait()
            except TimeoutError:
                continue

    async def _leave(self, bus: Followed) -> None:
        """Close the door, wait until all is written, and let the machine end."""
        log("unit.power", "power is about to go, the door is closed")
        began_s = self._clock.mono_s()
        power = None
        while not bus.is_gone and self._clock.mono_s() - began_s < WRITE_S_MAX:
            say_leaving(self._config.run_dir, Leaving.OFF, self._clock)
            power = await asyncio.to_thread(_power, self._config, self._clock)
            if power is not None and power.safe:
                await asyncio.sleep(SHOWN_S)
                break
            await asyncio.sleep(SAY_S)
        log("unit.power", "the machine may end", is_written=power is not None and power.safe)
        say_leaving(self._config.run_dir, Leaving.OFF, self._clock)
        self._give_back()

    def _say(self, battery: Battery | None) -> None:
        if not self._is_followed:
            log("unit.power", "power is watched", has_battery=battery is not None)
        self._is_followed = True
        upower.say_battery(self._config.run_dir, battery, self._clock)

    def _give_back(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def _power(config: UnitConfig, clock: Clock) -> PowerState | None:
    """What is being received and written; ``None`` when that cannot be read."""
    from appliance.picture import UnitReader

    try:
        with UnitReader(config, clock) as reader:
            return reader.live_facts().power
    except StoreError:
        return None


async def _battery(bus: Followed) -> Battery | None:
    try:
        told = await properties(bus.bus, upower.SERVICE, upower.PATH, upower.INTERFACE, may_start=True)
    except RefusedError:
        return None
    return upower.read_battery(told)


async def _is_leaving(bus: Followed) -> bool:
    try:
        told = await properties(bus.bus, LOGIND, LOGIND_PATH, MANAGER)
    except RefusedError:
        return False
    return told.get("PreparingForShutdown") is True


async def _delay_lock(bus: Followed) -> int | None:
    """A descriptor that holds the machine's end up while it is open; ``None`` where logind gives none."""
    from dbus_fast import Message, MessageType

    question = Message(
        destination=LOGIND,
        path=LOGIND_PATH,
        interface=MANAGER,
        member="Inhibit",
        signature="ssss",
        body=["shutdown", "Qafila", "what modalities send is being written", "delay"],
    )
    answer = await call(bus.bus, question)
    if answer.message_type is not MessageType.METHOD_RETURN or answer.signature != "h":
        return None
    return answer.unix_fds[int(answer.body[0])]
