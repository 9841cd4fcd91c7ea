"""Which registration a study belongs to, and what keeps it from belonging to one beyond doubt; pure.

By Study Instance UID, then accession number, then patient ID with birth date. A name never makes a match: it may only
speak against one. Whatever is not clean is an exception with a name, for a person; nothing here stops a study.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.matching import Doubt, How, Known, Ordered, Person, Said, Verdict
from appliance.registration.folding import is_arabic, words


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How what is said and a record compare: ``True`` equal, ``False`` different, ``None`` one of both says nothing."""

    by_id: bool | None
    by_unit_id: bool
    by_birth: bool | None
    by_name: bool | None


def match(said: Said, known: Known) -> Verdict:
    """Where a study belongs."""
    for how, ordered in ((How.STUDY_UID, known.by_study_uid), (How.ACCESSION, known.by_accession)):
        if ordered is not None:
            doubt = _doubt_about_order(said, ordered, known)
            return Verdict(ordered.registration_key, how, doubt)
    return _by_patient(said, known)


def _doubt_about_order(said: Said, ordered: Ordered, known: Known) -> Doubt:
    """The number is the order's: does the picture say its patient?"""
    likeness = _compare(said, ordered.person)
    if likeness.by_id is False and any(one.patient_key != ordered.person.patient_key for one in known.people):
        return Doubt.PATIENT_SWITCHED
    if likeness.by_birth is False:
        return Doubt.ID_REUSED if likeness.by_id else Doubt.PATIENT_SWITCHED
    if likeness.by_name is False:
        return Doubt.NAME_DIFFERS
    if likeness.by_id is False and not (likeness.by_birth and likeness.by_name):
        return Doubt.NAME_DIFFERS
    return Doubt.PATIENT_SWITCHED if known.is_next_under_way else Doubt.NONE


def _by_patient(said: Said, known: Known) -> Verdict:
    """No number of an order: the patient's, and then exactly one order that could be meant."""
    if not known.people:
        return Verdict(doubt=Doubt.UNKNOWN_PATIENT)
    likenesses = {person.patient_key: _compare(said, person) for person in known.people}
    certain = {key for key, one in likenesses.items() if one.by_birth or (one.by_unit_id and one.by_birth is None)}
    if not certain:
        reused = all(one.by_birth is False for one in likenesses.values())
        return Verdict(doubt=Doubt.ID_REUSED if reused else Doubt.AMBIGUOUS)
    fits = [
        one
        for one in known.orders
        if one.person.patient_key in certain and one.is_open and one.modality == said.modality
    ]
    if len(certain) > 1 or len(fits) != 1:
        return Verdict(doubt=Doubt.AMBIGUOUS)
    (ordered,) = fits
    doubt = Doubt.NAME_DIFFERS if likenesses[ordered.person.patient_key].by_name is False else Doubt.NONE
    return Verdict(ordered.registration_key, How.PATIENT, doubt)


def _compare(said: Said, person: Person) -> _Likeness:
    return _Likeness(
        by_id=said.patient_id in person.ids if said.patient_id and person.ids else None,
        by_unit_id=said.patient_id in person.unit_ids,
        by_birth=said.birth_date == person.birth_date if said.birth_date and person.birth_date else None,
        by_name=None if person.is_emergency else _compare_names(said.name, " ".join(person.names)),
    )


def _compare_names(said: str, recorded: str) -> bool | None:
    """Script by script, for a Latin name says nothing of an Arabic one, and without initials; alike in one is alike."""
    verdicts = []
    for in_arabic in (False, True):
        ours, theirs = (
            frozenset(word for word in words(text) if is_arabic(word) is in_arabic and len(word) > 1)
            for text in (said, recorded)
        )
        if ours and theirs:
            verdicts.append(_share_a_name(ours, theirs))
    return any(verdicts) if verdicts else None


def _share_a_name(said: frozenset[str], recorded: frozenset[str]) -> bool:
    """Every word of the shorter one is in the other: consoles leave given names out, cut them and turn them round."""
    return said <= recorded or recorded <= said or len(said & recorded) >= 2
