"""What the unit's way to the world is made of, and when there is one again: as NetworkManager tells it over D-Bus.

It only hints. Where neither bus nor NetworkManager runs the kind stays unknown, delivery goes on all the same, and one
log line says so. Whatever goes away, the last kind that was told stays: a NetworkManager that restarts leaves the
connections as they are, and a budget must not be open to everything meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from appliance.bus import PROPERTIES, RefusedError, followed, properties
from appliance.domain.values import LinkKind
from appliance.logging import log

SERVICE = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
QUIET_S = 0.2
"""A change of connection is a burst of signals; it is read once, after this."""
PAUSE_S_FIRST = 1.0
PAUSE_S_MAX = 60.0
"""Between two tries to reach a bus."""

_KINDS = {
    "802-3-ethernet": LinkKind.WIRED,
    "bond": LinkKind.WIRED,
    "bridge": LinkKind.WIRED,
    "infiniband": LinkKind.WIRED,
    "pppoe": LinkKind.WIRED,
    "team": LinkKind.WIRED,
    "vlan": LinkKind.WIRED,
    "802-11-wireless": LinkKind.WIFI,
    "802-11-olpc-mesh": LinkKind.WIFI,
    "bluetooth": LinkKind.SIM,
    "cdma": LinkKind.SIM,
    "gsm": LinkKind.SIM,
    "wimax": LinkKind.SIM,
}
"""By NetworkManager's name of the primary connection's type; a phone over Bluetooth pays for its bytes."""
_METERED = (1, 3)
"""``NM_METERED_YES`` and ``NM_METERED_GUESS_YES``."""
_CONNECTED_LOCAL = 50
"""``NM_STATE_CONNECTED_LOCAL``; above it there is a default route."""


@dataclass(frozen=True, slots=True)
class Network:
    """What is known now."""

    kind: LinkKind = LinkKind.UNKNOWN
    up_count: int = 0
    """How often the unit got a way to the world, or another one, since this process looks; never falls."""


@dataclass(frozen=True, slots=True)
class Told:
    """What NetworkManager says of its primary connection, the one with the default route."""

    primary: str = ""
    """A new name for every activation; empty when there is none."""
    kind: LinkKind = LinkKind.UNKNOWN
    state: int = 0
    """``NMState``: rises with what can be reached."""


def read_told(properties: Mapping[str, Any]) -> Told:
    """NetworkManager's properties as far as they make sense; what does not counts as not said."""
    primary = properties.get("PrimaryConnection")
    if not isinstance(primary, str) or primary in ("", "/"):
        return Told()
    made_of = properties.get("PrimaryConnectionType")
    kind = _KINDS.get(made_of, LinkKind.UNKNOWN) if isinstance(made_of, str) else LinkKind.UNKNOWN
    if properties.get("Metered") in _METERED:
        kind = LinkKind.SIM
    state = properties.get("State")
    return Told(primary, kind, state if isinstance(state, int) else 0)


def next_network(network: Network, before: Told | None, told: Told) -> Network:
    """What is known after NetworkManager said ``told``; ``before`` is what it said last, ``None`` at the start."""
    if not told.primary:
        return network
    is_up = before is not None and (
        told.primary != before.primary or (told.state > before.state and told.state > _CONNECTED_LOCAL)
    )
    return replace(network, kind=told.kind, up_count=network.up_count + is_up)


class NetworkWatch:
    """Follows NetworkManager in a thread of its own, over restarts of it and of the bus; ``network`` never blocks.

    Args:
        bus_address: Of a D-Bus daemon; ``None``: the system's.
        pause_s_first: Before the second try to reach the bus; later ones wait longer.
    """

    def __init__(self, bus_address: str | None = None, pause_s_first: float = PAUSE_S_FIRST) -> None:
        self._bus_address = bus_address
        self._pause_s_first = pause_s_first
        self._network = Network()
        self._told: Told | None = None
        self._is_followed: bool | None = None
        self.try_count = 0
        """To reach the bus, so far."""
        self._loop = asyncio.new_event_loop()
        self._closed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    @property
    def network(self) -> Network:
        """What is known at this moment."""
        return self._network

    def close(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closed.set)
            self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._until_closed())
        self._loop.close()

    async def _until_closed(self) -> None:
        watching = asyncio.create_task(self._watch())
        await self._closed.wait()
        watching.cancel()
        await asyncio.wait([watching])

    async def _watch(self) -> None:
        pause_s = self._pause_s_first
        while True:
            self.try_count += 1
            try:
                await self._follow()
                pause_s = self._pause_s_first
            except Exception as error:  # whatever the bus does, it must not cost the unit its budgets for ever
                self._note_lost(type(error).__name__)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S_MAX)

    async def _follow(self) -> None:
        """Until the bus goes away; raises whatever dbus-fast does where there is none, or where it does not answer."""
        rules = (
            f"sender='{SERVICE}',path='{PATH}',interface='{PROPERTIES}'",
            f"member='NameOwnerChanged',arg0='{SERVICE}'",
        )
        async with followed(self._bus_address, rules) as bus:
            while not bus.is_gone:
                try:
                    self._hear(read_told(await properties(bus.bus, SERVICE, PATH, SERVICE)))
                except RefusedError as error:
                    self._note_lost(str(error))
                await bus.news.wait()
                await asyncio.sleep(QUIET_S)
                bus.news.clear()

    def _hear(self, told: Told) -> None:
        before = self._network
        self._network = next_network(before, self._told, told)
        self._told = told
        if not self._is_followed or self._network.kind is not before.kind:
            log("sync.network", "NetworkManager tells the link", kind=self._network.kind)
        self._is_followed = True

    def _note_lost(self, why: str) -> None:
        if self._is_followed is not False:
            log("sync.network", "no NetworkManager tells the link", why=why, kind=self._network.kind)
        self._is_followed = False
