"""What people do about whose pictures these are: reconcile, correct, merge, and undo; ``rejecting`` has the rest.

Each action makes its files first and writes all its rows in one transaction, so it is done or it is not. Everything
else follows from the rows, whatever is killed when: the sync process moves duties on, the matching corrects pictures
that come later and brings made objects through the door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from appliance.config import UnitConfig
from appliance.corrections.copies import Copier, Plan
from appliance.corrections.identity import OF_THE_STUDY, STUDY_COLUMNS, Belonging, belonging, values_of
from appliance.corrections.problems import ActionRefused
from appliance.dicom.reviser import Reviser
from appliance.domain.registration import RegistrationState
from appliance.registration.desk import merge_people, unit_words
from appliance.store import matching, rejections, revisions
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.matching import RECONCILED, Match
from appliance.store.patients import find_patient, keys_of_person, standing_key
from appliance.store.performed import give_steps, steps_of_registration
from appliance.store.registrations import move_registration
from appliance.store.rejections import lift_rejections, may_be_seen, reject_image, withdraw_objects

OF_THE_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_UNDO_FAULTS = {
    "corrected-again": "It was corrected again since. Undo the later correction first.",
    "on-its-way": "A destination may have seen it already. Correct it once more instead.",
}


@dataclass(frozen=True, slots=True)
class Done:
    """An action that stands; ``revised_count`` pictures got another content, the others said it already."""

    action_id: int
    kind: str
    study_instance_uid: str
    image_count: int
    revised_count: int


@dataclass(frozen=True, slots=True)
class Actions:
    """One unit's desk for them; used by one thread."""

    config: UnitConfig
    db: Store
    reviser: Reviser

    @property
    def copier(self) -> Copier:
        """Makes the files."""
        return Copier(self.config, self.db, self.reviser)

    def reconcile(self, study_instance_uid: str, whose: Belonging, reason: str, actor: str) -> Done:
        """A study belongs to a registration: its pictures say that patient and that order from now on.

        Raises:
            ActionRefused: If a picture cannot be corrected; nothing was changed then.
        """
        values = values_of(self.db, whose)
        key = whose.registration.registration_key
        return self._correct_study("reconcile", study_instance_uid, values, reason, actor, registration_key=key)

    def correct(
        self,
        study_instance_uid: str,
        values: Mapping[str, str],
        reason: str,
        actor: str,
        images: Sequence[str] = (),
    ) -> Done:
        """Give attributes other values, in all pictures of a study, or in ``images`` of it.

        Raises:
            ActionRefused: If one is not corrected here, or not for single pictures; nothing was changed then.
        """
        if not images:
            return self._correct_study("correct", study_instance_uid, values, reason, actor)
        if shared := [keyword for keyword in values if keyword in OF_THE_STUDY]:
            sentence = f"{', '.join(shared)} is the same in every picture of a study. Nothing was changed. Correct the "
            raise ActionRefused("of-the-study", f"{sentence}study, or split the picture off to its own patient.")
        uids = self._of_study(study_instance_uid, images)
        with ExitStack() as undo:
            stamp = self.db.stamp()
            plan = self.copier.plan(uids, values, stamp)
            undo.callback(plan.discard)
            with write(self.db):
                action_id = revisions.add_correction(
                    self.db,
                    stamp,
                    kind="correct",
                    study_instance_uid=study_instance_uid,
                    before={"images": plan.before},
                    after={"values": dict(values), "images": list(uids)},
                    reason=reason,
                    actor=actor,
                    revisions=plan.put_in_place(),
                )
            undo.pop_all()
        return Done(action_id, "correct", study_instance_uid, len(uids), len(plan.copies))

    def merge(self, patient_key: str, into_key: str, reason: str, actor: str) -> tuple[Done, ...]:
        """Two records are one person: every study of the first says the second from now on.

        Raises:
            ActionRefused: If a record is missing, both are one already, or a picture cannot be corrected.
        """
        db, into = self.db, find_patient(self.db, standing_key(self.db, into_key))
        if into is None or find_patient(db, patient_key) is None:
            raise ActionRefused("no-such-patient", "There is no such patient record on this unit. Nothing was changed.")
        if standing_key(db, patient_key) == into.patient_key:
            raise ActionRefused("same-patient", "Both records are of one person already. Nothing was changed.")
        with ExitStack() as undo:
            stamp = db.stamp()
            planned: list[tuple[str, dict[str, str], Plan]] = []
            for study_instance_uid, whose in self._studies_of(patient_key):
                said = values_of(db, Belonging(whose.registration, into))
                values = {keyword: said[keyword] for keyword in OF_THE_PATIENT}
                uids = revisions.sop_instance_uids_of(db, study_instance_uid)
                plan = self.copier.plan(uids, values, stamp)
                undo.callback(plan.discard)
                planned.append((study_instance_uid, values, plan))
            with write(db):
                merge_people(db, stamp, unit_words(self.config), patient_key, into.patient_key, actor, reason)
                more = {"patient_key": patient_key, "into_key": into.patient_key}
                done = [
                    self._write_study("merge", uid, values, plan, reason, actor, more) for uid, values, plan in planned
                ]
            undo.pop_all()
        return tuple(done)

    def undo(self, action_id: int, actor: str) -> tuple[int, ...]:
        """Take an action back, as if it had not been, as long as no destination may have seen it; the ids undone.

        A merge is undone in all its studies.

        Raises:
            ActionRefused: If there is none, or something stands against it; nothing was changed then.
        """
        db, stamp = self.db, self.db.stamp()
        with write(db):
            found = revisions.find_correction(db, action_id)
            if found is None or found.undone_at:
                raise ActionRefused("no-such-action", "No such action stands. Nothing was changed.")
            together = self._together(found)
            for one in together:
                self._undo_one(one, actor)
            if found.kind == "merge":
                words, key = unit_words(self.config), found.after["patient_key"]
                merge_people(db, stamp, words, key, "", actor, f"undone action={action_id}")
        return tuple(one.action_id for one in together)

    # --- one study -------------------------------------------------------------------------------------------------

    def _correct_study(
        self,
        kind: str,
        study_instance_uid: str,
        values: Mapping[str, str],
        reason: str,
        actor: str,
        registration_key: str = "",
    ) -> Done:
        uids = self._of_study(study_instance_uid)
        with ExitStack() as undo:
            plan = self.copier.plan(uids, values, self.db.stamp())
            undo.callback(plan.discard)
            with write(self.db):
                more = {"registration_key": registration_key} if registration_key else {}
                done = self._write_study(kind, study_instance_uid, values, plan, reason, actor, more)
            undo.pop_all()
        return done

    def _write_study(
        self,
        kind: str,
        study_instance_uid: str,
        values: Mapping[str, str],
        plan: Plan,
        reason: str,
        actor: str,
        more: Mapping[str, str],
    ) -> Done:
        """All rows of an action about a whole study; inside its transaction."""
        db, stamp = self.db, self.db.stamp()
        header = {STUDY_COLUMNS[keyword]: value for keyword, value in values.items() if keyword in STUDY_COLUMNS}
        match = matching.find_match(db, study_instance_uid)
        before: dict[str, Any] = {
            "images": plan.before,
            "study": revisions.study_header(db, study_instance_uid, tuple(header)) if header else {},
            "match": [match.registration_key, match.how, match.state, match.exception] if match else None,
        }
        if kind == "reconcile":
            # The exam that was done is this one: its registration leaves the consoles' lists.
            key = more["registration_key"]
            before["registration_state"] = str(belonging(db, key).registration.state)
            before["steps_of"] = give_steps(db, stamp, study_instance_uid, key, actor, reason)
        action_id = revisions.add_correction(
            db,
            stamp,
            kind=kind,
            study_instance_uid=study_instance_uid,
            before=before,
            after={"values": dict(values), **more},
            reason=reason,
            actor=actor,
            revisions=plan.put_in_place(),
            covers=True,
        )
        revisions.set_study_header(db, study_instance_uid, header)
        key = more.get("registration_key") or (match.registration_key if match else "")
        if kind == "reconcile":
            matching.set_match(db, stamp, Match(study_instance_uid, key, "person", RECONCILED, "", stamp.at, actor))
        return Done(action_id, kind, study_instance_uid, len(plan.before), len(plan.copies))

    def _of_study(self, study_instance_uid: str, images: Sequence[str] = ()) -> tuple[str, ...]:
        """The pictures of a study, or those of them that are asked for; every one is here.

        Raises:
            ActionRefused: If there are none, or one is not of it.
        """
        known = revisions.sop_instance_uids_of(self.db, study_instance_uid)
        if not known:
            raise ActionRefused("no-such-study", "There is no such study on this unit. Nothing was changed.")
        if strange := [uid for uid in images if uid not in known]:
            raise ActionRefused("no-such-image", f"{strange[0]} is no picture of that study. Nothing was changed.")
        wanted = tuple(dict.fromkeys(images)) or known
        for uid in wanted:
            self.copier.here(uid)
        return wanted

    def _studies_of(self, patient_key: str) -> list[tuple[str, Belonging]]:
        """The studies that belong to registrations of a person."""
        keys = matching.studies_of_patients(self.db, keys_of_person(self.db, patient_key))
        return [(uid, belonging(self.db, registration_key)) for uid, registration_key in keys]

    # --- undoing ---------------------------------------------------------------------------------------------------

    def _together(self, found: revisions.Correction) -> list[revisions.Correction]:
        if found.kind != "merge":
            return [found]
        every = revisions.standing_corrections(self.db, "merge")
        return [one for one in every if (one.at, one.after["patient_key"]) == (found.at, found.after["patient_key"])]

    def _undo_one(self, one: revisions.Correction, actor: str) -> None:
        db, stamp = self.db, self.db.stamp()
        fault = revisions.undo_fault(db, one.action_id)
        if not fault and any(
            may_be_seen(db, made.sop_instance_uid) for made in rejections.made_objects(db, one.action_id)
        ):
            fault = "on-its-way"
        if fault:
            raise ActionRefused(fault, f"It cannot be undone. {_UNDO_FAULTS[fault]} Nothing was changed.")
        try:
            revisions.undo_correction(db, stamp, one.action_id, actor)
        except StoreError as error:
            if error.kind is not StoreFault.REFUSED:
                raise
            raise ActionRefused("no-such-action", "No such action stands. Nothing was changed.") from error
        lift_rejections(db, stamp, one.action_id, actor)
        for made in withdraw_objects(db, stamp, one.action_id):
            if revisions.latest_content(db, made.sop_instance_uid) is not None:
                reject_image(db, stamp, one.action_id, made.sop_instance_uid, "undone", actor)
        if study := one.before.get("study"):
            revisions.set_study_header(db, one.study_instance_uid, study)
        if one.kind == "reconcile":
            self._restore_match(one, actor)
            self._restore_steps(one, actor)

    def _restore_match(self, one: revisions.Correction, actor: str) -> None:
        before, stamp = one.before.get("match"), self.db.stamp()
        if before is None:
            matching.forget_match(self.db, stamp, one.study_instance_uid, actor)
        else:
            key, how, state, exception = before
            match = Match(one.study_instance_uid, key, how, state, exception, stamp.at, actor)
            matching.set_match(self.db, stamp, match)

    def _restore_steps(self, one: revisions.Correction, actor: str) -> None:
        """The steps are the other registration's again, and this one is still to be done if it was before."""
        db, stamp, key, why = self.db, self.db.stamp(), one.after["registration_key"], f"undone action={one.action_id}"
        if one.before.get("steps_of") is None:
            return
        give_steps(db, stamp, one.study_instance_uid, one.before["steps_of"], actor, why)
        if one.before["registration_state"] == RegistrationState.SCHEDULED and not steps_of_registration(db, key):
            move_registration(db, stamp, key, RegistrationState.SCHEDULED, actor, why)
