"""A private D-Bus daemon, and a NetworkManager on it that says what a test wants; the real names, types and signals."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from dbus_fast import Message, MessageType, NameFlag, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

from appliance.bus import PROPERTIES
from sync.adapters.network import PATH, SERVICE

T = TypeVar("T")
CONFIGURATION = """<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow eavesdrop="true"/><allow user="*"/>
  </policy>
</busconfig>
"""
NONE = {"PrimaryConnection": Variant("o", "/"), "PrimaryConnectionType": Variant("s", ""), "State": Variant("u", 20)}


def connection(number: int, made_of: str, *, metered: int = 4, state: int = 70) -> dict[str, Variant]:
    """The properties while the active connection of that number is the primary one; metered 4 is "guess: no"."""
    return {
        "PrimaryConnection": Variant("o", f"{PATH}/ActiveConnection/{number}"),
        "PrimaryConnectionType": Variant("s", made_of),
        "Metered": Variant("u", metered),
        "State": Variant("u", state),
    }


class Bus:
    """A ``dbus-daemon`` that listens in a folder."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "bus"
        self._configuration = folder / "bus.conf"
        self._configuration.write_text(CONFIGURATION.format(socket=self._socket), encoding="utf-8")
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"unix:path={self._socket}"

    def start(self) -> None:
        """Returns when it listens."""
        command = ["dbus-daemon", "--nofork", "--print-address", f"--config-file={self._configuration}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith(self.address)

    def stop(self) -> None:
        """As a crash would: every connection ends."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._socket.unlink(missing_ok=True)
        self._process = None


class FakeManager:
    """One life of NetworkManager on a bus; ``close`` ends it."""

    def __init__(self, bus: Bus, properties: dict[str, Any], error_name: str = "") -> None:
        self._properties = properties
        self.error_name = error_name
        """When set, what every question is answered with."""
        self._asked = threading.Semaphore(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._bus = self._do(self._connect(bus.address))

    def tell(self, properties: dict[str, Variant]) -> None:
        """Change, and say so, as NetworkManager does."""
        self._properties = {**self._properties, **properties}
        self._do(self._signal(properties))

    def wait_until_asked(self, seconds_max: float = 10.0) -> None:
        """Until one more question came than was waited for."""
        assert self._asked.acquire(timeout=seconds_max), "nobody asks"

    def close(self) -> None:
        self._do(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10.0)

    async def _connect(self, address: str) -> MessageBus:
        bus = await MessageBus(address).connect()
        bus.add_message_handler(self._answer)
        assert await bus.request_name(SERVICE, NameFlag.DO_NOT_QUEUE) is RequestNameReply.PRIMARY_OWNER
        return bus

    async def _disconnect(self) -> None:
        self._bus.disconnect()
        with suppress(OSError, EOFError):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast: no types

    async def _signal(self, properties: dict[str, Variant]) -> None:
        body = [SERVICE, properties, []]
        await self._bus.send(Message.new_signal(PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", body))

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "GetAll":
            return None
        self._asked.release()
        if self.error_name:
            return Message.new_error(message, self.error_name, "as the test wants it")
        assert (message.path, message.interface, message.body) == (PATH, PROPERTIES, [SERVICE])
        return Message.new_method_return(message, "a{sv}", [self._properties])
