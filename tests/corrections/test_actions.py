"""What people do about whose pictures these are: files, rows and duties say the same, before and after, and undone."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.corrections.problems import ActionRefused
from appliance.corrections.rejecting import reject, split
from appliance.corrections.step import Matching, match_studies
from appliance.domain.values import ItemState
from appliance.store import matching, rejections, revisions
from appliance.store.commands import open_commands
from appliance.store.connect import read
from appliance.store.findings import open_kinds
from appliance.store.snapshot import read_study
from appliance.stored import revision_dir
from sync.core.machine import ItemEvent
from tests.store.made import HandClock
from tests.support.correcting import Desk, desk

WORLD_STUDY = "1.2.826.0.1.3680043.8.498.77"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def study_of(at: Desk, uid: str) -> str:
    return str(at.db.value("SELECT study_instance_uid FROM instance WHERE sop_instance_uid = ?", (uid,)))


def header_of(at: Desk, study: str) -> tuple[str, str, str]:
    row = at.db.row(
        "SELECT patient_name, patient_id, accession_number FROM study WHERE study_instance_uid = ?", (study,)
    )
    assert row is not None
    return (row[0], row[1], row[2])


def test_reconciled_study_says_its_registration_in_files_rows_and_lists(at: Desk) -> None:
    ordered = at.register("BENALI", "Fatima", arabic="بنعلي")
    uids = [at.picture(study=WORLD_STUDY, PatientID="X9", PatientName="TEMP^1", AccessionNumber="") for _ in range(2)]
    originals = [at.said(uid) for uid in uids]
    match_studies(at.db)
    assert [one.exception for one in matching.exceptions(at.db)] == ["unknown-patient"]
    done = at.actions.reconcile(WORLD_STUDY, at.whose(ordered), "asked her", "amina")
    assert (done.image_count, done.revised_count) == (2, 2)
    for uid, original in zip(uids, originals, strict=True):
        said = at.said(uid)
        assert (str(said.PatientName), said.PatientID) == ("BENALI^Fatima=بنعلي^بنعلي", ordered.patient_id)
        assert said.AccessionNumber == ordered.registration.accession_number
        assert (said.StudyInstanceUID, said.SOPInstanceUID) == (WORLD_STUDY, uid)
        assert said.PixelData == original.PixelData
        (kept,) = said.OriginalAttributesSequence[0].ModifiedAttributesSequence
        assert (kept.PatientID, str(kept.PatientName)) == ("X9", "TEMP^1")
    assert header_of(at, WORLD_STUDY)[1:] == (ordered.patient_id, ordered.registration.accession_number)
    match = matching.find_match(at.db, WORLD_STUDY)
    assert match is not None
    assert (match.state, match.how, match.registration_key) == (
        "reconciled",
        "person",
        ordered.registration.registration_key,
    )
    match_studies(at.db)
    assert matching.find_match(at.db, WORLD_STUDY) == match, "what a person decided stands"


@pytest.mark.fault(33)
def test_undone_action_leaves_everything_as_it_was(at: Desk) -> None:
    ordered = at.register("BENALI", "Fatima")
    uid = at.picture(study=WORLD_STUDY, PatientID="X9", PatientName="TEMP^1")
    match_studies(at.db)
    before = (at.said(uid), header_of(at, WORLD_STUDY), matching.find_match(at.db, WORLD_STUDY))
    done = at.actions.reconcile(WORLD_STUDY, at.whose(ordered), "asked her", "amina")
    at.sync()
    assert at.actions.undo(done.action_id, "amina") == (done.action_id,)
    at.sync()
    after = (at.said(uid), header_of(at, WORLD_STUDY), matching.find_match(at.db, WORLD_STUDY))
    assert after[:2] == before[:2]
    assert after[2] is not None
    assert after[2].exception == "unknown-patient"
    with pytest.raises(ActionRefused, match="No such action"):
        at.actions.undo(done.action_id, "amina")


def test_what_a_destination_may_have_seen_is_corrected_again_and_not_undone(at: Desk) -> None:
    uid = at.picture(PatientID="X9")
    study = study_of(at, uid)
    at.deliver()
    assert at.state(uid) is ItemState.CONFIRMED
    done = at.actions.correct(study, {"PatientID": "X8"}, "typed wrongly", "amina")
    at.deliver()
    with pytest.raises(ActionRefused, match="may have seen it already"):
        at.actions.undo(done.action_id, "amina")
    again = at.actions.correct(study, {"PatientID": "X9"}, "it was right", "amina")
    assert at.said(uid).PatientID == "X9"
    with pytest.raises(ActionRefused, match="later correction first"):
        at.actions.undo(done.action_id, "amina")
    at.actions.undo(again.action_id, "amina")
    assert at.said(uid).PatientID == "X8"


@pytest.mark.fault(34)
def test_late_picture_of_a_corrected_study_is_corrected_too_and_is_no_other_patient(at: Desk) -> None:
    first = at.picture(study=WORLD_STUDY, PatientID="X9", PatientName="TEMP^1", PatientBirthDate="19700101")
    at.actions.correct(WORLD_STUDY, {"PatientID": "X8", "PatientBirthDate": "19710101"}, "typed wrongly", "amina")
    at.actions.correct(WORLD_STUDY, {"PatientName": "BENALI^Fatima"}, "asked her", "amina")
    late = at.picture(study=WORLD_STUDY, PatientID="X9", PatientName="TEMP^1", PatientBirthDate="19700101")
    right = at.picture(study=WORLD_STUDY, PatientID="X8", PatientName="BENALI^Fatima", PatientBirthDate="19710101")
    assert open_kinds(at.db, WORLD_STUDY) == frozenset()
    Matching(at.config, at.db, at.actions.reviser, HandClock()).step()
    for uid in (first, late, right):
        said = at.said(uid)
        assert (said.PatientID, str(said.PatientName), said.PatientBirthDate) == ("X8", "BENALI^Fatima", "19710101")
    assert "OriginalAttributesSequence" not in at.said(right)
    assert revisions.late_pictures(at.db, 9) == ()


def test_attribute_of_one_picture_is_corrected_in_it_alone(at: Desk) -> None:
    one, other = (at.picture(study=WORLD_STUDY, Laterality="L") for _ in range(2))
    at.actions.correct(WORLD_STUDY, {"Laterality": "R"}, "it is the right side", "amina", images=[one])
    assert (at.said(one).Laterality, at.said(other).Laterality) == ("R", "L")
    with pytest.raises(ActionRefused, match="same in every picture"):
        at.actions.correct(WORLD_STUDY, {"PatientID": "X"}, "", "amina", images=[one])


def test_merge_makes_every_study_of_the_first_record_say_the_second(at: Desk) -> None:
    temporary, known = at.register("TEMP", "One", birth=""), at.register("BENALI", "Fatima")
    uids = [at.picture(temporary), at.picture(temporary)]
    theirs = at.picture(known)
    match_studies(at.db)
    done = at.actions.merge(temporary.patient.patient_key, known.patient.patient_key, "same person", "amina")
    assert [one.image_count for one in done] == [2]
    for uid in uids:
        said = at.said(uid)
        assert (said.PatientID, said.PatientBirthDate) == (known.patient_id, "19800101")
        assert said.AccessionNumber == temporary.registration.accession_number
    assert "OriginalAttributesSequence" not in at.said(theirs)
    at.actions.undo(done[0].action_id, "amina")
    assert at.said(uids[0]).PatientID == temporary.patient_id
    again = at.actions.merge(temporary.patient.patient_key, known.patient.patient_key, "same person", "amina")
    with pytest.raises(ActionRefused, match="one person already"):
        at.actions.merge(temporary.patient.patient_key, known.patient.patient_key, "twice", "amina")
    assert len(again) == 1


def test_rejected_picture_is_kept_is_not_sent_and_counts_nowhere(at: Desk) -> None:
    good, bad = (at.picture(study=WORLD_STUDY) for _ in range(2))
    done = reject(at.actions, WORLD_STUDY, [bad], "motion", "breathed", "amina")
    (command,) = open_commands(at.db)
    items, kind = rejections.items_of_command(at.db, command)
    assert ([item.sop_instance_uid for item in items], kind) == ([bad], "reject")
    at._move(items[0].item_id, ItemEvent.REJECT)
    at.deliver()
    assert (at.state(good), at.state(bad)) == (ItemState.CONFIRMED, ItemState.REJECTED)
    assert rejections.made_objects(at.db, done.action_id) == (), "nobody saw it, so nobody is told"
    with read(at.db):
        found = read_study(at.db, WORLD_STUDY)
    assert found is not None
    assert (found[0].instance_count, found[0].state) == (1, "complete")
    assert at.said(bad) is not None
    at.actions.correct(WORLD_STUDY, {"PatientID": "X8"}, "typed wrongly", "amina")
    assert [one.item.sop_instance_uid for one in revisions.unrevised(at.db, 9)] == [good]
    with pytest.raises(ActionRefused, match="rejected already"):
        reject(at.actions, WORLD_STUDY, [bad], "motion", "", "amina")
    at.actions.undo(done.action_id, "amina")
    assert rejections.rejected(at.db) == ()
    at.sync()
    assert at.state(bad) is ItemState.PENDING


@pytest.mark.fault(33)
def test_picture_of_another_patient_is_split_off_and_the_centre_is_told_if_it_saw_it(at: Desk) -> None:
    hers, his = at.register("BENALI", "Fatima"), at.register("SAIDI", "Omar", birth="19750505")
    right, wrong = at.picture(hers), at.picture(hers)
    at.deliver()
    study = study_of(at, wrong)
    done = split(at.actions, study, [wrong], at.whose(his), "she was still on the screen", "amina")
    copy, note = rejections.made_objects(at.db, done.action_id)
    assert (copy.role, copy.study_instance_uid) == ("copy", his.registration.study_instance_uid)
    path = revision_dir(at.config) / copy.blob_uuid[:2] / copy.blob_uuid
    made = dcmread(path)
    assert (made.PatientID, made.AccessionNumber) == (his.patient_id, his.registration.accession_number)
    assert made.SOPInstanceUID == copy.sop_instance_uid != wrong
    assert made.SeriesInstanceUID != at.said(wrong).SeriesInstanceUID
    assert made.PixelData == at.said(wrong).PixelData
    told = dcmread(revision_dir(at.config) / note.blob_uuid[:2] / note.blob_uuid)
    assert told.ConceptNameCodeSequence[0].CodeValue == "113038"
    assert told.StudyInstanceUID == study
    (series,) = told.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence] == [wrong]
    assert [one.sop_instance_uid for one in rejections.rejected(at.db)] == [wrong]
    # The door got both, as intake tells.
    for one in (copy, note):
        at.take_in_file((revision_dir(at.config) / one.blob_uuid[:2] / one.blob_uuid).read_bytes())
        rejections.note_stored(at.db, at.db.stamp(), one.sop_instance_uid)
    match_studies(at.db)
    match = matching.find_match(at.db, his.registration.study_instance_uid)
    assert match is not None
    assert (match.state, match.how) == ("matched", "study-uid")
    at.actions.undo(done.action_id, "amina")
    aside = {one.sop_instance_uid for one in rejections.rejected(at.db)}
    assert aside == {copy.sop_instance_uid, note.sop_instance_uid}, "what came of it is set aside in its place"
    assert right not in aside


def test_note_is_what_dciodvfy_calls_a_key_object_document(at: Desk) -> None:
    uid = at.picture(at.register("BENALI", "Fatima"))
    at.sync(ItemEvent.CHOSEN, ItemEvent.PREPARED, ItemEvent.STARTED)
    done = reject(at.actions, study_of(at, uid), [uid], "positioning", "", "amina")
    (note,) = rejections.made_objects(at.db, done.action_id)
    path = revision_dir(at.config) / note.blob_uuid[:2] / note.blob_uuid
    checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    said = (checked.stdout + checked.stderr).splitlines()
    assert "KeyObjectSelectionDocument" in said
    assert [line for line in said if line.startswith("Error")] == []


def test_refused_action_changes_nothing(at: Desk) -> None:
    ordered = at.register("BENALI", "Fatima")
    uid = at.picture(study=WORLD_STUDY, PatientID="X9")
    gone = at.picture(study=WORLD_STUDY, PatientID="X9")
    found = revisions.latest_content(at.db, gone)
    assert found is not None
    (at.config.blob_dir / found[0].blob_uuid[:2] / found[0].blob_uuid).unlink()
    with pytest.raises(ActionRefused) as refused:
        at.actions.reconcile(WORLD_STUDY, at.whose(ordered), "", "amina")
    assert refused.value.code == "missing"
    assert revisions.corrections_of(at.db, WORLD_STUDY) == ()
    assert [path for path in revision_dir(at.config).rglob("*") if path.is_file()] == []
    assert hashlib.sha256(b"").hexdigest() != found[0].sha256
    assert at.said(uid).PatientID == "X9"
