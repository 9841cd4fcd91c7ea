"""Sets the demo's stage: a centre and a unit on one machine, each run exactly as a person would run it.

Everything lies in one folder; everything started here is stopped here, also after Ctrl-C or an error.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.cli.demo.link import CuttableLink
from appliance.cli.demo.ports import free_ports
from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import read_live
from appliance.supervisor import ChildSpec, SupervisorError, end_process, spawn
from central.config import load_central
from central.viewer import ohif

START_S_MAX = 90.0
REVIEW_ROLES = ("reader", "coordinator", "admin")
MODALITIES = (("XRAY", "Portable X-ray"), ("SONO", "Ultrasound"))


class DemoError(Exception):
    """The demo cannot go on; the text says why and where to look."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the demo's review pages, with the password that was made for it."""

    name: str
    role: str
    password: str


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands on the stage."""

    folder: Path
    unit_toml: Path
    config: UnitConfig
    link: CuttableLink
    centre_http_port: int
    review_port: int
    accounts: tuple[Account, ...]
    """Who may sign in to the review pages."""
    has_viewer: bool
    """Whether OHIF was fetched, so that complete studies open in it."""


@contextlib.contextmanager
def open_stage(folder: Path, orthanc: str) -> Iterator[Stage]:
    """Start the centre, the link and the unit; yields when the unit's door is open.

    Args:
        folder: Existing folder for all files; logs stay there.
        orthanc: Program to run as Orthanc, on both sides.

    Raises:
        DemoError: If a side does not come up; the text holds the end of its log.
    """
    ports = free_ports(10)
    centre_toml, unit_toml = folder / "central.toml", folder / "unit.toml"
    centre_toml.write_text(_central_toml(folder, orthanc, ports), encoding="utf-8")
    with contextlib.ExitStack() as stack:
        centre_log = folder / "centre.log"
        _start(stack, "centre", ["central", "run", "--config", str(centre_toml)], centre_log)
        _wait_for_port(ports[0], "the centre", centre_log)
        _wait_for_port(ports[5], "the centre's gateway", centre_log)
        _wait_for_port(ports[7], "the review pages", centre_log)
        accounts = tuple(_account(centre_toml, role) for role in REVIEW_ROLES)
        has_viewer = ohif.folder_of(load_central(centre_toml)) is not None
        link = CuttableLink(ports[5])
        stack.callback(link.close)
        unit_toml.write_text(_unit_toml(folder, orthanc, ports, link.port), encoding="utf-8")
        config = load_unit(unit_toml)
        code = str(_ask("central", "enrol", config.unit.name, "--config", str(centre_toml))["code"])
        _ask("unit", "enrol", "--config", str(unit_toml), "--code", code)
        unit_log = folder / "unit.log"
        _start(stack, "unit", ["unit", "run", "--config", str(unit_toml)], unit_log)
        _wait_for_unit(config, unit_log)
        _wait_for_port(config.dicom.port, "the unit's door", unit_log)
        yield Stage(folder, unit_toml, config, link, ports[0], ports[7], accounts, has_viewer)


def _start(stack: contextlib.ExitStack, name: str, arguments: list[str], log_file: Path) -> None:
    try:
        process = spawn(ChildSpec(name, [sys.executable, "-m", "appliance.cli.main", *arguments], log_file=log_file))
    except SupervisorError as error:
        raise DemoError(str(error)) from error
    stack.callback(end_process, process, 30.0)


def _ask(*arguments: str) -> dict[str, object]:
    """A command of ours with ``--json``, as a person would give it."""
    argv = [sys.executable, "-m", "appliance.cli.main", *arguments, "--json"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=START_S_MAX)
    if done.returncode:
        raise DemoError(f"'qafila {' '.join(arguments[:2])}' failed: {(done.stderr or done.stdout).strip()}")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def _account(centre_toml: Path, role: str) -> Account:
    """Made, or given a new password when the folder is used once more."""
    where = ("--generate", "--config", str(centre_toml))
    known = {one["name"] for one in _ask("central", "account", "list", *where[1:])["accounts"]}  # type: ignore[attr-defined]
    wish = ("password", role) if role in known else ("add", role, "--role", role)
    made = _ask("central", "account", *wish, *where)
    return Account(role, role, str(made["password"]))


def _wait_for_unit(config: UnitConfig, log_file: Path) -> None:
    def ready() -> bool:
        facts = read_live(config.run_dir, "unit", SystemClock())
        return facts is not None and bool(facts.get("ready"))

    _wait(ready, "the unit", log_file)


def _wait_for_port(port: int, what: str, log_file: Path) -> None:
    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    _wait(answers, what, log_file)


def _wait(condition: Callable[[], bool], what: str, log_file: Path) -> None:
    clock = SystemClock()
    pause = threading.Event()
    deadline_mono_s = clock.mono_s() + START_S_MAX
    while not condition():
        if clock.mono_s() > deadline_mono_s:
            tail = "\n".join(log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise DemoError(f"{what} did not start within {START_S_MAX:.0f} s. The end of {log_file}:\n{tail}")
        pause.wait(0.1)


def _toml(text: object) -> str:
    """A TOML string; JSON's form is one, whatever quotes or backslashes a folder's name holds."""
    return json.dumps(str(text), ensure_ascii=False)


def _central_toml(folder: Path, orthanc: str, ports: list[int]) -> str:
    return f"""# The demo's centre
[centre]
name = "demo-centre"
data_dir = {_toml(folder / "centre")}

[pacs]
command = {_toml(orthanc)}
http_port = {ports[0]}
dicom_port = {ports[1]}

[gateway]
port = {ports[5]}

[review]
port = {ports[7]}

[viewer]
port = {ports[8]}

[fleet]
port = {ports[9]}
"""


def _unit_toml(folder: Path, orthanc: str, ports: list[int], link_port: int) -> str:
    devices = "\n".join(f'[[modality]]\nae_title = "{ae}"\nname = "{name}"\n' for ae, name in MODALITIES)
    return f"""# The demo's unit
[unit]
name = "demo-unit"
data_dir = {_toml(folder / "unit")}

[dicom]
ae_title = "QAFILA"
bind = "127.0.0.1"
port = {ports[2]}

[orthanc]
command = {_toml(orthanc)}
dicom_port = {ports[3]}
http_port = {ports[4]}

[services]
port = {ports[6]}

{devices}
[[destination]]
kind = "gateway"
name = "centre"
url = "http://127.0.0.1:{link_port}"
"""
