"""Rejecting pictures, and splitting one off to the patient whom it belongs to.

A rejected picture is kept, marked and not sent any more. Where a destination may have seen it, the centre is told by a
rejection note (IHE IOCM), an object like any other that goes through the unit's own door. A picture of another patient
gets a copy with UIDs of its own under that patient's registration, on the same way.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

from appliance.corrections.actions import Actions, Done
from appliance.corrections.identity import Belonging, values_of
from appliance.corrections.problems import ActionRefused, copy_refused
from appliance.corrections.reasons import REASONS
from appliance.dicom.reviser import Copy, CopyError
from appliance.dicom.wanted import Note
from appliance.domain.values import Instance
from appliance.store import revisions
from appliance.store.connect import write
from appliance.store.rejections import COPY, NOTE, MadeObject, add_made_object, may_be_seen, reject_image, rejected
from appliance.store.stamp import Stamp
from appliance.stored import stored_path

KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
SPLIT_REASON = "wrong-patient"


def new_uid() -> str:
    """A UID of a random UUID (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def reject(
    actions: Actions, study_instance_uid: str, images: Sequence[str], reason_code: str, reason: str, actor: str
) -> Done:
    """Reject pictures of a study, for a reason of the list.

    Raises:
        ActionRefused: If one is not there or rejected already, or there is no such reason; nothing was changed then.
    """
    if reason_code not in REASONS:
        known = ", ".join(REASONS)
        raise ActionRefused(
            "no-such-reason", f"There is no reason {reason_code!r}; there are {known}. Nothing was changed."
        )
    with ExitStack() as undo:
        stamp = actions.db.stamp()
        pictures = _pictures(actions, study_instance_uid, images)
        note = _note(actions, pictures, reason_code, stamp, undo)
        with write(actions.db):
            action_id = revisions.add_correction(
                actions.db,
                stamp,
                kind="reject",
                study_instance_uid=study_instance_uid,
                before={},
                after={"images": [one.sop_instance_uid for one in pictures], "reason_code": reason_code},
                reason=reason,
                actor=actor,
            )
            _write(actions, stamp, action_id, pictures, reason_code, actor, [note] if note else [])
        undo.pop_all()
    return Done(action_id, "reject", study_instance_uid, len(pictures), 0)


def split(
    actions: Actions, study_instance_uid: str, images: Sequence[str], whose: Belonging, reason: str, actor: str
) -> Done:
    """Pictures of a study are of another patient: copies go to his registration, and these are rejected.

    Raises:
        ActionRefused: If one is not there, or no copy can be made; nothing was changed then.
    """
    if whose.registration.study_instance_uid == study_instance_uid:
        raise ActionRefused("same-study", "That registration is the study's own. Nothing was changed.")
    with ExitStack() as undo:
        stamp = actions.db.stamp()
        pictures = _pictures(actions, study_instance_uid, images)
        made = _copies(actions, pictures, whose, stamp, undo)
        note = _note(actions, pictures, SPLIT_REASON, stamp, undo)
        with write(actions.db):
            action_id = revisions.add_correction(
                actions.db,
                stamp,
                kind="split",
                study_instance_uid=study_instance_uid,
                before={},
                after={
                    "images": [one.sop_instance_uid for one in pictures],
                    "copies": {one.sop_instance_uid: new for one, new, _ in made},
                    "registration_key": whose.registration.registration_key,
                },
                reason=reason,
                actor=actor,
            )
            rows = [(copy, partial(_copy_object, new, one, copy, whose)) for one, new, copy in made]
            _write(actions, stamp, action_id, pictures, SPLIT_REASON, actor, [*rows, *([note] if note else [])])
        undo.pop_all()
    return Done(action_id, "split", study_instance_uid, len(pictures), len(made))


_Made = tuple[Copy, Callable[[int], MadeObject]]
"""A file, and its row once the action has a number."""


def _pictures(actions: Actions, study_instance_uid: str, images: Sequence[str]) -> list[Instance]:
    known = revisions.sop_instance_uids_of(actions.db, study_instance_uid)
    aside = {one.sop_instance_uid for one in rejected(actions.db, study_instance_uid)}
    wanted = list(dict.fromkeys(images))
    if not wanted:
        raise ActionRefused("no-images", "No picture was named. Nothing was changed.")
    for uid in wanted:
        if uid not in known:
            raise ActionRefused("no-such-image", f"{uid} is no picture of that study. Nothing was changed.")
        if uid in aside:
            raise ActionRefused("rejected-already", f"{uid} is rejected already. Nothing was changed.")
    return [actions.copier.here(uid) for uid in wanted]


def _note(
    actions: Actions, pictures: Sequence[Instance], reason_code: str, stamp: Stamp, undo: ExitStack
) -> _Made | None:
    """A note about those that a destination may have seen; ``None`` when there are none."""
    seen = [one for one in pictures if may_be_seen(actions.db, one.sop_instance_uid)]
    if not seen:
        return None
    by_series: dict[str, list[tuple[str, str]]] = {}
    for one in seen:
        by_series.setdefault(one.series_instance_uid, []).append((one.sop_class_uid, one.sop_instance_uid))
    why, now, uid = REASONS[reason_code], datetime.fromtimestamp(stamp.wall_s, UTC), new_uid()
    note = Note(
        title=why.title,
        modifier=why.modifier,
        sentence=why.sentence,
        pictures=by_series,
        sop_instance_uid=uid,
        series_instance_uid=new_uid(),
        content_date=now.strftime("%Y%m%d"),
        content_time=now.strftime("%H%M%S"),
        unit=actions.config.unit.name,
    )
    try:
        copy = actions.reviser.note(stored_path(actions.config, seen[0]), note)
    except CopyError as error:
        raise copy_refused(error.code) from error
    undo.callback(copy.discard)

    def row(action_id: int) -> MadeObject:
        study, size = seen[0].study_instance_uid, copy.revised.size_bytes
        return MadeObject(uid, action_id, NOTE, study, KEY_OBJECT, EXPLICIT_LITTLE, copy.blob_uuid, size)

    return copy, row


def _copies(
    actions: Actions, pictures: Sequence[Instance], whose: Belonging, stamp: Stamp, undo: ExitStack
) -> list[tuple[Instance, str, Copy]]:
    # Requested Procedure ID is the accession number on the worklist, and most consoles make it the Study ID.
    values = {**values_of(actions.db, whose), "StudyID": whose.registration.accession_number}
    series: dict[str, str] = {}
    made = []
    for one in pictures:
        new = {
            "StudyInstanceUID": whose.registration.study_instance_uid,
            "SeriesInstanceUID": series.setdefault(one.series_instance_uid, new_uid()),
            "SOPInstanceUID": new_uid(),
        }
        _, copy = actions.copier.copy(one.sop_instance_uid, values, stamp, new)
        undo.callback(copy.discard)
        made.append((one, new["SOPInstanceUID"], copy))
    return made


def _copy_object(uid: str, one: Instance, copy: Copy, whose: Belonging, action_id: int) -> MadeObject:
    return MadeObject(
        sop_instance_uid=uid,
        action_id=action_id,
        role=COPY,
        study_instance_uid=whose.registration.study_instance_uid,
        sop_class_uid=one.sop_class_uid,
        transfer_syntax_uid=one.transfer_syntax_uid,
        blob_uuid=copy.blob_uuid,
        size_bytes=copy.revised.size_bytes,
    )


def _write(
    actions: Actions,
    stamp: Stamp,
    action_id: int,
    pictures: Sequence[Instance],
    reason_code: str,
    actor: str,
    made: Sequence[_Made],
) -> None:
    for one in pictures:
        reject_image(actions.db, stamp, action_id, one.sop_instance_uid, reason_code, actor)
    for copy, row in made:
        copy.put_in_place()
        add_made_object(actions.db, row(action_id))
