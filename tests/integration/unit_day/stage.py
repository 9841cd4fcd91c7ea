"""A real unit and a real centre, the link between them that is away until it is given, and the commands of both."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from appliance.cli.demo.link import CuttableLink
from appliance.cli.exits import ENVIRONMENT, FINE, NEEDS_PERSON
from appliance.supervisor import ChildSpec, end_process, spawn
from tests.support.ports import free_ports
from tests.support.world import Centre, Unit, gateway_destination, make_unit, running_processes, wait_for

CLI_S_MAX = 120.0
PATIENCE_S_MAX = 120.0
_T = TypeVar("_T")


class NotYetError(Exception):
    """Something did not go now; whoever does it does it again, when the day allows for that."""


@dataclass(slots=True)
class CentreProcess:
    """``qafila central run``, which can be killed and started again."""

    centre: Centre
    log_file: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        argv = [sys.executable, "-m", "appliance.cli.main", "central", "run", "--config", str(self.centre.toml)]
        self.log_file.write_bytes(b"")
        self.process = spawn(ChildSpec("central", argv, log_file=self.log_file))
        if wait:
            wait_for(lambda: "central.run ready" in self.log_file.read_text(), f"the centre, see {self.log_file}")

    def answers(self) -> bool:
        """Whether the PACS can be asked."""
        try:
            self.centre.holdings()
        except OSError:
            return False
        return True

    def kill_all(self) -> None:
        """The supervisor with SIGKILL; its children die with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        words = (str(self.centre.toml).encode(), str(self.centre.toml.parent / "centre").encode())
        wait_for(lambda: not running_processes(*words), "the centre's children to die with it")

    def stop(self) -> None:
        if self.process is not None:
            end_process(self.process, 40.0)
            self.process = None


@dataclass(slots=True)
class Stage:
    """Where the day happens.

    Attributes:
        hand: The one thread beside the day; it lives as long as the stage, for a process dies with the thread that
            started it.
        again: Whether people and devices do again what did not go: on a calm day everything goes at once.
    """

    folder: Path
    unit: Unit
    centre: CentreProcess
    link: CuttableLink
    hand: ThreadPoolExecutor
    again: bool = False
    said: list[str] = field(default_factory=list)
    """What tools wrote that sounds like a warning."""

    @property
    def pictures(self) -> Path:
        return self.folder / "devices"

    @property
    def port(self) -> int:
        return self.unit.config.dicom.port

    def insist(self, what: str, once: Callable[[], _T]) -> _T:
        """Do it; on a day with kills until it goes.

        Raises:
            NotYetError: It did not go at once, on a calm day.
            AssertionError: It did not go in time.
        """
        found: list[_T] = []
        last = ""

        def tried() -> bool:
            nonlocal last
            try:
                found.append(once())
            except NotYetError as error:
                if not self.again:
                    raise
                last = str(error)
            return bool(found)

        try:
            wait_for(tried, what, PATIENCE_S_MAX)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
        return found[0]

    def at_unit(self, *words: str, needs_person: bool = False) -> dict[str, Any]:
        """A command at the unit; ``needs_person``: it is to end with 1."""
        expected = NEEDS_PERSON if needs_person else FINE
        return self.insist(" ".join(words), lambda: self._once([*words, "--config", str(self.unit.toml)], expected))

    def at_centre(self, *words: str) -> dict[str, Any]:
        """A command at the centre."""
        return self._once(["central", *words, "--config", str(self.centre.centre.toml)], FINE)

    def _once(self, words: list[str], expected: int) -> dict[str, Any]:
        argv = [sys.executable, "-m", "appliance.cli.main", *words, "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=CLI_S_MAX, check=False)
        told = f"{words[:2]} ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-2000:]}"
        if done.returncode in (ENVIRONMENT, NEEDS_PERSON) and done.returncode != expected:
            raise NotYetError(told)
        assert done.returncode == expected, told
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


UNIT_EXTRA = """
[[modality]]
ae_title = "SONO"
name = "Ultrasound"
character_set = "utf8"

[limits]
backoff_s_max = 1.0
free_bytes_warn = 0
"""


@contextmanager
def open_stage(folder: Path, orthanc: str, *, again: bool = False) -> Iterator[Stage]:
    """Centre and unit run, the unit is enrolled, and then the link goes."""
    (folder / "devices").mkdir(parents=True)
    http_port, dicom_port, gateway_port, review_port = free_ports(4)
    toml = folder / "central.toml"
    toml.write_text(
        f'[centre]\ndata_dir = "{folder / "centre"}"\n'
        f'[pacs]\ncommand = "{orthanc}"\nhttp_port = {http_port}\ndicom_port = {dicom_port}\n'
        f"[gateway]\nport = {gateway_port}\n[review]\nport = {review_port}\n"
        "[viewer]\nenabled = false\n[fleet]\nenabled = false\n",
        encoding="utf-8",
    )
    with ExitStack() as stack:
        hand = stack.enter_context(ThreadPoolExecutor(1))
        centre = CentreProcess(Centre(http_port, dicom_port, gateway_port, toml), folder / "centre.log")
        stack.callback(centre.stop)
        centre.start(wait=False)
        link = CuttableLink(gateway_port)
        stack.callback(link.close)
        destination = gateway_destination(f"http://127.0.0.1:{link.port}")
        unit = make_unit(folder / "unit", orthanc, destination, extra=UNIT_EXTRA)
        stack.callback(unit.stop)
        stage = Stage(folder, unit, centre, link, hand, again)
        wait_for(lambda: "central.run ready" in centre.log_file.read_text(), "the centre")
        code = str(stage.at_centre("enrol", unit.config.unit.name)["code"])
        stage.at_unit("unit", "enrol", "--code", code)
        link.cut()
        unit.start()
        stack.enter_context(_listening(stage))
        yield stage


@contextmanager
def _listening(stage: Stage) -> Iterator[None]:
    """What pynetdicom finds wrong with answers is noted like DCMTK's warnings."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: stage.said.append(f"pynetdicom: {record.getMessage()}")  # type: ignore[method-assign]
    logger = logging.getLogger("pynetdicom")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
