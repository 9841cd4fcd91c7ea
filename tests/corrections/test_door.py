"""Copies and rejection notes come in by the unit's own door, as a modality's pictures do, and once only."""

from __future__ import annotations

from pathlib import Path

from appliance.corrections.actions import Actions
from appliance.corrections.door import bring_through_the_door
from appliance.corrections.rejecting import split
from appliance.dicom.reviser import Reviser
from appliance.store.connect import open_unit
from appliance.store.rejections import made_objects
from appliance.stored import revision_dir
from sync.core.machine import ItemEvent
from tests.support.correcting import Desk
from tests.support.import_units import import_unit


def test_copy_and_note_go_through_the_door_and_wait_while_it_is_closed(tmp_path: Path) -> None:
    with (
        import_unit(tmp_path) as unit,
        open_unit(unit.config.unit_db) as db,
        Reviser(revision_dir(unit.config)) as reviser,
    ):
        at = Desk(unit.config, db, Actions(unit.config, db, reviser))
        hers, his = at.register("BENALI", "Fatima"), at.register("SAIDI", "Omar", birth="19750505")
        wrong = at.picture(hers)
        at.sync(ItemEvent.CHOSEN, ItemEvent.PREPARED, ItemEvent.STARTED)
        done = split(at.actions, hers.registration.study_instance_uid, [wrong], at.whose(his), "switched", "amina")
        copy, note = made_objects(db, done.action_id)
        assert bring_through_the_door(unit.config, db) == 2
        assert unit.data_set(copy.sop_instance_uid).PatientID == his.patient_id
        assert unit.data_set(note.sop_instance_uid).Modality == "KO"
        assert all(one.stored_at for one in made_objects(db, done.action_id))
        assert bring_through_the_door(unit.config, db) == 0

        unit.gatekeeper.process.kill()
        unit.gatekeeper.process.wait()
        second = at.picture(hers)
        split(at.actions, hers.registration.study_instance_uid, [second], at.whose(his), "switched", "amina")
        assert bring_through_the_door(unit.config, db) == 0
        assert len(made_objects(db)) == 1, "it waits for the door"
