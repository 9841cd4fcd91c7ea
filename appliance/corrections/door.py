"""Brings made objects through the unit's own door, so that what holds for a modality's pictures holds for them."""

from __future__ import annotations

from appliance.config import UnitConfig, blob_path
from appliance.imports.problems import ImportProblem
from appliance.imports.storing import StoreFile, store
from appliance.logging import log
from appliance.store import rejections
from appliance.store.connect import Store
from appliance.store.instances import find_instance
from appliance.store.rejections import MadeObject
from appliance.stored import revision_dir


def bring_through_the_door(config: UnitConfig, db: Store) -> int:
    """Send what waits, the oldest first; the number that the door has now. What fails is tried again later.

    Sending twice is harmless: the door knows the same data set.
    """
    count = 0
    for made in rejections.made_objects(db):
        if find_instance(db, made.sop_instance_uid) is None and not _store(config, made):
            break
        rejections.note_stored(db, db.stamp(), made.sop_instance_uid)
        count += 1
    return count


def _store(config: UnitConfig, made: MadeObject) -> bool:
    path = blob_path(revision_dir(config), made.blob_uuid)
    try:
        store(config, StoreFile(path, made.sop_class_uid, made.sop_instance_uid, made.transfer_syntax_uid))
    except (ImportProblem, OSError) as error:
        log("unit.corrections", "door did not take it, trying again", uid=made.sop_instance_uid, why=error)
        return False
    return True
