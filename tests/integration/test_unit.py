"""``qafila unit run`` as a whole: it starts, serves, stops, and says in a sentence why it cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.full_disks import MIB, run_full_disk
from tests.kills import VICTIMS, run_kills
from tests.support.orthancs import orthanc_commands
from tests.support.power import missing_for_power_cuts
from tests.support.promises import centre_faults, kept_faults, settled
from tests.support.world import (
    Modality,
    Unit,
    dicomweb_destination,
    echo,
    make_unit,
    query,
    running_centre,
    wait_for,
)

pytestmark = [
    pytest.mark.orthanc,
    # pynetdicom drops a refused connection's socket without closing it
    pytest.mark.timeout(600),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
]
ORTHANC = (orthanc_commands() or ["Orthanc"])[0]


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = make_unit(tmp_path / "unit", ORTHANC, "")
    yield unit
    unit.stop()


def run_briefly(toml: Path) -> subprocess.CompletedProcess[str]:
    """Run a unit that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "appliance.cli.main", "unit", "run", "--config", str(toml)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_study_from_a_modality_is_proved_at_the_centre(orthanc: str, tmp_path: Path) -> None:
    with running_centre(tmp_path / "centre", orthanc) as centre:
        unit = make_unit(tmp_path / "unit", orthanc, dicomweb_destination(centre.dicomweb_url))
        unit.start()
        try:
            modality = Modality(unit.config.dicom.port)
            assert len(modality.send(6)) == 6
            wait_for(lambda: settled(unit, modality.told), "every instance to be confirmed")
            assert kept_faults(unit, modality.told) == []
            assert centre_faults(centre, modality.told) == []
            methods = query(unit.config.unit_db, "SELECT DISTINCT method FROM receipt")
            assert methods == [("wado",)]
        finally:
            unit.stop()


@pytest.mark.fault(12)
def test_kill_of_each_process_loses_nothing_promised(tmp_path: Path) -> None:
    told_count, faults = run_kills(tmp_path, ORTHANC, 1, seed=5)
    assert faults == []
    assert told_count >= len(VICTIMS)


@pytest.mark.root
@pytest.mark.fault(15)
@pytest.mark.skipif(bool(missing_for_power_cuts()), reason=missing_for_power_cuts())
def test_full_disk_keeps_every_success_true_and_reception_opens_again(tmp_path: Path) -> None:
    assert run_full_disk(tmp_path, ORTHANC, 41 * MIB, 8 * MIB, floor_bytes=0) == []


@pytest.mark.root
@pytest.mark.fault(15)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_unit_started_on_a_full_disk_refuses_and_opens_by_itself_when_space_returns(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(disk)], check=True)
    no_floors = "[limits]\nfree_bytes_floor = 0\nfree_inode_floor = 0\nobject_share_of_free_space_max = 1.0\n"
    unit = make_unit(tmp_path / "unit", ORTHANC, "", disk / "data", no_floors)
    modality = Modality(unit.config.dicom.port)
    try:
        unit.start()
        assert len(modality.send(2)) == 2
        unit.stop()
        _fill_up(disk / "ballast")
        unit.start(wait=False)
        wait_for(lambda: "start failed child=orthanc" in unit.log_file.read_text(), "the start to fail")
        wait_for(lambda: "started child=gatekeeper" in unit.log_file.read_text(), "the others to be started")
        assert modality.send(1) == []
        assert not unit.ready
        (disk / "ballast").unlink()
        wait_for(lambda: unit.ready, "the unit to be complete")
        assert len(modality.send(1)) == 1
        wait_for(lambda: len(unit.known_uids()) == 3, "intake")
        assert kept_faults(unit, modality.told) == []
    finally:
        unit.stop()
        subprocess.run(["umount", str(disk)], check=True)


def _fill_up(ballast: Path) -> None:
    """The disk to its last byte."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_proxy_in_the_environment_is_not_asked_for_our_own_orthanc(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    unit.start()
    assert echo(unit.config.dicom.port)


def test_stop_leaves_no_process_and_no_open_port(unit: Unit) -> None:
    unit.start()
    pids = unit.child_pids()
    assert set(pids) - {"services"} == {"orthanc", "intake", "sync", "quality", "gatekeeper"}
    assert echo(unit.config.dicom.port)
    assert unit.process is not None
    unit.process.send_signal(signal.SIGINT)
    assert unit.process.wait(60) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", unit.config.dicom.port), timeout=2)


def test_second_unit_on_the_same_folder_is_refused_and_the_first_goes_on(unit: Unit) -> None:
    unit.start()
    done = run_briefly(unit.toml)
    assert done.returncode == 3
    assert "in use by another running" in done.stderr
    assert echo(unit.config.dicom.port)


def test_port_in_use_is_named_with_its_key(unit: Unit) -> None:
    with socket.create_server(("127.0.0.1", unit.config.dicom.port)):
        done = run_briefly(unit.toml)
    assert done.returncode == 3
    assert f"port {unit.config.dicom.port} (dicom.port)" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_orthanc_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = run_briefly(make_unit(tmp_path, "/nonexistent/Orthanc", "").toml)
    assert done.returncode == 3
    assert "Orthanc" in done.stderr
    assert "make setup" in done.stderr
    assert "Traceback" not in done.stderr


def test_mistyped_key_is_named_with_the_nearest_known_one(unit: Unit) -> None:
    unit.toml.write_text(unit.toml.read_text().replace("[unit]\nname", "[unit]\nnam"))
    done = run_briefly(unit.toml)
    assert done.returncode == 3
    assert "unknown key 'nam' in unit; did you mean 'name'?" in done.stderr


def test_data_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run_briefly(make_unit(tmp_path, ORTHANC, "", data_dir=tmp_path / "file" / "data").toml)
    assert done.returncode == 3
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_destination_that_does_not_exist_holds_nothing_up_and_loses_nothing(tmp_path: Path) -> None:
    unit = make_unit(tmp_path, ORTHANC, dicomweb_destination("http://127.0.0.1:9/dicom-web"))
    unit.start()
    try:
        modality = Modality(unit.config.dicom.port)
        assert len(modality.send(3)) == 3
        wait_for(lambda: len(unit.known_uids()) == 3, "intake")
        wait_for(lambda: unit.query("SELECT state FROM link") == [("down",)], "the link to be shown as down")
        assert unit.confirmed_uids() == set()
        assert kept_faults(unit, modality.told) == []
    finally:
        unit.stop()


def test_modality_that_is_not_listed_is_refused(unit: Unit) -> None:
    unit.start()
    assert echo(unit.config.dicom.port, "XRAY")
    assert not echo(unit.config.dicom.port, "STRANGER")
