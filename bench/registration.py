"""How quick the desk is over many patients: searching, comparing, registering. Goal: 50 ms while somebody types."""

from __future__ import annotations

import random
import statistics
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.clock import SystemClock, utc_text
from appliance.domain.registration import (
    Identifier,
    IdentifierKind,
    Order,
    Patient,
    PatientDetails,
    PersonName,
    Sex,
)
from appliance.registration import desk
from appliance.registration.identifiers import new_patient_id
from appliance.store.connect import Store, migrate, open_unit, write
from appliance.store.patients import add_patient, search_patients

PATIENT_COUNT = 20_000
TRY_COUNT = 30
CLOCK = SystemClock()
FAMILIES = (
    *("Benali", "Alaoui", "Idrissi", "Bennani", "Tazi", "Fassi", "Amrani"),
    *("Berrada", "Chraibi", "Lahlou", "Mansouri", "Ouazzani", "Saidi", "Zerouali"),
)
GIVEN_F = ["Fatima", "Khadija", "Aïcha", "Zineb", "Meryem", "Amina", "Souad", "Naima", "Latifa", "Malika"]
GIVEN_M = ["Mohamed", "Ahmed", "Youssef", "Ali", "Hassan", "Omar", "Khalid", "Said", "Rachid", "Karim"]
SEARCHES = ("b", "benali", "fat ben", "mohamed tazi", "19840312", "cin0123")


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Milliseconds at the median for each search, for finding duplicates of a common name, and for registering."""
    folder.mkdir(parents=True)
    migrate(folder / "unit.db", folder / "door.db")
    unit = desk.UnitWords("unit-01", "UNIT01")
    results: dict[str, object] = {}
    with open_unit(folder / "unit.db", clock=CLOCK) as db:
        _fill(db)
        for text in SEARCHES:
            results[f"search {text}"] = _median_ms(lambda: search_patients(db, text, 50))  # noqa: B023 - run at once
        stamp = db.stamp()
        common = PatientDetails(
            name=PersonName(family_latin="Bennani", given_latin="Mohamed"), sex=Sex.MALE, birth_date="19700101"
        )
        results["duplicates"] = _median_ms(lambda: desk.possible_duplicates(db, stamp, common, ()))
        order = Order(
            exam_code="XR-CHEST-PA",
            modality="DX",
            body_part="CHEST",
            description="Thorax de face (PA)",
            scheduled_at=utc_text(CLOCK.wall_s()),
        )
        results["register"] = _median_ms(lambda: desk.register_person(db, stamp, unit, common, (), order, "bench"))
    for name, milliseconds in results.items():
        say(f"registration, {PATIENT_COUNT} patients: {name}: {milliseconds} ms")
    return results


def _fill(db: Store) -> None:
    stamp = db.stamp()
    with write(db):
        for patient in _people(random.Random(1)):
            add_patient(db, stamp, patient, "bench")


def _people(rng: random.Random) -> Iterator[Patient]:
    for number in range(PATIENT_COUNT):
        is_woman = rng.random() < 0.5
        given = rng.choice(GIVEN_F if is_woman else GIVEN_M)
        family = rng.choice(FAMILIES) + rng.choice(("", "", "ne", "ri", "oui"))
        birth = f"{rng.randint(1935, 2024)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        yield Patient(
            patient_key=str(uuid.UUID(int=rng.getrandbits(128))),
            details=PatientDetails(
                name=PersonName(family_latin=family, given_latin=given),
                sex=Sex.FEMALE if is_woman else Sex.MALE,
                birth_date=birth,
            ),
            identifiers=(
                Identifier("NATIONAL", f"CIN{number:06}", IdentifierKind.NATIONAL),
                Identifier("unit-01", new_patient_id("UNIT01", rng.randrange), IdentifierKind.UNIT),
            ),
        )


def _median_ms(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TRY_COUNT):
        start_s = CLOCK.mono_s()
        work()
        seconds.append(CLOCK.mono_s() - start_s)
    return round(statistics.median(seconds) * 1000, 1)
