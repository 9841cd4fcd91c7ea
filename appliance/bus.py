"""A system D-Bus whose services are followed: a signal only says that there is something to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

PROPERTIES = "org.freedesktop.DBus.Properties"
ANSWER_S_MAX = 10.0
ABSENT = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")


class RefusedError(Exception):
    """A service answered with an error, or with what its interface does not say; the text is the error's name."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A connection; ``news`` is set at every signal that was subscribed to, and when the bus goes away."""

    bus: MessageBus
    news: asyncio.Event
    gone: asyncio.Future[Any]

    @property
    def is_gone(self) -> bool:
        """The bus has closed."""
        return self.gone.done()


@asynccontextmanager
async def followed(address: str | None, rules: Iterable[str]) -> AsyncIterator[Followed]:
    """A connection with these match rules; raises whatever dbus-fast does where there is no bus or no answer.

    Args:
        address: Of a D-Bus daemon; ``None``: the system's.
        rules: What signals to hear of, without their type.
    """
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    bus = MessageBus(address, BusType.SYSTEM, auth_timeout=ANSWER_S_MAX, negotiate_unix_fd=True)
    async with asyncio.timeout(ANSWER_S_MAX):
        await bus.connect()
    news = asyncio.Event()
    gone = asyncio.ensure_future(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]  # dbus-fast: no types
    gone.add_done_callback(lambda _: news.set())
    bus.add_message_handler(lambda message: _set_at_signal(news, message))
    try:
        for rule in rules:
            await call(bus, _subscription(rule))
        yield Followed(bus, news, gone)
    finally:
        bus.disconnect()
        await asyncio.wait([gone], timeout=ANSWER_S_MAX)  # else its socket stays open
        if gone.done():
            gone.exception()  # else asyncio complains that nobody asked for it


async def call(bus: MessageBus, message: Message) -> Message:
    """The answer, which may be an error; ``ConnectionError`` when the bus closes meanwhile."""
    async with asyncio.timeout(ANSWER_S_MAX):  # wait_for of Python 3.11 may swallow the end of the watch
        answer = await bus.call(message)
    if answer is None:
        raise ConnectionError("the bus closed while it was asked")
    return answer


async def properties(
    bus: MessageBus, service: str, path: str, interface: str, *, may_start: bool = False
) -> Mapping[str, Any]:
    """All properties of an interface.

    Args:
        bus: A connection.
        service: Its name on the bus.
        path: Of the object.
        interface: Whose properties.
        may_start: The bus may start the service for it.

    Raises:
        RefusedError: If there are none.
    """
    from dbus_fast import Message, MessageFlag, MessageType, unpack_variants

    question = Message(
        destination=service,
        path=path,
        interface=PROPERTIES,
        member="GetAll",
        flags=MessageFlag.NONE if may_start else MessageFlag.NO_AUTOSTART,
        signature="s",
        body=[interface],
    )
    answer = await call(bus, question)
    if answer.message_type is MessageType.METHOD_RETURN and answer.signature == "a{sv}":
        told: Mapping[str, Any] = unpack_variants(answer.body[0])
        return told
    raise RefusedError("absent" if answer.error_name in ABSENT else answer.error_name or "unclear answer")


def _set_at_signal(news: asyncio.Event, message: Message) -> None:
    """Whoever sends it: a signal only has the service asked again."""
    from dbus_fast import MessageType

    if message.message_type is MessageType.SIGNAL:
        news.set()


def _subscription(rule: str) -> Message:
    from dbus_fast import Message

    return Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member="AddMatch",
        signature="s",
        body=[f"type='signal',{rule}"],
    )
