"""UPower and logind on a private bus, saying what a test wants; the real names, types and signals."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from dbus_fast import Message, MessageType, NameFlag, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

from appliance.bus import PROPERTIES
from appliance.power import battery, keeper
from tests.support.network_manager import Bus

T = TypeVar("T")
FULL = {
    "Type": Variant("u", 2),
    "State": Variant("u", 4),
    "Percentage": Variant("d", 100.0),
    "IsPresent": Variant("b", True),
    "WarningLevel": Variant("u", 1),
}


class FakePowerServices:
    """One life of both; a delay lock is a pipe, as logind's is: closed by its holder, it is given back."""

    def __init__(self, bus: Bus, battery_properties: dict[str, Variant]) -> None:
        self._battery = battery_properties
        self._is_preparing = False
        self.locks: list[int] = []
        """Read ends of the locks that were taken."""
        self.locked = threading.Semaphore(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._bus = self._do(self._connect(bus.address))

    def charge(self, changed: dict[str, Variant]) -> None:
        """The battery changed, and says so."""
        self._battery = {**self._battery, **changed}
        body = [battery.INTERFACE, changed, []]
        self._do(self._send(Message.new_signal(battery.PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", body)))

    def prepare(self, is_preparing: bool) -> None:
        """The power key was pressed, or the end was called off."""
        self._is_preparing = is_preparing
        signal = Message.new_signal(keeper.LOGIND_PATH, keeper.MANAGER, "PrepareForShutdown", "b", [is_preparing])
        self._do(self._send(signal))

    def is_given_back(self) -> bool:
        """Whether the last lock is closed at its holder's end."""
        try:
            return os.read(self.locks[-1], 1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._do(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for lock in self.locks:
            os.close(lock)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10.0)

    async def _send(self, message: Message) -> None:
        await self._bus.send(message)

    async def _connect(self, address: str) -> MessageBus:
        bus = await MessageBus(address, negotiate_unix_fd=True).connect()
        bus.add_message_handler(self._answer)
        for name in (battery.SERVICE, keeper.LOGIND):
            assert await bus.request_name(name, NameFlag.DO_NOT_QUEUE) is RequestNameReply.PRIMARY_OWNER
        return bus

    async def _disconnect(self) -> None:
        self._bus.disconnect()
        with suppress(OSError, EOFError):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast: no types

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "Inhibit":
            return self._inhibit(message)
        if message.member != "GetAll":
            return None
        if message.path == battery.PATH:
            assert message.body == [battery.INTERFACE]
            return Message.new_method_return(message, "a{sv}", [self._battery])
        assert (message.path, message.body) == (keeper.LOGIND_PATH, [keeper.MANAGER])
        told = {"PreparingForShutdown": Variant("b", self._is_preparing)}
        return Message.new_method_return(message, "a{sv}", [told])

    def _inhibit(self, message: Message) -> Message:
        what, _, _, mode = message.body
        assert (what, mode) == ("shutdown", "delay")
        ours, theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.locks.append(ours)
        asyncio.get_running_loop().call_later(1.0, os.close, theirs)  # sent by then
        self.locked.release()
        return Message.new_method_return(message, "h", [0], [theirs])
