"""Updates of the image in QEMU: A to B, a broken one that goes back by itself, and ones that are refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.update.release import LIST
from tests.image.enrolled import asked, enrolled, is_active, send, version, wait_until_good
from tests.image.machine import FIRMWARE_ENDS, WORK, Machine, missing
from tests.image.stick import bring

RELEASES = sorted((WORK / "out" / "trial").glob("release-*"), key=lambda path: int(path.name.split("-")[1]))
"""Of ``releases.sh``: the first is started, the second works, the third brings a later database and is bad."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(
        bool(missing()) or len(RELEASES) < 3, reason=missing() or "make image-releases builds what is needed"
    ),
    pytest.mark.timeout(14_400),
]
TRY_S_MAX = 7200.0


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    first = WORK / "out" / "trial" / f"qafila_{number(RELEASES[0])}.raw"
    with enrolled(first, tmp_path_factory.mktemp("machine"), has_screen=False) as machine:
        yield machine


def starts(machine: Machine) -> list[int]:
    """The release of every start that the unit's journal knows, oldest first."""
    said = machine.run(
        "journalctl --no-pager -o cat -u qafila-data.service | sed -n 's/^.* \\([0-9]*\\) starts$/\\1/p'"
    )
    return [int(line) for line in said.split()]


def number(release: Path) -> int:
    return int(release.name.split("-")[1])


def restart(machine: Machine) -> None:
    """Pull the plug and switch on again: an update waits for the next power-on."""
    machine.run("sync")
    machine.cut()
    machine.start()


def test_update_goes_from_a_to_b_and_keeps_the_data(machine: Machine) -> None:
    machine.run("echo kept >/data/unit/kept && sync")
    assert bring(machine, RELEASES[1]) == "success"
    assert version(machine) == number(RELEASES[0])
    restart(machine)
    wait_until_good(machine)
    assert version(machine) == number(RELEASES[1])
    assert machine.run("cat /data/unit/kept").strip() == "kept"
    machine.wait_for(lambda: is_active(machine, "systemd-bless-boot.service"), 300, "the release is said to be good")
    kernels = machine.run("ls /boot/EFI/Linux").split()
    assert f"qafila_{number(RELEASES[1])}.efi" in kernels, kernels


@pytest.mark.fault(68)
def test_downgrade_and_damage_are_refused(machine: Machine, tmp_path: Path) -> None:
    assert bring(machine, RELEASES[0]) == "exit-code"
    damaged = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(RELEASES[2]), str(damaged)], check=True)
    text = bytearray((damaged / LIST).read_bytes())
    text[-10] ^= 1
    (damaged / LIST).write_bytes(text)
    assert bring(machine, damaged) == "exit-code"
    assert "not signed" in machine.run("journalctl -u qafila-update --no-pager -n 20")
    assert is_active(machine, "qafila-good.service")


@pytest.mark.fault(7)
@pytest.mark.fault(68)
def test_broken_release_goes_back_by_itself_and_the_older_one_serves_its_database(
    machine: Machine, tmp_path: Path
) -> None:
    before = version(machine)
    machine.run("echo kept >/data/unit/kept && sync")
    assert bring(machine, RELEASES[2]) == "success"
    restart(machine)
    # Nobody speaks to it meanwhile: its firmware and boot loader would take that for keys.
    machine.wait_for(lambda: machine.serial().count(FIRMWARE_ENDS) == 4, TRY_S_MAX, "the bad release is given up")
    wait_until_good(machine)
    bad = number(RELEASES[2])
    assert starts(machine)[-4:] == [bad, bad, bad, before], "three tries, and back"
    assert machine.run("cat /data/unit/kept").strip() == "kept"
    later = "import sqlite3; print(*sqlite3.connect('/data/unit/unit.db').execute('SELECT later_id FROM m9902_later'))"
    assert machine.run(f'runuser -u qafila -- python3 -c "{later}"').strip() == "(1,)", "the later database"
    assert send(machine, tmp_path / "chest.dcm") == 0
    machine.wait_for(lambda: len(asked(machine, "studies")["studies"]) == 1, 600, "the study is in the list")
