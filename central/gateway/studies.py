"""``PUT /v1/studies/{StudyInstanceUID}/manifest``: take in what a unit says, say what is here: one round trip.

``POST /v1/notes``: keep what it says of studies beside their images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection

from appliance.clock import Clock, utc_text
from central.gateway.inbox import Inboxes
from central.gateway.problems import Refusal, bad_request, busy, too_large
from central.gateway.receipts import shown
from central.gateway.settle import Settler
from central.gateway.uploads import Uploads
from central.limits import GatewayLimits
from central.store import manifests as rows
from central.store import parts as part_rows
from central.store.database import Database
from central.store.files import file_rows, start_what_is_whole
from central.store.manifests import Standing
from central.store.notes import put_notes
from central.store.parts import PartRow
from sync.wire.messages import InstanceAnswer, InstanceState, Manifest, ManifestAnswer, PartState
from sync.wire.notes import NOTES_BYTES_MAX, StudyNotes


class Studies:
    """What units announce."""

    def __init__(
        self,
        database: Database,
        uploads: Uploads,
        settler: Settler,
        inboxes: Inboxes,
        limits: GatewayLimits,
        clock: Clock,
        poke: Callable[[], None],
    ) -> None:
        """``poke`` is called when something was committed that may give work."""
        self._database = database
        self._uploads = uploads
        self._settler = settler
        self._inboxes = inboxes
        self._limits = limits
        self._clock = clock
        self._poke = poke

    async def take(self, unit_id: str, study_uid: str, manifest: Manifest) -> ManifestAnswer:
        """Merge a manifest and answer it.

        Raises:
            Refusal: 413 or 429 when it is beyond a limit, 400 when it names something twice or part names are none.
        """
        self._check(manifest)
        await self._uploads.settle({one.sha256 for one in manifest.parts})
        taken = await self._database.writing(self._take, unit_id, study_uid, manifest)
        if isinstance(taken, Refusal):
            raise taken
        answer, heads = taken
        self._inboxes.wake(heads)
        self._poke()
        return answer

    async def take_notes(self, unit_id: str, said: Sequence[StudyNotes]) -> None:
        """Keep what a unit says of studies beside their images, known here or not yet.

        Raises:
            Refusal: 413 when one of them is beyond its bound, 400 when a study has no UID.
        """
        for one in said:
            if not has_digit(one.study_instance_uid):
                raise bad_request("A UID has digits.")
            if len(msgspec.json.encode(one)) > NOTES_BYTES_MAX:
                raise too_large("What is said of a study", NOTES_BYTES_MAX)
        await self._database.writing(put_notes, unit_id, utc_text(self._clock.wall_s()), said)

    def _check(self, manifest: Manifest) -> None:
        limits = self._limits
        if len(manifest.instances) > limits.instance_count_max:
            raise too_many("instances", limits.instance_count_max)
        if len(manifest.parts) > limits.part_count_max:
            raise too_many("parts", limits.part_count_max)
        uids = [one.sop_instance_uid for one in manifest.instances]
        if len(set(uids)) != len(uids) or len({one.sha256 for one in manifest.parts}) != len(manifest.parts):
            raise bad_request("The manifest names an instance or a part twice.")
        for one in manifest.parts:
            if one.size_bytes > limits.part_bytes_max:
                raise too_large("A part", limits.part_bytes_max)
            if one.restores_sha256 and not _is_sha256(one.restores_sha256):
                raise bad_request("restores_sha256 is no SHA-256.")
        for instance in manifest.instances:
            if not all(map(has_digit, (instance.sop_instance_uid, instance.series_instance_uid))):
                raise bad_request("A UID has digits.")
            names = (instance.header, instance.pixels, instance.preview)
            if any(name and not _is_sha256(name) for name in names):
                raise bad_request("The name of a part is no SHA-256.")

    def _take(
        self, connection: Connection, unit_id: str, study_uid: str, manifest: Manifest
    ) -> tuple[ManifestAnswer, dict[str, int]] | Refusal:
        at = utc_text(self._clock.wall_s())
        open_count = part_rows.open_part_count(connection, unit_id)
        if open_count + len(manifest.parts) > self._limits.open_part_count_per_unit_max:
            return busy("This unit has as many unfinished parts as it may have.", self._limits.retry_after_s)
        ids = rows.merge(connection, unit_id, study_uid, manifest, at)
        before = rows.standings(connection, unit_id, ids)
        complete = [one.file_id for one in before.values() if one.may_be_whole]
        started = start_what_is_whole(connection, file_rows(connection, complete), at)
        heads = self._settler.receipts_for_late_claims(connection, unit_id, ids)
        found = before | rows.standings(connection, unit_id, [*started, *rows.verified_without_receipt(before)])
        uids = [one.sop_instance_uid for one in manifest.instances]
        instances = {uid: _instance(found[file_id]) for uid, file_id in zip(uids, ids, strict=True)}
        names = [one.sha256 for one in manifest.parts]
        known = part_rows.part_rows(connection, names)
        missing = [name for name in names if not known[name].complete]
        unneeded = rows.unneeded(connection, unit_id, missing)
        parts = {name: _part(known[name], not_needed=name in unneeded) for name in names}
        return ManifestAnswer(revision=manifest.revision, parts=parts, instances=instances), heads


def has_digit(uid: str) -> bool:
    """What every UID has and what ``.`` and ``..`` have not, which must never stand in a path of the PACS."""
    return any(c.isdigit() for c in uid)


def too_many(what: str, limit: int) -> Refusal:
    """413 for a list."""
    detail = f"A manifest may hold {limit} {what}. Nothing was changed; send it in several, they are merged."
    return Refusal(413, "too-many", "Too many", detail)


def _instance(found: Standing) -> InstanceAnswer:
    return InstanceAnswer(
        state=InstanceState(found.state),
        header_known=found.header_known,
        pixels_known=found.pixels_known,
        preview_known=found.preview_known,
        receipt=shown(found.statement, found.signature),
        problem=found.problem,
        problem_code=found.problem_code,
    )


def _part(row: PartRow, *, not_needed: bool) -> PartState:
    return PartState(offset=row.offset_bytes, complete=row.complete, not_needed=not_needed)


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)
