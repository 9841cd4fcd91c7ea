"""The gatekeeper before real Orthancs: DCMTK's and pynetdicom's clients through it, and what hurts Orthanc stopped."""

from __future__ import annotations

import random
import signal
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import AllTransferSyntaxes, JPEGBaseline8Bit
from pynetdicom import AE, StoragePresentationContexts

from tests.support import rawdicom
from tests.support.files import sample_files, small_chest
from tests.support.gatekeepers import GatekeeperProcess, running_gatekeeper
from tests.support.orthancs import OrthancHandle, orthanc_commands, start_orthanc
from tests.support.rawdicom import ABORT, CR_STORAGE, EXPLICIT, RawModality, associate_rq, deflate, image

pytestmark = pytest.mark.orthanc

CONFIG: dict[str, object] = {
    "DicomAet": "QAFILA",
    "DicomAlwaysAllowStore": True,
    "UnknownSopClassAccepted": True,
    "DicomThreadsCount": 16,
    "MaximumPduLength": 131072,
    "DicomScpTimeout": 60,
}
"""As ``appliance.orthanc.settings`` renders it, without the plugin."""


@dataclass
class Stack:
    """A gatekeeper with its Orthanc."""

    gatekeeper: GatekeeperProcess
    orthanc: OrthancHandle

    @property
    def port(self) -> int:
        return self.gatekeeper.port

    def data_sets(self) -> dict[str, bytes]:
        """Bytes after group 0002 of what Orthanc holds, by SOP Instance UID."""
        found = {}
        for orthanc_id in self.orthanc.json("/instances"):
            status, file = self.orthanc.request("GET", f"/instances/{orthanc_id}/file")
            assert status == 200
            uid, data = split(file)
            found[uid] = data
        return found

    def clear(self) -> None:
        for orthanc_id in self.orthanc.json("/patients"):
            self.orthanc.request("DELETE", f"/patients/{orthanc_id}")

    def dcmtk(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [command, "-aet", "XRAY1", "-aec", "QAFILA", *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def split(file: bytes) -> tuple[str, bytes]:
    """SOP Instance UID and data set of a Part 10 file."""
    length = int.from_bytes(file[140:144], "little")
    meta = file[144 : 144 + length]
    start = meta.index(b"\x02\x00\x03\x00UI") + 8
    size = int.from_bytes(meta[start - 2 : start], "little")
    return meta[start : start + size].rstrip(b"\0").decode(), file[144 + length :]


@pytest.fixture(scope="module", params=orthanc_commands())
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("gate")
    with start_orthanc(request.param, CONFIG, folder / "orthanc") as orthanc:
        orthanc.wait_ready()
        with running_gatekeeper(folder, orthanc.dicom_port) as gatekeeper:
            yield Stack(gatekeeper, orthanc)


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.clear()
    return running


def _chests(folder: Path, count: int) -> dict[str, Path]:
    paths = [small_chest(folder / f"{number}.dcm", seed=number) for number in range(count)]
    return {split(path.read_bytes())[0]: path for path in paths}


@pytest.mark.parametrize("command", ["storescu", "dcmsend"])
def test_dcmtk_sends_many_objects_bit_for_bit(stack: Stack, tmp_path: Path, command: str) -> None:
    chests = _chests(tmp_path, 20)

    done = stack.dcmtk(command, "127.0.0.1", str(stack.port), *map(str, chests.values()))

    assert done.returncode == 0, done.stderr
    expected = {uid: split(path.read_bytes())[1] for uid, path in chests.items()}
    assert stack.data_sets() == expected


def test_dcmtk_echoes_and_is_told_why_not(stack: Stack) -> None:
    assert stack.dcmtk("echoscu", "127.0.0.1", str(stack.port)).returncode == 0

    stranger = subprocess.run(
        ["echoscu", "-aet", "NOBODY", "-aec", "QAFILA", "127.0.0.1", str(stack.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert stranger.returncode != 0
    assert "Calling AE Title Not Recognized" in stranger.stderr


def test_every_real_sample_passes(stack: Stack) -> None:
    samples = sample_files()
    client = AE("US1")
    for sample in samples:
        meta = dcmread(sample.path, stop_before_pixels=True).file_meta
        client.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    association = client.associate("127.0.0.1", stack.port, ae_title="QAFILA", max_pdu=0)
    assert association.is_established

    statuses = {sample.name: association.send_c_store(sample.path).Status for sample in samples}
    association.release()

    assert set(statuses.values()) == {0}, statuses
    assert len(stack.data_sets()) == len({split(s.path.read_bytes())[0] for s in samples})


def test_most_presentation_contexts_a_request_can_hold(stack: Stack, tmp_path: Path) -> None:
    """128 contexts with every transfer syntax are about 55 KB of request."""
    client = AE("XRAY1")
    contexts = StoragePresentationContexts[:128]
    for context in contexts:
        client.add_requested_context(str(context.abstract_syntax), list(AllTransferSyntaxes)[:12])
    client.requested_contexts[0].abstract_syntax = "1.2.840.10008.5.1.4.1.1.1.1"
    association = client.associate("127.0.0.1", stack.port, ae_title="QAFILA")

    assert association.is_established
    assert len(association.accepted_contexts) > 100
    assert association.send_c_store(next(iter(_chests(tmp_path, 1).values()))).Status == 0
    association.release()


@pytest.mark.fault(28)
def test_object_truncated_anywhere_is_refused_and_never_hangs_orthanc(stack: Stack) -> None:
    """Bare Orthanc answers some of these with Success, and blocks a worker for 30 s on the others."""
    seeded = random.Random(28)
    between = rawdicom.nested(2) + rawdicom.nested(2, defined=True)
    with RawModality(stack.port) as modality:
        modality.associate()
        for number in range(60):
            data = image(f"1.2.28.{number}", 200, between)
            cut = seeded.randrange(8, len(data))
            status = modality.store(f"1.2.28.{number}", data[:cut], message_id=2 * number)
            expected = 0x0000 if cut in _element_ends(data) else 0xC000
            assert status == expected, f"cut at {cut} of {len(data)} bytes"

        assert modality.store("1.2.3", image("1.2.3"), message_id=999) == 0
        assert modality.release() == rawdicom.RELEASE_RP

    stored = stack.data_sets()
    assert "1.2.3" in stored
    # Orthanc refuses by itself what lacks the identifying UIDs, so a cut between elements may also fail there.
    assert all(uid == "1.2.3" or len(data) in _element_ends(image(uid, 200, between)) for uid, data in stored.items())


def _element_ends(data: bytes) -> set[int]:
    """Where elements of the outermost level end and enough of the object is there to be stored."""
    ends, offset = set(), 0
    while offset < len(data):
        vr = data[offset + 4 : offset + 6]
        if vr == b"SQ" and data[offset + 8 : offset + 12] == b"\xff" * 4:
            offset += len(rawdicom.nested(2))
        elif vr in (b"SQ", b"OB"):
            offset += 12 + int.from_bytes(data[offset + 8 : offset + 12], "little")
        else:
            offset += 8 + int.from_bytes(data[offset + 6 : offset + 8], "little")
        if b"1.2.826.0.1.3680043.9.2" in data[:offset]:
            ends.add(offset)
    return ends


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("syntax", "data"),
    [
        (rawdicom.DEFLATED, deflate(image("1.2.28"))[:-6]),
        (rawdicom.DEFLATED, deflate(image("1.2.28")[:-6])),
        (
            str(JPEGBaseline8Bit),
            image("1.2.28")[:-10_012]
            + rawdicom.long_element(0x7FE0, 0x0010, b"OB", b"", rawdicom.UNDEFINED)
            + rawdicom.data_set_item(b"")
            + rawdicom.data_set_item(bytes(100), 5_000),
        ),
    ],
    ids=["deflate stream", "inside the deflate stream", "pixel fragment"],
)
def test_compressed_object_that_is_truncated_is_refused(stack: Stack, syntax: str, data: bytes) -> None:
    with RawModality(stack.port) as modality:
        modality.associate(associate_rq(contexts=((1, CR_STORAGE, (syntax,)),)))

        assert modality.store("1.2.28", data) == 0xC000

    assert stack.data_sets() == {}


@pytest.mark.fault(61)
@pytest.mark.parametrize("defined", [False, True])
def test_nesting_bomb_never_reaches_orthanc(stack: Stack, defined: bool) -> None:
    bomb = image("1.2.61", between=rawdicom.nested(5_000, defined=defined))
    with RawModality(stack.port) as modality:
        modality.associate()

        assert modality.store("1.2.61", bomb) == 0xC000
        assert modality.store("1.2.3", image("1.2.3"), message_id=2) == 0

    assert stack.orthanc.process.poll() is None
    assert list(stack.data_sets()) == ["1.2.3"]


@pytest.mark.fault(61)
def test_nesting_bomb_with_lying_lengths_never_reaches_orthanc(stack: Stack) -> None:
    """Implicit VR, each sequence claiming 8 bytes: sent directly, this ends both Orthancs with a segmentation fault."""
    inner = b""
    for _ in range(20_000):
        inner = struct.pack("<HHI", 0x0040, 0x0555, 8) + rawdicom.data_set_item(inner)
    with RawModality(stack.port) as modality:
        modality.associate(associate_rq(contexts=((1, CR_STORAGE, (rawdicom.IMPLICIT,)),)))

        assert modality.store("1.2.61", inner) == 0xC000

    assert stack.orthanc.process.poll() is None
    assert stack.data_sets() == {}


@pytest.mark.fault(60)
def test_honest_modality_is_served_while_others_sit_in_orthanc(stack: Stack) -> None:
    """With four threads in Orthanc, its default, each store would wait for seconds behind fifteen idle associations."""
    sitting = []
    try:
        for number in range(15):
            modality = RawModality(stack.port, source=f"127.0.0.{2 + number % 3}")
            sitting.append(modality)
            modality.associate()
        sitting[0].begin_store("1.2.60")

        with RawModality(stack.port) as honest:
            honest.associate()
            assert [honest.store(f"1.2.3.{n}", image(f"1.2.3.{n}"), message_id=n) for n in range(5)] == [0] * 5
    finally:
        for modality in sitting:
            modality.close()

    assert len(stack.data_sets()) == 5


@pytest.mark.fault(1)
@pytest.mark.parametrize("command", orthanc_commands()[:1])
def test_cut_before_the_association_is_accepted_stores_nothing_and_the_retry_does(tmp_path: Path, command: str) -> None:
    """The gatekeeper dies with the request in its hands, and with the accepted association before the object's end."""
    with start_orthanc(command, CONFIG, tmp_path / "orthanc") as orthanc:
        orthanc.wait_ready()
        with running_gatekeeper(tmp_path, orthanc.dicom_port) as gatekeeper:
            stack = Stack(gatekeeper, orthanc)
            request = associate_rq()
            for said in (request[:40], request, request):
                with RawModality(stack.port) as modality:
                    modality.send(said)
                    gatekeeper.process.send_signal(signal.SIGKILL)
                    gatekeeper.process.wait(30)
                    assert modality.receive()[0] in (0, rawdicom.ASSOCIATE_AC)
                assert stack.data_sets() == {}
                gatekeeper.restart()

            with RawModality(stack.port) as modality:
                modality.associate()
                assert modality.store("1.2.3", image("1.2.3")) == 0

            assert list(stack.data_sets()) == ["1.2.3"]


@pytest.mark.parametrize("command", orthanc_commands()[:1])
def test_modality_is_told_when_orthanc_dies_and_served_when_it_is_back(tmp_path: Path, command: str) -> None:
    with start_orthanc(command, CONFIG, tmp_path / "orthanc") as orthanc:
        orthanc.wait_ready()
        with running_gatekeeper(tmp_path, orthanc.dicom_port) as gatekeeper, RawModality(gatekeeper.port) as modality:
            modality.associate()
            modality.begin_store("1.2.3")
            orthanc.kill()

            assert modality.receive()[0] == ABORT
            with RawModality(gatekeeper.port) as early:
                early.send(associate_rq())
                kind, body = early.receive()
                assert (kind, tuple(body[1:])) == (rawdicom.ASSOCIATE_RJ, (2, 3, 1))

            again = {**CONFIG, "DicomPort": orthanc.dicom_port, "HttpPort": orthanc.http_port}
            with start_orthanc(command, again, tmp_path / "orthanc") as reborn:
                reborn.wait_ready()
                with RawModality(gatekeeper.port) as later:
                    later.associate()
                    assert later.store("1.2.3", image("1.2.3")) == 0


def test_transfer_syntax_of_the_scan_is_the_negotiated_one(stack: Stack) -> None:
    """The modality offers two for one context; what Orthanc chose decides how the data set is read."""
    with RawModality(stack.port) as modality:
        body = modality.associate(associate_rq(contexts=((1, CR_STORAGE, (EXPLICIT, rawdicom.IMPLICIT)),)))
        assert EXPLICIT.encode() in body

        assert modality.store("1.2.3", image("1.2.3")) == 0
