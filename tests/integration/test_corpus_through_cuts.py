"""Every image at hand goes from a modality through the real unit, a link that breaks all the time, and the real gateway
into the central Orthanc, while processes on both sides are killed.

In the end the centre holds the very file that the unit stored, and in it the data set and the pixels that the sender
had; what did not get in was refused at the door for a fault that is told from the file alone, file by file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pydicom
import pydicom.examples
import pytest
from pynetdicom import _config

from appliance.config import blob_path
from appliance.dicom.phantom import write_phantom_chest
from sync.wire.digest import digests
from tests.support.corpus import Sendable, c_store, corpus_files, sendable
from tests.support.files import data_dir, sample_files, small_chest
from tests.support.orthancs import orthanc_commands
from tests.support.proxy import Proxy
from tests.support.world import (
    Centre,
    Unit,
    enrol,
    gateway_destination,
    make_unit,
    query,
    running_centre,
    running_processes,
    wait_for,
)

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.timeout(600),
    # pydicom says much about these files
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
]

SETTLE_S_MAX = 400.0
VICTIMS = ("sync", "gateway", "encoder", "unit", "gateway", "sync")
"""Killed in this order."""


@pytest.fixture(autouse=True)
def data_sets_as_they_are(monkeypatch: pytest.MonkeyPatch, plain_modality: None) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_examples_and_phantoms_arrive_as_they_were_sent(orthanc: str, tmp_path: Path) -> None:
    names = ("ct", "jpeg2k", "mr", "overlay", "palette_color", "rt_plan", "rgb_color", "waveform", "ybr_color")
    files = {name: Path(pydicom.examples.get_path(name)) for name in names}
    files["film"] = tmp_path / "film.dcm"
    write_phantom_chest(files["film"], rows=1200, columns=1000, seed=3)
    files |= {f"small-{seed}": small_chest(tmp_path / f"small-{seed}.dcm", seed) for seed in range(20)}
    delivered = _deliver((orthanc, orthanc), tmp_path, files, cuts=_cuts(seed=7, count=30, bytes_max=60_000))
    assert delivered == set(files)


@pytest.mark.skipif(data_dir() is None, reason="the shared images are not here")
def test_whole_corpus_arrives_as_it_was_sent(tmp_path: Path) -> None:
    """The unit's and the centre's Orthanc are of two versions where this machine has two."""
    found, files = orthanc_commands(), corpus_files()
    delivered = _deliver((found[0], found[-1]), tmp_path, files, cuts=_cuts(seed=8, count=70, bytes_max=200_000))
    assert {name for name, path in files.items() if _is_sound_sample(path)} <= delivered


def _is_sound_sample(path: Path) -> bool:
    return any(sample.path == path for sample in sample_files())


def _cuts(seed: int, count: int, bytes_max: int) -> list[int]:
    """Lengths of connections, from a request's first bytes to many appends, as evenly by order of magnitude."""
    chance = random.Random(seed)
    return [int(math.exp(chance.uniform(math.log(200), math.log(bytes_max)))) for _ in range(count)]


def _deliver(orthancs: tuple[str, str], folder: Path, files: dict[str, Path], cuts: Sequence[int]) -> set[str]:
    """Send everything and check everything, between the Orthancs of a unit and a centre; names of what arrived."""
    items, unsendable = sendable(files, folder / "sent")
    assert len(items) + len(unsendable) == len(files)
    with running_centre(folder / "centre", orthancs[1]) as centre, Proxy(centre.gateway_port) as link:
        link.cuts = iter(cuts)
        with _running_unit(folder / "unit", orthancs[0], centre, link.port) as unit:
            refused = {item.name: item.fault for item in items if c_store(item, unit.config.dicom.port) != 0}
            assert refused == {item.name: item.fault for item in items if item.fault}
            accepted = [item for item in items if not item.fault]
            uids = {item.sop_instance_uid for item in accepted}
            _kill_until(lambda: _is_settled(unit, uids), unit, centre, link, len(cuts))
            assert link.cut_count >= len(cuts) // 2
            faults = [fault for item in accepted for fault in _faults(item, unit, centre, folder / "back.dcm")]
            assert faults == []
            assert set(centre.holdings()) == uids
            assert set(centre.holdings().values()) == {1}
    return {item.name for item in accepted}


