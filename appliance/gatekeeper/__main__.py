"""``python -m appliance.gatekeeper --config unit.toml``: opens the door and keeps it until SIGTERM.

Exit codes: 0 ended as asked, 2 the configuration cannot be used, 3 the port cannot be opened.
"""

from __future__ import annotations

import sys

# asyncio takes OpenSSL along, 4 MB that this process never uses; it runs without when there is none.
sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]  # None is how Python marks a module as absent

# ruff: noqa: E402 - all of these import asyncio
import argparse
import asyncio
import errno
import signal
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

from appliance.clock import Clock, SystemClock
from appliance.config import ConfigError, UnitConfig, load_unit
from appliance.gatekeeper import quarantine
from appliance.gatekeeper.findings import FindingNotes, write_in_child
from appliance.gatekeeper.relay import Gatekeeper, listen
from appliance.gatekeeper.report import Report
from appliance.live import write_live
from appliance.logging import log
from appliance.power.leaving import read_leaving

EXIT_OK = 0
EXIT_CONFIG = 2
EXIT_PORT = 3
NAME = "gatekeeper"
_PUBLISH_S = 1.0
_SETTLE_S = 0.2
"""Live facts that only become better are written this late: no storm of writes between two images."""


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; see the module for the exit codes."""
    parser = argparse.ArgumentParser(prog="appliance.gatekeeper", description="The DICOM door of a unit.")
    parser.add_argument("--config", type=Path, required=True, help="unit.toml")
    config_path: Path = parser.parse_args(argv).config
    try:
        config = load_unit(config_path)
    except ConfigError as error:
        return _fail(EXIT_CONFIG, str(error))
    try:
        listeners = _listen(config)
    except OSError as error:
        return _fail(EXIT_PORT, str(error))
    asyncio.run(_run(config_path, config, listeners, SystemClock()))
    return EXIT_OK


async def _run(config_path: Path, config: UnitConfig, listeners: list[socket.socket], clock: Clock) -> None:
    quarantine.remove_partial(config.quarantine_dir)
    notes = FindingNotes(clock, partial(write_in_child, config_path))
    report = Report(clock, notes.offer)
    gatekeeper = Gatekeeper(config, report)
    log("unit.gatekeeper", "open", bind=config.dicom.bind, port=config.dicom.port, modality_count=len(config.modality))
    if not config.modality:
        log("unit.gatekeeper", "no [[modality]] is listed: every association is refused")
    serving = [asyncio.create_task(gatekeeper.serve(listener)) for listener in listeners]
    beside = [asyncio.create_task(_publish(config, gatekeeper, report, clock)), asyncio.create_task(notes.run())]
    asked = asyncio.create_task(_asked_to_end())
    done, _ = await asyncio.wait([asked, *serving, *beside], return_when=asyncio.FIRST_COMPLETED)
    for task in serving:
        await _end(task)
    await gatekeeper.drain()
    for task in beside:
        await _end(task)
    log("unit.gatekeeper", "closed")
    for task in done:
        # One of our own tasks that ended has failed: its error ends the process, and the supervisor starts it again.
        task.result()


async def _asked_to_end() -> None:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()


async def _publish(config: UnitConfig, gatekeeper: Gatekeeper, report: Report, clock: Clock) -> None:
    """Write live facts every second, at once when receiving starts, and soon after it ends."""
    while True:
        gatekeeper.is_leaving = bool(await asyncio.to_thread(read_leaving, config.run_dir, clock))
        facts = gatekeeper.facts()
        await asyncio.to_thread(write_live, config.run_dir, NAME, facts, clock)
        await report.until_changed(_PUBLISH_S)
        if gatekeeper.receiving_count <= facts["receiving_count"]:
            await asyncio.sleep(_SETTLE_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


def _listen(config: UnitConfig) -> list[socket.socket]:
    """The port for everything, and the one more for services if there is one.

    Raises:
        OSError: With a sentence, when one of them cannot be had.
    """
    ports = {"dicom.port": config.dicom.port, "services.device_port": config.services.device_port}
    listeners = []
    for key, port in ports.items():
        try:
            listeners += [listen(config.dicom.bind, port)] if port else []
        except OSError as error:
            raise OSError(_port_sentence(config.dicom.bind, port, key, error)) from error
    return listeners


def _port_sentence(bind: str, port: int, key: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use by another program; end it, or set another {key} in unit.toml"
    if error.errno == errno.EACCES:
        return f"port {port} needs root; set a {key} of 1024 or more in unit.toml"
    return f"cannot listen on {bind} port {port}: {error.strerror}; check dicom.bind in unit.toml"


def _fail(code: int, sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - the message for people
    return code


if __name__ == "__main__":
    sys.exit(main())
