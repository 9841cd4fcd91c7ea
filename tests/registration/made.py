"""People and orders for tests, told apart by what a test says of them."""

from __future__ import annotations

from collections.abc import Callable

from appliance.domain.registration import (
    Identifier,
    IdentifierKind,
    Laterality,
    Order,
    Patient,
    PatientDetails,
    PersonName,
    Pregnancy,
    Registration,
    RegistrationState,
    Sex,
)
from appliance.domain.values import Priority
from appliance.registration.desk import UnitWords

UNIT = UnitWords("unit-01", "UNIT01")
SCHEDULED_AT = "2026-11-22T09:30:00.000Z"
AICHA = PersonName(family_latin="Benali", given_latin="Aïcha", family_arabic="بنعلي", given_arabic="عائشة")


def details(
    family: str = "Benali", given: str = "Aïcha", *, sex: Sex = Sex.FEMALE, birth: str = "19840312", age: str = ""
) -> PatientDetails:
    name = PersonName(family_latin=family, given_latin=given)
    return PatientDetails(name=name, sex=sex, birth_date=birth, age_text=age)


def national(value: str, issuer: str = "NATIONAL") -> Identifier:
    return Identifier(issuer, value, IdentifierKind.NATIONAL)


def patient(
    known: PatientDetails | None = None, *identifiers: Identifier, key: str = "6d3a8f0e-0000-4000-8000-000000000001"
) -> Patient:
    own = Identifier("unit-01", "UNIT01-E278ZBXCN", IdentifierKind.UNIT)
    return Patient(patient_key=key, details=known or details(), identifiers=(*identifiers, own))


def order(
    *,
    description: str = "Thorax de face (PA)",
    modality: str = "DX",
    priority: Priority = Priority.ROUTINE,
    pregnancy: Pregnancy = Pregnancy.NO,
    referrer: str = "",
    reason: str = "",
    station: str = "",
    laterality: Laterality = Laterality.NONE,
    scheduled_at: str = SCHEDULED_AT,
) -> Order:
    return Order(
        exam_code="XR-CHEST-PA",
        modality=modality,
        body_part="CHEST",
        description=description,
        laterality=laterality,
        views="PA",
        priority=priority,
        pregnancy=pregnancy,
        referrer=referrer,
        reason=reason,
        station_ae_title=station,
        scheduled_at=scheduled_at,
    )


def registration(wanted: Order | None = None) -> Registration:
    return Registration(
        registration_key="6d3a8f0e-0000-4000-8000-0000000000ff",
        patient_key="6d3a8f0e-0000-4000-8000-000000000001",
        accession_number="UNIT01-8WY3K659Q",
        study_instance_uid="2.25.208886725878632110924942016719205639821",
        order=wanted or order(),
        state=RegistrationState.SCHEDULED,
        registered_at=SCHEDULED_AT,
        changed_at=SCHEDULED_AT,
    )


def drawing(*numbers: int) -> Callable[[int], int]:
    """A source of numbers that gives these one after the other, then zeros."""
    waiting = list(numbers)
    return lambda below: (waiting.pop(0) if waiting else 0) % below
