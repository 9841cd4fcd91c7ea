"""The life and death of the gatekeeper as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import rawdicom
from tests.support.gatekeepers import LIMITS, StandIn, running_gatekeeper, write_toml
from tests.support.ports import free_port
from tests.support.rawdicom import ABORT, RawModality, image
from tests.support.world import wait_for


def test_object_under_way_is_finished_on_sigterm_and_nobody_new_admitted(orthanc: StandIn, tmp_path: Path) -> None:
    patient = {**LIMITS, "handshake_s_max": 60.0, "idle_s_max": 60.0}
    with running_gatekeeper(tmp_path, orthanc.port, patient) as gatekeeper:
        with RawModality(gatekeeper.port) as busy, RawModality(gatekeeper.port) as idle:
            busy.associate()
            idle.associate()
            busy.begin_store("1.2.90")
            wait_for(lambda: gatekeeper.facts()["receiving_count"] == 1, "the object under way")
            gatekeeper.process.terminate()
            assert idle.receive()[0] == ABORT
            with pytest.raises(ConnectionRefusedError):
                RawModality(gatekeeper.port)

            busy.send(rawdicom.data_tf(1, 2, image("1.2.90")))

            assert busy.status() == 0
            assert busy.receive()[0] == ABORT
        assert gatekeeper.stop() == 0
    assert "1.2.90" in orthanc.stored


def test_object_that_never_ends_does_not_hold_up_the_end(orthanc: StandIn, tmp_path: Path) -> None:
    limits = {**LIMITS, "drain_s_max": 0.3, "idle_s_max": 60.0}
    with running_gatekeeper(tmp_path, orthanc.port, limits) as gatekeeper, RawModality(gatekeeper.port) as modality:
        modality.associate()
        modality.begin_store("1.2.91")
        wait_for(lambda: gatekeeper.facts()["receiving_count"] == 1, "the object under way")

        assert gatekeeper.stop() == 0
        assert modality.receive()[0] == ABORT


def _run(toml: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance.gatekeeper", "--config", str(toml)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_port_in_use_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = toml.read_text().splitlines()
        text[5] = f"port = {port}"
        toml.write_text("\n".join(text))

        done = _run(toml)

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"port {port} is in use" in done.stderr
    assert "dicom.port" in done.stderr


def test_address_of_another_machine_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, free_port())
    toml.write_text(toml.read_text().replace('bind = "127.0.0.1"', 'bind = "192.0.2.1"'))

    done = _run(toml)

    assert done.returncode == 3
    assert "192.0.2.1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_typo_in_configuration_is_code_2(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, free_port())
    toml.write_text(toml.read_text() + "handshake_s_maxx = 1\n")

    done = _run(toml)

    assert done.returncode == 2
    assert "handshake_s_max" in done.stderr
