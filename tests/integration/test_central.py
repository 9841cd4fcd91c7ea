"""``qafila central run`` with real Orthancs: it takes studies by STOW-RS and C-STORE, comes back, and ends clean."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from sync.wire.proofs import plain_code
from tests.gateway.rig import Unit, picture_in_parts
from tests.support.orthancs import orthanc_commands
from tests.support.ports import free_ports
from tests.support.world import wait_for

pytestmark = pytest.mark.orthanc

START_S_MAX = 90.0


def _start(config: Path) -> subprocess.Popen[str]:
    code = "import sys, pathlib; from central.run import run; sys.exit(run(pathlib.Path(sys.argv[1])))"
    return subprocess.Popen([sys.executable, "-c", code, str(config)], stderr=subprocess.PIPE, text=True)


class Centre:
    """A centre in a process of its own, as a person starts it."""

    def __init__(self, folder: Path, command: str, extra: str = "", gateway_port: int = 0) -> None:
        self.http_port, self.dicom_port, self.gateway_port = free_ports(3)
        self.gateway_port = gateway_port or self.gateway_port
        self.config = folder / "central.toml"
        self.config.write_text(
            f'[centre]\nname = "test"\ndata_dir = "{folder / "centre"}"\n'
            f'[pacs]\ncommand = "{command}"\nhttp_port = {self.http_port}\ndicom_port = {self.dicom_port}\n'
            f'username = "unit"\npassword_file = "{folder / "password"}"\n'
            f"[review]\nenabled = false\n[fleet]\nenabled = false\n[gateway]\nport = {self.gateway_port}\n{extra}",
            encoding="utf-8",
        )
        (folder / "password").write_text("a password\n", encoding="utf-8")
        self.process = _start(self.config)

    def wait_for_line(self, words: str) -> str:
        """The first line of the log that holds ``words``; fails when the centre ends before."""
        assert self.process.stderr is not None
        guard = threading.Timer(START_S_MAX, self.process.kill)
        guard.start()
        seen = []
        try:
            for line in self.process.stderr:
                seen.append(line)
                if words in line:
                    return line
        finally:
            guard.cancel()
        raise AssertionError(f"the centre ended without {words!r}:\n{''.join(seen)}")

    def request(self, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=body)
        request.add_header("Authorization", f"Basic {b64encode(b'unit:a password').decode()}")
        request.add_header("Accept", "application/dicom+json")
        if kind:
            request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode


@contextmanager
def running(centre: Centre) -> Iterator[Centre]:
    try:
        yield centre
    finally:
        centre.process.kill()
        centre.process.communicate()


@pytest.fixture(params=orthanc_commands())
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _sample(folder: Path, number: int) -> tuple[Path, str]:
    """A small Part 10 file and its SOP Instance UID."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = f"2.25.{9000 + number}"
    dataset.StudyInstanceUID = "2.25.8000"
    dataset.SeriesInstanceUID = "2.25.8001"
    dataset.PatientID = "P"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{number}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path, dataset.SOPInstanceUID


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_centre_keeps_what_stow_and_c_store_bring_and_leaves_nothing_running(tmp_path: Path, command: str) -> None:
    by_stow, stow_uid = _sample(tmp_path, 1)
    by_store, store_uid = _sample(tmp_path, 2)
    with running(Centre(tmp_path, command, '[[peer]]\nae_title = "UNIT"\nhost = "127.0.0.1"\nport = 1\n')) as centre:
        centre.wait_for_line("central.run ready")
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + by_stow.read_bytes() + b"\r\n--b--\r\n"
        centre.request("/dicom-web/studies", body, 'multipart/related; type="application/dicom"; boundary=b')
        store = ["storescu", "-aet", "UNIT", "-aec", "CENTRAL", "127.0.0.1", str(centre.dicom_port), str(by_store)]
        subprocess.run(store, check=True, capture_output=True, timeout=60)
        kept = json.loads(centre.request("/dicom-web/studies/2.25.8000/instances"))
        assert {row["00080018"]["Value"][0] for row in kept} == {stow_uid, store_uid}
        stranger = [word.replace("UNIT", "STRANGER") for word in store]
        assert subprocess.run(stranger, capture_output=True, timeout=60).returncode != 0
        assert centre.stop() == 0
        assert _port_is_free(centre.http_port)
        assert _port_is_free(centre.dicom_port)


def test_centre_without_the_password_is_closed(tmp_path: Path, command: str) -> None:
    with running(Centre(tmp_path, command)) as centre:
        centre.wait_for_line("central.run ready")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{centre.http_port}/dicom-web/studies", timeout=30)
        refused.value.close()
        assert refused.value.code == 401


def test_pacs_comes_back_with_its_studies_when_it_is_killed(tmp_path: Path, command: str) -> None:
    path, uid = _sample(tmp_path, 3)
    with running(Centre(tmp_path, command)) as centre:
        pid = int(centre.wait_for_line("central.run started").rsplit("pid=", 1)[1])
        centre.wait_for_line("central.run ready")
        centre.request("/instances", path.read_bytes())
        os.kill(pid, signal.SIGKILL)
        centre.wait_for_line("central.run died")
        centre.wait_for_line("central.run started")
        assert uid.encode() in _answer_within(centre, "/dicom-web/studies/2.25.8000/instances", 60.0)
        assert centre.stop() == 0


