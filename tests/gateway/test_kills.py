"""``kill -9`` in the middle of uploads, rebuilds and hand-overs, before a real Orthanc: nothing lost, nothing false.

What the gateway confirmed is the ground truth: an offset that it answered is never forgotten, and a receipt means that
Orthanc holds the file. The unit of these tests goes on as a real one does: manifest, offsets, the rest.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sync.wire import messages as m
from tests.gateway.rig import CLOCK, Gateway, Parted, Unit, make_gateway, picture_in_parts
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import start_central, stored_file

pytestmark = pytest.mark.orthanc

GIVE_UP_S = 120.0
KILL_COUNT = 4


@pytest.fixture(scope="module", params=orthanc_commands())
def orthanc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancHandle]:
    with start_central(str(request.param), tmp_path_factory.mktemp("orthanc"), 1) as started:
        yield started


class _Killer:
    """Kills and restarts a gateway at random moments until told to stop."""

    def __init__(self, gateway: Gateway, seed: int, pause_s: tuple[float, float]) -> None:
        self._gateway = gateway
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.kill_count = 0

    def __enter__(self) -> _Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()
        # A child dies with the thread that started it, so the last one is this thread's.
        self._gateway.kill()
        self._gateway.start()

    def _run(self) -> None:
        while not self._enough.wait(self._random.uniform(*self._pause_s)):
            self._gateway.kill()
            self.kill_count += 1
            self._gateway.start()


def deliver(unit: Unit, pictures: list[Parted]) -> dict[str, m.Receipt]:
    """As a unit: announce, send what is asked for, ask again; through every broken connection, until all is proved."""
    confirmed: dict[str, int] = {}
    receipts: dict[str, m.Receipt] = {}
    deadline_mono_s = CLOCK.mono_s() + GIVE_UP_S
    pause = threading.Event()
    while len(receipts) < len(pictures):
        assert CLOCK.mono_s() < deadline_mono_s, f"only {len(receipts)} of {len(pictures)} were proved"
        for picture in pictures:
            if picture.uid in receipts:
                continue
            try:
                _one_round(unit, picture, confirmed, receipts)
            except httpx.TransportError:
                pause.wait(0.05)
    return receipts


def _one_round(unit: Unit, picture: Parted, confirmed: dict[str, int], receipts: dict[str, m.Receipt]) -> None:
    answer = unit.announce(picture)
    found = answer.instances[picture.uid]
    assert found.state is not m.InstanceState.REFUSED, found.problem
    if found.receipt is not None:
        receipts[picture.uid] = unit.receipt(found.receipt)
        return
    for name, content in picture.contents.items():
        state = answer.parts[name]
        assert state.offset >= confirmed.get(name, 0), "an offset that was confirmed is not forgotten"
        if state.complete or state.not_needed:
            continue
        sent = unit.append(name, content[state.offset : state.offset + 200_000], state.offset)
        if sent.status_code == 204:
            confirmed[name] = int(sent.headers["Upload-Offset"])
        else:
            assert sent.status_code in (400, 409, 503), sent.text


@pytest.mark.fault(12)
@pytest.mark.parametrize("seed", range(2))
def test_gateway_killed_at_random_delivers_everything_once(orthanc: OrthancHandle, tmp_path: Path, seed: int) -> None:
    gateway = make_gateway(tmp_path / "g", f"{orthanc.url}/dicom-web").start()
    try:
        with Unit(gateway.url, f"van-{seed}") as unit:
            unit.join(gateway)
            pictures: list[Parted] = []
            receipts: dict[str, m.Receipt] = {}
            with _Killer(gateway, seed, (0.1, 1.5)) as killer:
                while killer.kill_count < KILL_COUNT:
                    first = len(pictures)
                    pictures += [
                        picture_in_parts(tmp_path / str(i), 400_000, seed * 100 + i) for i in range(first, first + 3)
                    ]
                    receipts |= deliver(unit, pictures[first:])
            for picture in pictures:
                assert receipts[picture.uid].sha256 == picture.instance.sha256
                assert _same_data_set(stored_file(orthanc, picture.uid), picture.file)
            entries = unit.wait_for_entries(len(pictures))
            assert sorted(entry.sop_instance_uid for entry in entries) == sorted(one.uid for one in pictures)
            assert unit.inbox().head == len(pictures), "each was settled once"
    finally:
        if gateway.process is not None:
            gateway.stop()


@pytest.mark.fault(12)
@pytest.mark.parametrize("column", ["complete_at", "rebuilt_at"])
def test_gateway_killed_between_two_steps_goes_on_from_there(
    orthanc: OrthancHandle, tmp_path: Path, column: str
) -> None:
    """Killed as soon as the database says that a step is done, over and over: the unit does nothing more."""
    gateway = make_gateway(tmp_path / "g", f"{orthanc.url}/dicom-web").start()
    try:
        with Unit(gateway.url, "van") as unit:
            unit.join(gateway)
            for seed in range(4):
                picture = picture_in_parts(tmp_path / str(seed), 300_000, 1000 + seed + len(column))
                unit.announce(picture)
                unit.send_part(picture.header)
                unit.append(picture.instance.pixels, picture.pixels, complete=True)
                _wait_for_step(gateway, picture, column)
                gateway.kill()
                gateway.start()
                entry = unit.wait_for_entries(seed + 1)[seed]
                assert unit.receipt(entry.receipt).sha256 == picture.instance.sha256
                assert _same_data_set(stored_file(orthanc, picture.uid), picture.file)
    finally:
        if gateway.process is not None:
            gateway.stop()


def _wait_for_step(gateway: Gateway, picture: Parted, column: str) -> None:
    deadline_mono_s = CLOCK.mono_s() + GIVE_UP_S
    query = f"SELECT {column} FROM file WHERE sha256 = '{picture.instance.sha256}'"
    while gateway.query(query) == [(None,)]:
        assert CLOCK.mono_s() < deadline_mono_s, column


def test_orthanc_killed_during_the_hand_over_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    for command in orthanc_commands():
        folder = tmp_path / Path(command).name
        orthanc = start_central(command, folder / "orthanc", 1)
        config = orthanc.folder / "orthanc.test.json"
        gateway = make_gateway(folder / "g", f"{orthanc.url}/dicom-web").start()
        try:
            with Unit(gateway.url, "van") as unit:
                unit.join(gateway)
                pictures = [picture_in_parts(folder / str(i), 400_000, 2000 + i) for i in range(6)]
                for picture in pictures[:3]:
                    unit.send(picture)
                orthanc.kill()
                for picture in pictures[3:]:
                    unit.send(picture)
                orthanc = _again(orthanc, command, config)
                receipts = {entry.sop_instance_uid: unit.receipt(entry.receipt) for entry in unit.wait_for_entries(6)}
                for picture in pictures:
                    assert receipts[picture.uid].method == "wado"
                    assert _same_data_set(stored_file(orthanc, picture.uid), picture.file)
        finally:
            gateway.stop()
            orthanc.stop()


def _again(orthanc: OrthancHandle, command: str, config: Path) -> OrthancHandle:
    from tests.support.orthancs import start_configured

    return start_configured(
        command,
        config,
        orthanc.log_path,
        dicom_port=orthanc.dicom_port,
        http_port=orthanc.http_port,
        credentials=None,
        ae_title=orthanc.ae_title,
    ).wait_ready()


def _same_data_set(theirs: bytes | None, ours: bytes) -> bool:
    """By pydicom alone: the same elements, pixels included."""
    import io

    from pydicom import dcmread

    assert theirs is not None, "it is not in Orthanc"
    return bool(dcmread(io.BytesIO(theirs)) == dcmread(io.BytesIO(ours)))
