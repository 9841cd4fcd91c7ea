"""The encoder as a service: original megabits a second and core at the lowest effort, memory by effort, first looks.

Rates are of the processor time of everything that the service started, workers' start and the check of every part
included; the wall rate beside them is what one lane gives on this machine as loaded as it was. Goal: 100 Mbit/s of
original DICOM a core at effort 1. "Capture keeps" is the speed of ordinary processes on all cores while a film is coded
ahead, against their speed alone; beside it the same for nothing (the noise) and for coding that does not stand back.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from appliance.clock import SystemClock
from appliance.dicom.phantom import write_phantom_chest
from appliance.domain.limits import LimitSet
from sync.adapters.base import SendItem
from sync.encoder.base import EncodedFile
from sync.encoder.child import Worker, WorkerSpec
from sync.encoder.manners import Manner
from sync.encoder.messages import Code, Coded
from sync.encoder.pace import zstd_of
from sync.encoder.service import EncoderService

FILM_COUNT = 16
EFFORTS = (0, 1, 2, 3, 5, 7, 9)
LOOK_COUNT = 5
ROUNDS = 5
FAST_LINK_BYTES_PER_S = 125e6
_CLOCK = SystemClock()
_SPIN = "import sys\nn = 0\nfor n in range(int(sys.argv[1])): pass"
_ORDINARY = """
import sys
from pathlib import Path
from sync.wire.encode import SMALL, encode
while True: encode(Path(sys.argv[1]), Path(sys.argv[2]), SMALL)
"""
_SPIN_COUNT = 30_000_000


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Everything above, for 12-bit chest phantoms of 3000 x 2500 pixels."""
    folder.mkdir(parents=True)
    films = [_film(folder / f"{number}.dcm", number) for number in range(FILM_COUNT)]
    results: dict[str, object] = {"film_bytes": films[0].size_bytes}
    results["effort_1"] = _throughput(folder / "rate", films, say)
    results["by_effort"] = {effort: _at_effort(folder, films[0], effort, say) for effort in EFFORTS}
    results["first_look_s"] = _first_looks(folder / "looks", films, say)
    results["capture_keeps"] = _capture_keeps(folder, films, say)
    return results


def _film(path: Path, seed: int) -> SendItem:
    write_phantom_chest(path, seed=seed)
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    native = "1.2.840.10008.1.2.1"
    return SendItem(seed, f"1.2.3.{seed}", "1", "1.2.3", "1.2.3.0", native, len(body), digest, path)


def _throughput(folder: Path, films: list[SendItem], say: Callable[[str], None]) -> dict[str, float]:
    """All films awaited one after the other on a link that is faster than any encoder, and worked ahead of."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own_before = resource.getrusage(resource.RUSAGE_SELF)
    service = EncoderService(folder, LimitSet(), _CLOCK)
    service.note_link(FAST_LINK_BYTES_PER_S, sum(film.size_bytes for film in films))
    start_s = _CLOCK.mono_s()
    service.want(films)
    for film in films:
        _made(service, film)
    wall_s = _CLOCK.mono_s() - start_s
    service.close()
    cpu_s = _cpu_s(resource.getrusage(resource.RUSAGE_CHILDREN)) - _cpu_s(before)
    own_s = _cpu_s(resource.getrusage(resource.RUSAGE_SELF)) - _cpu_s(own_before)
    mbit = sum(film.size_bytes for film in films) * 8 / 1e6
    rates = {"mbit_per_core_s": round(mbit / (cpu_s + own_s), 1), "mbit_per_wall_s": round(mbit / wall_s, 1)}
    say(f"encoder effort 1: {rates['mbit_per_core_s']} Mbit/s a core, {rates['mbit_per_wall_s']} Mbit/s by the wall")
    return rates


def _at_effort(folder: Path, film: SendItem, effort: int, say: Callable[[str], None]) -> dict[str, float]:
    """One film in a fresh worker: peak resident memory, processor time, coded size."""
    worker = Worker(WorkerSpec(Manner.PROMPT, LimitSet().encoder_memory_bytes_max), _CLOCK)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        question = Code(path=str(film.path), folder=work, jxl=effort, zstd=zstd_of(effort), cpu_s_max=600.0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = worker.ask(question, 3600.0)
        assert isinstance(answer, Coded) and worker.pid is not None
        status = Path(f"/proc/{worker.pid}/status").read_text()
        memory = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status.splitlines() if line[:3] == "VmH"}
        worker.close()
    cpu_s = _cpu_s(resource.getrusage(resource.RUSAGE_CHILDREN)) - _cpu_s(before)
    found = {
        "peak_mb": round(memory["VmHWM"], 1),
        "cpu_s": round(cpu_s, 2),
        "coded_share": round((answer.pixels_bytes + answer.skeleton_bytes) / film.size_bytes, 4),
    }
    say(f"encoder effort {effort}: {found['peak_mb']} MB, {found['cpu_s']} s, {found['coded_share']} of its size")
    return found


def _first_looks(folder: Path, films: list[SendItem], say: Callable[[str], None]) -> dict[str, float]:
    """A preview from a worker that has to be started, and from one that runs."""
    cold: list[float] = []
    warm: list[float] = []
    for number in range(LOOK_COUNT):
        service = EncoderService(folder / str(number), LimitSet(), _CLOCK)
        for film, times in ((films[0], cold), (films[1], warm)):
            start_s = _CLOCK.mono_s()
            assert service.preview(film, lambda: False) is not None
            times.append(_CLOCK.mono_s() - start_s)
        service.close()
    found = {"cold": round(statistics.median(cold), 2), "warm": round(statistics.median(warm), 2)}
    say(f"encoder first look: {found['cold']} s with a new worker, {found['warm']} s with a running one")
    return found


def _capture_keeps(folder: Path, films: list[SendItem], say: Callable[[str], None]) -> dict[str, float]:
    """Median shares of the speed that ordinary work on all cores keeps, turn by turn."""
    shares: dict[str, list[float]] = {"noise": [], "ahead": [], "not standing back": []}
    for number in range(ROUNDS):
        alone_s = _spin_s()
        shares["noise"].append(alone_s / _spin_s())
        service = EncoderService(folder / f"ahead-{number}", LimitSet(), _CLOCK)
        service.want(films)
        shares["ahead"].append(alone_s / _spin_s())
        service.close()
        with subprocess.Popen([sys.executable, "-c", _ORDINARY, str(films[0].path), str(folder / "part")]) as ordinary:
            shares["not standing back"].append(alone_s / _spin_s())
            ordinary.kill()
    kept = {name: round(statistics.median(each), 2) for name, each in shares.items()}
    say(f"encoder: ordinary work on all cores keeps of its speed {kept}")
    return kept


def _spin_s() -> float:
    start_s = _CLOCK.mono_s()
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN, str(_SPIN_COUNT)]) for _ in range(os.cpu_count() or 1)]
    for each in spinning:
        each.wait()
    return _CLOCK.mono_s() - start_s


def _made(service: EncoderService, film: SendItem) -> EncodedFile:
    parts = service.encoded(film, lambda: False)
    assert parts is not None
    return parts


def _cpu_s(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime
