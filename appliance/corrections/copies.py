"""Corrected copies of a study's pictures: made before anything is written, and put in place with the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from appliance.config import UnitConfig
from appliance.corrections.problems import ActionRefused, copy_refused
from appliance.dicom.reviser import Copy, CopyError, Reviser
from appliance.dicom.wanted import Change
from appliance.domain.values import Instance, LocalState
from appliance.store.connect import Store
from appliance.store.revisions import NewRevision, latest_content
from appliance.store.stamp import Stamp
from appliance.stored import stored_path


@dataclass(slots=True)
class Plan:
    """What an action is about to put in place; ``before`` has what each picture said, by SOP Instance UID."""

    copies: list[tuple[Instance, Copy]] = field(default_factory=list)
    before: dict[str, dict[str, str]] = field(default_factory=dict)

    def put_in_place(self) -> list[NewRevision]:
        """Give every copy its name; inside the transaction that makes the rows, which are returned."""
        for _, copy in self.copies:
            copy.put_in_place()
        return [
            NewRevision(
                sop_instance_uid=one.sop_instance_uid,
                blob_uuid=copy.blob_uuid,
                size_bytes=copy.revised.size_bytes,
                sha256=copy.revised.sha256,
                dataset_sha256=copy.revised.dataset_sha256,
                made_from_sha256=one.sha256,
            )
            for one, copy in self.copies
        ]

    def discard(self) -> None:
        """Nothing of it is wanted; what was put in place already is swept later."""
        for _, copy in self.copies:
            copy.discard()


@dataclass(frozen=True, slots=True)
class Copier:
    """Makes copies for one unit."""

    config: UnitConfig
    db: Store
    reviser: Reviser

    def plan(self, sop_instance_uids: Sequence[str], values: Mapping[str, str], stamp: Stamp) -> Plan:
        """Copies of pictures with other values; those that say the same already need none.

        Raises:
            ActionRefused: If one cannot be made; then nothing is left behind.
        """
        plan = Plan()
        with ExitStack() as undo:
            undo.callback(plan.discard)
            for uid in sop_instance_uids:
                one, copy = self.copy(uid, values, stamp)
                plan.before[uid] = copy.revised.before
                if all(copy.revised.before.get(keyword, "") == value for keyword, value in values.items()):
                    copy.discard()
                else:
                    plan.copies.append((one, copy))
            undo.pop_all()
        return plan

    def copy(
        self, sop_instance_uid: str, values: Mapping[str, str], stamp: Stamp, new_uids: Mapping[str, str] | None = None
    ) -> tuple[Instance, Copy]:
        """One copy, with what it was made of.

        Raises:
            ActionRefused: If it cannot be made.
        """
        one = self.here(sop_instance_uid)
        self._check_whole(one)
        change = Change(
            values=values,
            new_uids=new_uids or {},
            at=dicom_time(stamp),
            system=self.config.unit.name,
            source=one.calling_ae_title,
        )
        try:
            return one, self.reviser.copy(stored_path(self.config, one), change)
        except CopyError as error:
            raise copy_refused(error.code) from error

    def _check_whole(self, one: Instance) -> None:
        """A copy gets a digest of its own: damage that is copied would be found by nobody any more."""
        try:
            with stored_path(self.config, one).open("rb") as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == one.sha256
        except OSError:
            return  # the reviser says why it cannot be read
        if not is_whole:
            sentence = "The stored file of a picture is damaged. Nothing was changed. Tell the service."
            raise ActionRefused("not-present", sentence)

    def here(self, sop_instance_uid: str) -> Instance:
        """A picture in its latest content, whose file is on this unit.

        Raises:
            ActionRefused: If it is not.
        """
        found = latest_content(self.db, sop_instance_uid)
        if found is None:
            raise ActionRefused("no-such-image", "There is no such picture on this unit. Nothing was changed.")
        if found[1] is LocalState.EVICTED:
            sentence = "The pixels of a picture have left this unit. Nothing was changed. Ask the centre to correct it."
            raise ActionRefused("evicted", sentence)
        if found[1] is not LocalState.PRESENT:
            sentence = "The stored file of a picture is missing or damaged. Nothing was changed. Tell the service."
            raise ActionRefused("not-present", sentence)
        return found[0]


def dicom_time(stamp: Stamp) -> str:
    """The moment as DICOM DT in UTC."""
    return datetime.fromtimestamp(stamp.wall_s, UTC).strftime("%Y%m%d%H%M%S.%f+0000")