@contextlib.contextmanager
def _running_unit(folder: Path, orthanc: str, centre: Centre, link_port: int) -> Iterator[Unit]:
    """A unit that knows the centre's gateway over the link, enrolled as a person enrols it."""
    unit = make_unit(folder, orthanc, gateway_destination(f"http://127.0.0.1:{link_port}"))
    enrol(unit, centre)
    unit.start()
    try:
        yield unit
    finally:
        unit.stop()


def _is_settled(unit: Unit, uids: set[str]) -> bool:
    return unit.confirmed_uids() == uids == unit.known_uids()


def _kill_until(done: Callable[[], bool], unit: Unit, centre: Centre, link: Proxy, cut_count: int) -> None:
    """Each victim is killed after its share of the cuts; then the link is left alone with what is still to come."""
    for number, victim in enumerate(VICTIMS, start=1):
        due = number * cut_count // (2 * len(VICTIMS))
        wait_for(lambda due=due: link.cut_count >= due, f"cut {due}", SETTLE_S_MAX)  # type: ignore[misc]  # bound default
        _kill(victim, unit, centre)
    wait_for(done, "everything accepted to be confirmed", SETTLE_S_MAX)


def _kill(victim: str, unit: Unit, centre: Centre) -> None:
    if victim == "unit":
        unit.kill_all()
        unit.start()
        return
    pids = set(running_processes(b"central.gateway")) & set(running_processes(str(centre.toml).encode()))
    if victim != "gateway":
        wait_for(lambda: unit.shows_children and "sync" in unit.child_pids(), "sync to run")
        sync = unit.child_pids()["sync"]
        pids = {sync} if victim == "sync" else _children_of(sync)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children_of(pid: int) -> set[int]:
    """The encoder's workers; none while nothing is to be coded."""
    with contextlib.suppress(OSError):
        return {int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")}
    return set()


def _words(path: Path) -> list[str]:
    return path.read_text().split()


def _faults(item: Sendable, unit: Unit, centre: Centre, back: Path) -> Iterator[str]:
    """What is not as it must be with one accepted object, on the way from its sender to the central Orthanc."""
    uid = item.sop_instance_uid
    kept = query(unit.config.door_db, f"SELECT blob_uuid, sha256 FROM kept WHERE sop_instance_uid = '{uid}'")
    if len(kept) != 1:
        yield f"{item.name}: kept {len(kept)} times"
        return
    ((blob_uuid, kept_sha256),) = kept
    if hashlib.sha256(blob_path(unit.config.blob_dir, str(blob_uuid)).read_bytes()).hexdigest() != kept_sha256:
        yield f"{item.name}: the unit's file is not the one that it kept"
    rebuilt = query(
        centre.toml.parent / "data" / "gateway.db",
        f"SELECT sha256, state FROM file WHERE sop_instance_uid = '{uid}'",
    )
    if rebuilt != [(kept_sha256, "verified")]:
        yield f"{item.name}: the gateway rebuilt {rebuilt}, not {kept_sha256}"
    content = centre.file(uid)
    if hashlib.sha256(content).hexdigest() != kept_sha256:
        yield f"{item.name}: the central Orthanc holds another file"
    back.write_bytes(content)
    yield from _differences(item, back)


def _differences(item: Sendable, back: Path) -> Iterator[str]:
    """Between what was sent and what came back, by our digests and, for pixels, by pydicom alone."""
    with item.path.open("rb") as sent_file, back.open("rb") as back_file:
        sent, found = digests(sent_file), digests(back_file)
    if sent != found:
        yield f"{item.name}: sent {sent}, came back {found}"
    ours, theirs = (pydicom.dcmread(io.BytesIO(path.read_bytes()), force=True) for path in (item.path, back))
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "WaveformSequence"):
        if ours.get(keyword) != theirs.get(keyword):
            yield f"{item.name}: other {keyword}"
