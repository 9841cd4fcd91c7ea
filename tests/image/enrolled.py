"""A guest that was enrolled by the credentials that its host hands over, and what its tests ask of it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.dicom.phantom import phantom_chest
from appliance.firstboot.answers import DOOR_PORT
from tests.image.machine import AMD64, FIRMWARE_ENDS, MODALITY_ADDRESS, MODALITY_CARD, Machine, Processor

PASSPHRASE = "correct horse battery"
ANSWERS = f"""
name = "unit-01"
passphrase = "{PASSPHRASE}"
keyboard = "us"
modality_interface = "{MODALITY_CARD}"
modality_address = "{MODALITY_ADDRESS}/24"
modalities = ["XRAY"]
centre_host = "gateway.example"
"""
CREDENTIALS = {"qafila.answers": ANSWERS, "cryptsetup.passphrase": PASSPHRASE}
NO_SCREEN = "systemd.mask=qafila-screen.service"
"""It writes nothing, and is slow to emulate."""
PATIENT = "SYNTHETIC^IMAGE"
BOOT_S_MAX = 2400.0
"""Two minutes on a machine with nothing else to do."""
_GOOD = re.compile(r"Finished \S*qafila-good\.service")
_LINE_BYTES = 1024
"""The guest's shell takes its lines from a terminal."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the guest has of one instance: whole, evicted, or neither; and whether it calls it confirmed."""

    is_whole: bool
    is_evicted: bool
    is_confirmed: bool


@contextlib.contextmanager
def enrolled(image: Path, folder: Path, processor: Processor = AMD64, *, has_screen: bool = True) -> Iterator[Machine]:
    """A fresh guest whose self-check has passed; where nobody looks at its screen, it starts without."""
    machine = Machine.fresh(image, folder, CREDENTIALS, processor)
    machine.kernel = "" if has_screen else NO_SCREEN
    with machine.surroundings():
        machine.start()
        wait_until_good(machine)
        yield machine


def wait_until_good(machine: Machine) -> float:
    """Seconds until a modality is answered; the guest is asked last, for an answer costs an emulated one a second."""
    return machine.wait_for(
        lambda: (
            bool(_GOOD.search(machine.serial().split(FIRMWARE_ENDS)[-1])) and is_active(machine, "qafila-good.service")
        ),
        BOOT_S_MAX,
        "the self-check passes",
    )


def is_active(machine: Machine, unit: str) -> bool:
    """Whether a systemd unit of the guest is active; False while there is no shell yet."""
    with contextlib.suppress(OSError, TimeoutError):
        return machine.run(f"systemctl is-active {unit}", 20).strip() == "active"
    return False


def version(machine: Machine) -> int:
    """The release that runs."""
    return int(machine.run("sed -n 's/^IMAGE_VERSION=//p' /etc/os-release | tr -d '\"'"))


def asked(machine: Machine, command: str) -> Any:
    """What a ``qafila`` command of the guest says as JSON."""
    path = f"/run/asked-{abs(hash(command))}"
    machine.run(f"qafila {command} --json >{path} 2>/dev/null")
    return json.loads(machine.run(f"cat {path}"))


def send(machine: Machine, path: Path) -> int:
    """A synthetic study from a modality, by dcmtk's ``storescu``; its exit code."""
    dataset = phantom_chest(1000, 800, 12, 0)
    dataset.PatientName = PATIENT
    dataset.save_as(path, enforce_file_format=True)
    titles = ("-aet", "XRAY", "-aec", "QAFILA")
    storescu = machine.inside("storescu", "-xs", *titles, MODALITY_ADDRESS, str(DOOR_PORT), str(path))
    return subprocess.run(storescu, check=False, timeout=300).returncode


def look(machine: Machine) -> dict[str, Held]:
    """Everything on the unit, by the last digits of its SOP Instance UID.

    Raises:
        AssertionError: If a database is damaged.
    """
    script = base64.b64encode(zlib.compress((Path(__file__).parent / "guest_look.py").read_bytes())).decode("ascii")
    lines = "\n".join(script[at : at + _LINE_BYTES] for at in range(0, len(script), _LINE_BYTES))
    unpack = "import base64,sys,zlib;exec(zlib.decompress(base64.b64decode(sys.stdin.read())))"
    said = machine.run(f"python3 -I -c '{unpack}' <<'LOOK'\n{lines}\nLOOK", 600)
    found = json.loads(said)
    assert not found["damaged"], f"damaged: {found['damaged']}"
    return {each[:12]: Held(each[12] == "W", each[12] == "E", each[13] == "c") for each in str(found["marks"]).split()}
