"""What becomes of files, committed, and told to the units that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from sqlalchemy import Connection

from appliance.clock import Clock, utc_text
from appliance.domain.values import Evidence
from appliance.logging import log
from central.gateway.inbox import Inboxes, heads_of
from central.gateway.keys import CentreKeys
from central.gateway.receipts import sign
from central.store import files as rows
from central.store import parts as part_rows
from central.store.claims import claims_of, drop_receipts, set_receipt, stored_evidence, unreceipted
from central.store.database import Database
from central.store.files import FileRow
from central.store.inbox import Entry, add_entry
from central.store.replacements import is_superseded, latest_of
from central.store.units import current_epoch
from sync.wire.messages import InboxKind

SENTENCES = {
    "parts-unfit": "The centre has all parts of this picture, but they do not make the file that this unit stored.",
    "rebuild-failed": "The centre could not put this picture together from its parts.",
    "identity-mismatch": "The file that the centre put together belongs to another study than this unit said.",
}
SAFE = "It is safe on the unit and waits for a person."


class Settler:
    """Every change of a file's state, each one transaction."""

    def __init__(
        self,
        database: Database,
        keys: CentreKeys,
        inboxes: Inboxes,
        clock: Clock,
        pacs: str,
        poke: Callable[[], None],
    ) -> None:
        self._database = database
        self._keys = keys
        self._inboxes = inboxes
        self._clock = clock
        self._pacs = pacs
        self._poke = poke

    async def rebuilt(self, row: FileRow) -> None:
        """The file was put together and has its digest."""
        await self._database.writing(rows.note_rebuilt, row.file_id, self._now())

    async def verified(self, row: FileRow, evidence: Evidence) -> None:
        """The PACS proved that it holds the file: receipts for all units that named it."""

        def work(connection: Connection) -> dict[str, int]:
            if not rows.is_rebuilding(connection, row.file_id):
                if is_superseded(connection, row.file_id):
                    self._prove_latest_again(connection, row)
                return {}
            rows.note_verified(connection, row.file_id, msgspec.json.encode(evidence).decode("utf-8"), self._now())
            return self._sign_all(connection, row, evidence, claims_of(connection, row.file_id))

        self._inboxes.wake(await self._database.writing(work))
        log("gateway.settle", "verified", sop=row.sop_instance_uid, size_bytes=row.size_bytes, method=evidence.method)

    def _prove_latest_again(self, connection: Connection, row: FileRow) -> None:
        """What was replaced meanwhile got into the PACS once more, by another process: that is never the last word."""
        ids = latest_of(connection, row)
        for file_id in ids:
            rows.back_to_announced(connection, file_id)
            drop_receipts(connection, file_id)
        rows.start_what_is_whole(connection, rows.file_rows(connection, ids), self._now())

    async def verified_again(self, unit_id: str, row: FileRow, evidence: Evidence) -> tuple[bytes, bytes]:
        """The PACS still holds it: a new receipt for the unit that asked, in the answer and not in its inbox.

        ``evidence`` is the first proof's: what later ones are compared with stays what it was.
        """

        def work(connection: Connection) -> tuple[bytes, bytes]:
            now, epoch = self._now(), current_epoch(connection)
            signed = sign(self._keys, unit_id, row, evidence, pacs=self._pacs, at=now, epoch=epoch)
            set_receipt(connection, unit_id, row.file_id, *signed)
            return signed

        return await self._database.writing(work)

    async def lost(self, row: FileRow) -> None:
        """The PACS has lost it: it goes there again from the parts that are here, or the unit is asked for them."""

        def work(connection: Connection) -> None:
            rows.back_to_announced(connection, row.file_id)
            drop_receipts(connection, row.file_id)
            (now,) = rows.file_rows(connection, [row.file_id])
            rows.start_what_is_whole(connection, [now], self._now())

        await self._database.writing(work)
        log("gateway.settle", "lost by the PACS", sop=row.sop_instance_uid)
        self._poke()

    async def refused(self, row: FileRow, code: str, sentence: str) -> None:
        """The PACS does not take it, or holds something else: people are told."""
        text = f"The centre's PACS did not take this picture. {sentence}"
        await self._refuse(row, code, text)

    async def unfit(self, row: FileRow, code: str, reason: str) -> None:
        """Undamaged parts do not make the file; other parts are a new chance."""
        log("gateway.settle", "parts unfit", sop=row.sop_instance_uid, code=code, why=reason)
        await self._refuse(row, code, f"{SENTENCES[code]} {SAFE}")

    async def _refuse(self, row: FileRow, code: str, text: str) -> None:
        def work(connection: Connection) -> dict[str, int]:
            if is_superseded(connection, row.file_id):
                return {}
            rows.note_refused(connection, row.file_id, code, text)
            entry = Entry(
                0,
                InboxKind.REFUSAL.value,
                row.study_instance_uid,
                row.sop_instance_uid,
                row.sha256,
                text=text,
                code=code,
            )
            units = claims_of(connection, row.file_id)
            return heads_of((unit_id, add_entry(connection, unit_id, entry, self._now())) for unit_id in units)

        self._inboxes.wake(await self._database.writing(work))
        log("gateway.settle", "refused", sop=row.sop_instance_uid, code=code)

    async def wait_for_parts(self, row: FileRow) -> None:
        """Something is missing after all."""
        await self._database.writing(rows.back_to_announced, row.file_id)

    async def own_parts_only(self, row: FileRow) -> None:
        """What others brought does not fit: only the unit's own parts count from now on."""

        def work(connection: Connection) -> None:
            rows.back_to_announced(connection, row.file_id, own_parts_only=True)
            (now,) = rows.file_rows(connection, [row.file_id])
            rows.start_what_is_whole(connection, [now], self._now())

        await self._database.writing(work)
        log("gateway.settle", "own parts only", sop=row.sop_instance_uid)
        self._poke()

    async def spoiled(self, sha256: str) -> None:
        """A complete part was damaged in the store: it is asked for again, by whoever needs it."""

        def work(connection: Connection) -> None:
            part_rows.reset_part(connection, sha256, bad=True)
            rows.forget_skeletons(connection, sha256)
            for row in rows.rebuilding_with_part(connection, sha256):
                rows.back_to_announced(connection, row.file_id)

        await self._database.writing(work)
        log("gateway.settle", "part spoiled", part=sha256)

    async def unpacked(self, header: str, file_sha256s: Iterable[str]) -> None:
        """Skeletons are known; what is whole by it can be rebuilt."""

        def work(connection: Connection) -> None:
            rows.note_skeletons(connection, header, file_sha256s)
            rows.start_what_is_whole(connection, rows.announced_with_skeleton(connection, header), self._now())

        await self._database.writing(work)
        self._poke()

    async def header_unusable(self, header: str, code: str) -> None:
        """A whole header part that cannot be unpacked: its files need another one."""

        def work(connection: Connection) -> list[FileRow]:
            rows.note_skeletons(connection, header, ())
            return rows.announced_naming_header(connection, header)

        for row in await self._database.writing(work):
            await self.unfit(row, "parts-unfit", f"header part: {code}")

    def receipts_for_late_claims(self, connection: Connection, unit_id: str, file_ids: list[int]) -> dict[str, int]:
        """A unit names files that were verified for another unit already: its own receipts, in this transaction."""
        heads: dict[str, int] = {}
        for row in rows.file_rows(connection, unreceipted(connection, unit_id, file_ids)):
            evidence = stored_evidence(connection, row.file_id)
            if evidence is not None:
                heads |= self._sign_all(connection, row, evidence, [unit_id])
        return heads

    def _sign_all(
        self, connection: Connection, row: FileRow, evidence: Evidence, units: Iterable[str]
    ) -> dict[str, int]:
        epoch, at = current_epoch(connection), self._now()
        added = []
        for unit_id in units:
            statement, signature = sign(self._keys, unit_id, row, evidence, pacs=self._pacs, at=at, epoch=epoch)
            set_receipt(connection, unit_id, row.file_id, statement, signature)
            entry = Entry(
                0,
                InboxKind.RECEIPT.value,
                row.study_instance_uid,
                row.sop_instance_uid,
                row.sha256,
                statement,
                signature,
            )
            added.append((unit_id, add_entry(connection, unit_id, entry, at)))
        return heads_of(added)

    def _now(self) -> str:
        return utc_text(self._clock.wall_s())