def _answer_within(centre: Centre, path: str, deadline_s: float) -> bytes:
    clock = SystemClock()
    deadline_mono_s = clock.mono_s() + deadline_s
    pause = threading.Event()
    while True:
        try:
            return centre.request(path)
        except OSError:
            assert clock.mono_s() < deadline_mono_s, f"no answer to {path} within {deadline_s} s"
            pause.wait(0.05)


def _refusal(process: subprocess.Popen[str]) -> str:
    """The sentence of a centre that must not start."""
    _, words = process.communicate(timeout=START_S_MAX)
    assert process.returncode == 3
    assert "Traceback" not in words
    return words


def test_missing_orthanc_is_a_sentence_and_exit_code_3(tmp_path: Path) -> None:
    assert "Orthanc is not here (/no/Orthanc)" in _refusal(Centre(tmp_path, "/no/Orthanc").process)


@pytest.mark.parametrize(("says", "sentence"), [("Orthanc 1.9.1", "is Orthanc 1.9.1"), ("hello", "is no Orthanc")])
def test_orthanc_of_another_version_is_refused(tmp_path: Path, says: str, sentence: str) -> None:
    other = tmp_path / "Orthanc"
    other.write_text(f"#!/bin/sh\necho {says}\n", encoding="utf-8")
    other.chmod(0o755)
    words = _refusal(Centre(tmp_path, str(other)).process)
    assert sentence in words
    assert "1.10.1 and 1.12.7" in words


def test_port_in_use_is_a_sentence_and_exit_code_3(tmp_path: Path, command: str) -> None:
    with running(Centre(tmp_path, command)) as centre:
        centre.wait_for_line("central.run ready")
        second = tmp_path / "second.toml"
        text = centre.config.read_text(encoding="utf-8").replace(str(tmp_path / "centre"), str(tmp_path / "other"))
        second.write_text(text, encoding="utf-8")
        assert f"port {centre.http_port} (pacs.http_port)" in _refusal(_start(second))


def test_port_of_the_gateway_in_use_is_a_sentence_and_exit_code_3(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        centre = Centre(tmp_path, command, gateway_port=port)
        assert f"port {port} (gateway.port)" in _refusal(centre.process)


def test_unit_delivers_to_the_embedded_pacs_also_after_the_gateway_was_killed(tmp_path: Path, command: str) -> None:
    with running(Centre(tmp_path, command)) as centre:
        centre.wait_for_line("central.run started")
        pid = int(centre.wait_for_line("child=gateway").rsplit("pid=", 1)[1])
        centre.wait_for_line("central.run ready")
        code = json.loads(_command(centre, "enrol", "van", "--json"))["code"]
        with Unit(f"http://127.0.0.1:{centre.gateway_port}", "van") as unit:
            assert unit.enrol(plain_code(code)).status_code == 200
            assert unit.open_session().status_code == 200
            pictures = [picture_in_parts(tmp_path / str(i), 50_000, 900 + i) for i in range(2)]
            unit.send(pictures[0])
            assert unit.receipt(unit.wait_for_entries(1)[0].receipt).pacs == "test"
            os.kill(pid, signal.SIGKILL)
            centre.wait_for_line("central.run died child=gateway")
            centre.wait_for_line("central.run started child=gateway")
            wait_for(lambda: not _port_is_free(centre.gateway_port), "the gateway to listen again")
        with Unit(f"http://127.0.0.1:{centre.gateway_port}", "van") as again:
            again.token, again.unit_id, again.centre_key = unit.token, unit.unit_id, unit.centre_key
            again.send(pictures[1])
            assert again.wait_for_entries(2)[1].sop_instance_uid == pictures[1].uid
        for picture in pictures:
            found = json.loads(centre.request(f"/dicom-web/studies/{picture.study_uid}/instances"))
            assert found[0]["00080018"]["Value"] == [picture.uid]
        shown = json.loads(_command(centre, "studies", "--json"))["studies"]
        assert all(study["all_verified_at"] for study in shown)
        assert centre.stop() == 0
        assert _port_is_free(centre.gateway_port)


def _command(centre: Centre, *words: str) -> str:
    argv = [sys.executable, "-m", "appliance.cli.main", "central", *words, "--config", str(centre.config)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_centre_may_leave_out_pacs_or_gateway(tmp_path: Path, command: str) -> None:
    (gateway_port,) = free_ports(1)
    config = tmp_path / "central.toml"
    handover = '[handover]\nkind = "dicomweb"\nname = "far"\nurl = "http://127.0.0.1:9/dicom-web"\n'
    config.write_text(
        f'[centre]\ndata_dir = "{tmp_path / "centre"}"\n[pacs]\nenabled = false\n'
        f"[review]\nenabled = false\n[fleet]\nenabled = false\n[gateway]\nport = {gateway_port}\n{handover}"
    )
    process = _start(config)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "central.run ready" in line:
            break
    assert not any("child=pacs" in line for line in lines)
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway_port}/v1/health", timeout=30) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_second_centre_on_the_same_folder_is_refused(tmp_path: Path, command: str) -> None:
    with running(Centre(tmp_path, command)) as centre:
        centre.wait_for_line("central.run ready")
        assert "is in use by another running Qafila" in _refusal(_start(centre.config))
