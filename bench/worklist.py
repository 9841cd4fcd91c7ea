"""Worklist queries over 5,000 open registrations, through gatekeeper and plugin; and reception while consoles ask.

The console is pynetdicom, and what it takes to decode the answers is in the time. Goals: a median below 100 ms, and
reception as fast with a console that asks twice a second as without one (real ones ask every 30 s or so).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import statistics
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]  # made at import time

from appliance.clock import SystemClock
from bench.reception import send
from tests.support.orthancs import orthanc_commands
from tests.support.worklists import Made, insert, query
from tests.support.world import Unit, make_unit

ENTRY_COUNT = 5_000
PER_DAY = 50
QUERY_COUNT = 40
ROUNDS = 5
ASK_EVERY_S = 0.5
_FIRST_NUMBER = 10_000
_TODAY = "20260101"
CASES = {
    "today": query({"ScheduledProcedureStepStartDate": _TODAY, "Modality": "DX", "ScheduledStationAETitle": "XRAY"}),
    "one name": query(PatientName="*^fatima"),
    "one accession number": query(AccessionNumber=f"U1-A{_FIRST_NUMBER + 2_500}"),
}
"""50 answers, one, and one."""


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Median milliseconds of each query, and the ratio of reception, on every Orthanc here."""
    results: dict[str, object] = {}
    for orthanc in orthanc_commands():
        name = Path(orthanc).name
        with _unit(folder / name, orthanc) as unit:
            port = unit.config.dicom.port
            results[name] = {**_queries(unit, name, say), **_reception(folder / name, port, name, say)}
        shutil.rmtree(folder / name)
    return results


@contextlib.contextmanager
def _unit(folder: Path, orthanc: str) -> Iterator[Unit]:
    unit = make_unit(folder, orthanc, "")
    unit.start()
    try:
        _fill(unit.config.unit_db)
        yield unit
    finally:
        unit.stop()


def _fill(unit_db: Path) -> None:
    """50 entries a day; made once and renumbered, for pydicom takes 8 ms for each."""
    made = Made(number=_FIRST_NUMBER, date=_TODAY, name_ascii="AMRANI^ALI", name_latin1="AMRANI^ALI", station="XRAY")
    insert(unit_db, [made])
    with contextlib.closing(sqlite3.connect(unit_db, timeout=30)) as db, db:
        (row,) = db.execute("SELECT * FROM worklist_entry").fetchall()
        days = [f"2026{1 + day // 25:02}{1 + day % 25:02}" for day in range(ENTRY_COUNT // PER_DAY)]
        rows = []
        for number in range(1, ENTRY_COUNT):
            swaps = {str(_FIRST_NUMBER): str(_FIRST_NUMBER + number), _TODAY: days[number // PER_DAY]}
            if number == ENTRY_COUNT // 2:
                swaps["AMRANI^ALI"] = "DI^FATIMA "
            rows.append(tuple(_swap(value, swaps) for value in row))
        db.executemany("INSERT INTO worklist_entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _swap(value: object, swaps: dict[str, str]) -> object:
    """Of equal length, so that a data set stays one."""
    for old, new in swaps.items():
        if isinstance(value, str):
            value = value.replace(old, new)
        elif isinstance(value, bytes):
            value = value.replace(old.encode(), new.encode())
    return value


@contextlib.contextmanager
def _console(port: int) -> Iterator[Association]:
    console = AE("XRAY")
    console.add_requested_context(ModalityWorklistInformationFind)
    association = console.associate("127.0.0.1", port, ae_title="QAFILA")
    if not association.is_established:
        raise RuntimeError("the worklist was refused")
    try:
        yield association
    finally:
        association.release()


def _ask(association: Association, asked: Dataset) -> int:
    """How many answers came."""
    heard = [status.Status for status, _ in association.send_c_find(asked, ModalityWorklistInformationFind)]
    if heard[-1] != 0:
        raise RuntimeError(f"the query failed with {heard[-1]:#06x}")
    return len(heard) - 1


def _queries(unit: Unit, name: str, say: Callable[[str], None]) -> dict[str, object]:
    results: dict[str, object] = {}
    clock = SystemClock()
    with _console(unit.config.dicom.port) as association:
        for case, asked in CASES.items():
            _ask(association, asked)  # warms up
            durations_s = []
            before_ms = _cpu_ms(unit)
            for _ in range(QUERY_COUNT):
                start_mono_s = clock.mono_s()
                count = _ask(association, asked)
                durations_s.append(clock.mono_s() - start_mono_s)
            cpu_ms = (_cpu_ms(unit) - before_ms) / QUERY_COUNT
            median_ms = statistics.median(durations_s) * 1e3
            results[case] = {"answers": count, "median_ms": round(median_ms, 1), "unit_cpu_ms": round(cpu_ms, 1)}
            say(
                f"worklist {name} {case}: {count} of {ENTRY_COUNT} in {median_ms:.1f} ms median (goal 100),"
                f" {cpu_ms:.1f} ms of processor time in gatekeeper and Orthanc"
            )
    return results


def _cpu_ms(unit: Unit) -> float:
    """Processor time that gatekeeper and Orthanc have used so far."""
    pids = unit.child_pids()
    ticks = 0
    for name in ("gatekeeper", "orthanc"):
        fields = Path(f"/proc/{pids[name]}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1e3 / os.sysconf("SC_CLK_TCK")


def _reception(folder: Path, port: int, name: str, say: Callable[[str], None]) -> dict[str, object]:
    rates: dict[str, list[float]] = {"alone": [], "asked": []}
    for number in range(ROUNDS + 1):
        alone = send(folder / "send", port, 500_000, 1, 40)
        with _asking(port):
            asked = send(folder / "send", port, 500_000, 1, 40)
        if number:
            rates["alone"].append(alone)
            rates["asked"].append(asked)
    alone, asked = (statistics.median(rates[each]) for each in ("alone", "asked"))
    say(f"worklist {name} reception: {asked:.1f}/s with a console that asks twice a second, {alone:.1f}/s without")
    return {
        "reception": {"asked_per_s": round(asked, 1), "alone_per_s": round(alone, 1), "ratio": round(asked / alone, 3)}
    }


@contextlib.contextmanager
def _asking(port: int) -> Iterator[None]:
    """One console asks for today's list again and again; it shares the processors with everything else here."""
    is_over = threading.Event()

    def ask_on() -> None:
        with _console(port) as association:
            while not is_over.is_set():
                _ask(association, CASES["today"])
                is_over.wait(ASK_EVERY_S)

    console = threading.Thread(target=ask_on)
    console.start()
    try:
        yield
    finally:
        is_over.set()
        console.join()
