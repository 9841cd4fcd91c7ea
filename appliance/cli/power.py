"""``qafila power watch``: for systemd; tells of the battery, and lets the machine end when all is written."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Coroutine

from appliance.cli.common import CLOCK, Subparsers, add_options, config_of
from appliance.cli.exits import FINE


def add(subparsers: Subparsers) -> None:
    """Register the ``power`` command."""
    power = subparsers.add_parser(
        "power", help="on an appliance: watch the battery, and let it end when all is written"
    )
    actions = power.add_subparsers(dest="action", required=True)
    watch = actions.add_parser("watch", help="until stopped; systemd runs it")
    add_options(watch)
    watch.set_defaults(handler=_watch)


def _watch(arguments: argparse.Namespace) -> int:
    from appliance.power.keeper import Keeper

    asyncio.run(_until_stopped(Keeper(config_of(arguments), CLOCK).run()))
    return FINE


async def _until_stopped(work: Coroutine[object, object, None]) -> None:
    watching = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, watching.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await watching
