"""The image in QEMU, without KVM or network: it boots, receives, shows its screen and keeps strangers out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from appliance.firstboot.answers import DOOR_PORT
from tests.image.enrolled import PASSPHRASE, PATIENT, asked, enrolled, send, wait_until_good
from tests.image.machine import (
    MODALITY_ADDRESS,
    MODALITY_CABLE,
    MODALITY_PEER,
    UPLINK_CABLE,
    WORK,
    Machine,
    images,
    ip,
    missing,
    tool,
)
from tests.image.test_files import EXPOSURE_MAX, SERVICES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with enrolled(images()[-1], tmp_path_factory.mktemp("machine")) as machine:
        yield machine


def test_it_boots_to_a_unit_that_answers(machine: Machine) -> None:
    print(machine.run("systemd-analyze time; free -m"))
    assert machine.run("systemctl --failed --no-legend --plain") == ""
    assert "answered" in machine.run("qafila selfcheck")


def test_root_cannot_be_written_and_every_block_is_checked(machine: Machine) -> None:
    assert "erofs" in machine.run("findmnt -no FSTYPE,OPTIONS /")
    assert "VERITY" in machine.run(
        "dmsetup table --target verity 2>/dev/null || veritysetup status root; lsblk -no NAME,FSTYPE | tr a-z A-Z"
    )
    assert "Read-only" in machine.run("touch /usr/x")


def test_study_from_a_modality_is_kept(machine: Machine, tmp_path: Path) -> None:
    assert send(machine, tmp_path / "chest.dcm") == 0
    machine.wait_for(lambda: len(asked(machine, "studies")["studies"]) == 1, 600, "the study is in the list")


def test_stranger_on_the_modality_side_is_refused(machine: Machine) -> None:
    done = subprocess.run(
        machine.inside("echoscu", "-aet", "STRANGER", "-aec", "QAFILA", MODALITY_ADDRESS, str(DOOR_PORT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0


def test_wifi_card_is_ready(machine: Machine) -> None:
    """The kernel's own simulated card: ready means that NetworkManager found its supplicant."""
    machine.run("modprobe mac80211_hwsim radios=1")
    machine.wait_for(
        lambda: "wifi:disconnected" in machine.run("nmcli -t -f TYPE,STATE device"), 300, "a Wi-Fi card is ready"
    )


def test_screen_shows_the_unit(machine: Machine) -> None:
    machine.wait_for(lambda: "qafila tui" in machine.run("ps ax"), 300, "the screen runs")
    machine.wait_for(lambda: _colours(machine.screen("screen")) > 20, 300, "something is drawn")
    (WORK / "screen.png").write_bytes(machine.screen("screen").read_bytes())


def test_only_the_door_is_open_and_only_to_the_modalities(machine: Machine) -> None:
    assert _open_ports(machine, "-4", MODALITY_ADDRESS) == {DOOR_PORT}
    # Nobody answers DHCP there, so NetworkManager takes the address away and tries again.
    machine.run("ip -6 addr add fe80::9/64 dev enp0s17")
    assert _open_ports(machine, "-6", f"fe80::9%{UPLINK_CABLE}") == set()
    # Linux answers for all its addresses on every card; the firewall must not.
    ip("-n", machine.namespace, "addr", "del", f"{MODALITY_PEER}/24", "dev", MODALITY_CABLE)
    try:
        ip("-n", machine.namespace, "route", "add", f"{MODALITY_ADDRESS}/32", "dev", UPLINK_CABLE)
        assert _open_ports(machine, "-4", MODALITY_ADDRESS) == set()
        ip("-n", machine.namespace, "route", "del", f"{MODALITY_ADDRESS}/32")
    finally:
        ip("-n", machine.namespace, "addr", "add", f"{MODALITY_PEER}/24", "dev", MODALITY_CABLE)


