"""A guest with its data on a disk that loses what was not flushed, enrolled at a centre on its uplink.

What is here runs inside the guest's network namespace, where both cables are.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.image.enrolled import ANSWERS, CREDENTIALS, NO_SCREEN, wait_until_good
from tests.image.losing_disk import LosingDisk
from tests.image.machine import UPLINK_ADDRESS, UPLINK_CARD, UPLINK_PEER, WORK, Machine, tool
from tests.image.stick import plug
from tests.support.orthancs import orthanc_commands
from tests.support.world import Centre, running_centre, wait_for

TRIAL = WORK / "out" / "trial"
RETENTION = "[retention]\nkeep_days_min = 0.0\nbackup_horizon_days = 0.0\n"
UPLINK = f"""[connection]
id=uplink
type=ethernet
interface-name={UPLINK_CARD}
autoconnect-priority=50

[ipv4]
method=manual
address1={UPLINK_ADDRESS}/24
"""


@contextlib.contextmanager
def centre_on_uplink(folder: Path) -> Iterator[tuple[Centre, str]]:
    """A centre whose gateway listens on the uplink, and the authority of its certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert(UPLINK_PEER)
    folder.mkdir(parents=True)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "chain.pem", append=True)
    gateway = (
        f'bind = "{UPLINK_PEER}"\nbackup_horizon_days = 0.0\n'
        f'certificate_file = "{folder}/chain.pem"\nkey_file = "{folder}/key.pem"\n'
    )
    with running_centre(folder, orthanc_commands()[0], gateway) as centre:
        yield centre, authority.cert_pem.bytes().decode("ascii")


@dataclass(slots=True)
class Uplinked:
    """The guest and its disk."""

    machine: Machine
    disk: LosingDisk
    boot_s: float = 0.0
    """How long the last start took."""

    @classmethod
    def fresh(cls, folder: Path, namespace: str, centre: Centre, authority: str) -> Uplinked:
        """Release 1 on an empty disk; it starts for the first time."""
        answers = ANSWERS.replace('"gateway.example"', f'"{UPLINK_PEER}"')
        answers += f'centre_port = {centre.gateway_port}\ncentre_ca = """{authority}"""\n'
        machine = Machine.fresh(TRIAL / "qafila_1.raw", folder, {**CREDENTIALS, "qafila.answers": answers})
        machine.namespace = namespace
        disk = LosingDisk(folder)
        machine.blockdev = disk.blockdev("disk")
        machine.kernel = NO_SCREEN
        unit = cls(machine, disk)
        unit.start()
        return unit

    def start(self) -> None:
        """Switch on."""
        self.disk.prepare(tool(self.machine.folder, "qemu-img"))
        self.machine.start()

    def wait(self) -> None:
        """Until a modality is answered."""
        self.boot_s = wait_until_good(self.machine)

    def bring(self, release: int) -> None:
        """Begin an update from a stick; nobody waits for it, and a cut takes the stick away."""
        plug(self.machine, TRIAL / f"release-{release}")

    def enrol(self, centre: Centre) -> None:
        """Make it known at the centre, on its uplink, and let it make room at once."""
        said = subprocess.run(
            [".venv/bin/qafila", "central", "enrol", "unit-01", "--config", str(centre.toml), "--json"],
            check=True,
            capture_output=True,
            text=True,
        )
        code = json.loads(said.stdout)["code"]
        connection = "/data/network/uplink.nmconnection"
        self.machine.run(f"cat >{connection} <<'END'\n{UPLINK}END\nchmod 600 {connection}; nmcli connection reload")
        self.machine.run("nmcli connection up uplink", 300)
        self.machine.run(f"cat >>/data/etc/unit.toml <<'END'\n{RETENTION}END\nsystemctl restart qafila-unit; sync", 600)
        answer = self.machine.run(
            f"runuser -u qafila -- qafila unit enrol --config /etc/qafila/unit.toml --code {code}", 600
        )
        assert "now known" in answer, answer
        wait_for(lambda: "would be answered" in self.machine.run("qafila selfcheck", 60), "the unit to run again", 900)
        self.machine.run("sync")