def test_nothing_leaves_but_what_is_listed(machine: Machine) -> None:
    peer = "198.51.100.2"
    machine.run("ip addr add 198.51.100.9/24 dev enp0s17")
    sees = "timeout 5 python3 -c 'import socket;socket.create_connection((\"{}\",{}),3)'; echo =$?"
    listener = subprocess.Popen(machine.inside("python3", "-c", _LISTEN))
    try:
        for user, port, reached in (("qafila", 443, True), ("qafila", 8080, False), ("root", 443, False)):
            command = f"runuser -u {user} -- " + sees.format(peer, port)
            assert (machine.run(command).rstrip().endswith("=0")) is reached, (user, port)
    finally:
        listener.kill()
        listener.wait()


_LISTEN = """
import select, socket
open_ = [socket.create_server(("198.51.100.2", port)) for port in (443, 8080)]
while True:
    for each in select.select(open_, [], [])[0]:
        each.accept()[0].close()
"""


def test_each_unit_of_ours_is_locked_in_where_it_runs(machine: Machine) -> None:
    names = " ".join(path.name.replace("@.", "@sda.") for path in SERVICES)
    table = machine.run(f"systemd-analyze security --no-pager {names}")
    scores = {name: float(score) for name, score in re.findall(r"level for (\S+): ([0-9.]+)", table)}
    assert len(scores) == len(SERVICES), table
    assert {name: score for name, score in scores.items() if score >= EXPOSURE_MAX} == {}


@pytest.mark.fault(64)
def test_stolen_disk_shows_nothing(machine: Machine) -> None:
    disk = machine.folder / "disk.raw"
    sfdisk = tool(machine.folder, "sfdisk", "--dump", str(disk))
    table = subprocess.run(sfdisk, capture_output=True, text=True, check=True).stdout
    start = int(re.findall(r'start= *(\d+),.*name="qafila-data"', table)[0]) * 512
    with disk.open("rb") as opened:
        opened.seek(start)
        assert opened.read(6) == b"LUKS\xba\xbe"
        opened.seek(start)
        while piece := opened.read(16 * 1024**2):
            assert PATIENT.encode() not in piece
            assert PASSPHRASE.encode() not in piece


@pytest.mark.fault(65)
def test_lock_after_wrong_pins_survives_a_power_cut(machine: Machine) -> None:
    said = machine.run(f"runuser -u qafila -- python3 -I - <<'END'\n{_TEN_WRONG_PINS}END\nsync", 600)
    assert said.split() == ["640"], said
    machine.cut()
    machine.start()
    wait_until_good(machine)
    left_s = int(machine.run(f"runuser -u qafila -- python3 -I - <<'END'\n{_THE_RIGHT_PIN}END", 300))
    assert 0 < left_s <= 640


_TEN_WRONG_PINS = """
from pathlib import Path
from appliance.clock import SystemClock
from appliance.store.connect import open_unit
from appliance.store.people import Role, add_person, sign_in
from appliance.store.stamp import Stamp
with open_unit(Path('/data/unit/unit.db'), clock=SystemClock()) as db:
    now = db.stamp()
    person = add_person(db, now, 'Amina', Role.SUPERVISOR, '864209', 'test')
    for hour in range(9, -1, -1):
        left = sign_in(db, Stamp(now.wall_s - 3600 * hour, now.boot_id, now.mono_s), person.person_id, '111222')
    print(left.wait_s)
"""
_THE_RIGHT_PIN = """
from pathlib import Path
from appliance.clock import SystemClock
from appliance.store.connect import open_unit
from appliance.store.people import find_person, sign_in
with open_unit(Path('/data/unit/unit.db'), clock=SystemClock()) as db:
    print(sign_in(db, db.stamp(), find_person(db, 'Amina').person_id, '864209').wait_s)
"""


def _colours(picture: Path) -> int:
    pixels = imagecodecs.png_decode(picture.read_bytes())
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


def _open_ports(machine: Machine, family: str, address: str) -> set[int]:
    """TCP ports that answer a scan of all of them; the guest's silence is what takes the time."""
    argv = ["nmap", "-Pn", "-n", "-sS", "-p-", "--min-rate=4000", "--max-retries=1", "-oG", "-", address]
    if family == "-6":
        argv.insert(1, "-6")
    done = subprocess.run(
        machine.inside(*tool(machine.folder, *argv)),
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return {int(port) for port in re.findall(r"(\d+)/open/tcp", done.stdout)}
