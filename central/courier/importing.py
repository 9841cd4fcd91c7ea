"""Takes in a whole stick, whoever brings it, unit after unit; and writes back what the centre has to say.

A stick proves nothing by being here. A unit's signature is checked against the key that the centre knows, and a revoked
unit is not listened to; both before anything of it is opened, and again as it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, func, select

from appliance.domain.sentences import sentence_end
from central.courier.intake import Intake, Taken
from central.gateway.inbox import shown_entry
from central.gateway.problems import Refusal
from central.store.inbox import last_entries
from central.store.tables import claim, file
from central.store.units import UnitRow, current_epoch, unit_row
from sync.courier.errors import FormatError, StickError
from sync.courier.limits import CourierLimits
from sync.courier.messages import REPLY_NAME, Reply
from sync.courier.reading import Brought, Refused, units_on
from sync.courier.reply import write_reply
from sync.wire.messages import Inbox, InstanceState

_WAITS = (InstanceState.ANNOUNCED.value, InstanceState.REBUILDING.value)


@dataclass(slots=True)
class UnitReport:
    """What became of one unit's folder."""

    unit_id: str
    name: str = ""
    """What people call the unit; empty for one that is not known here."""
    stick: str = ""
    parcel_count: int = 0
    finished: bool = False
    """The unit had read all of it back before the stick was removed."""
    taken: Taken = field(default_factory=Taken)
    problems: list[str] = field(default_factory=list)
    """Sentences: what was refused, and why; the rest was taken."""
    replied: bool = False
    """The unit's inbox was written onto the stick."""


@dataclass(frozen=True, slots=True)
class Importer:
    """How sticks are read.

    Attributes:
        intake: The gateway's functions.
        limits: Bounds of what is read.
        secret: The age identity to open parcels with: the centre's, or the organiser's for recovery.
        on_parcel: Told the unit's name, how many parcels were read and how many there are.
    """

    intake: Intake
    limits: CourierLimits
    secret: str
    on_parcel: Callable[[str, int, int], None] = lambda name, done, count: None

    async def bring(self, path: Path, *, parcels: bool = True) -> list[UnitReport]:
        """Import everything on the stick, or with ``parcels`` unset only write the answers.

        Raises:
            FileNotFoundError: If the stick holds no folder of ours.
            StickError: If it cannot be read at all.
        """
        return [await self._unit(path, unit_id, parcels=parcels) for unit_id in units_on(path, self.limits)]

    async def _unit(self, path: Path, unit_id: str, *, parcels: bool) -> UnitReport:
        report = UnitReport(unit_id)
        known = await self._known(unit_id, report)
        if known is None:
            return report
        try:
            with Brought(path, unit_id, known.public_key, self.limits) as brought:
                report.stick, report.finished = brought.index.stick, brought.index.verified
                report.parcel_count = len(brought.index.parcels)
                if brought.index.strange_count:
                    report.problems.append(
                        f"{brought.index.strange_count} lines of the index are not from this unit; they do not count."
                    )
                if parcels:
                    await self._parcels(brought, report)
                await self._reply(brought, report)
        except FileNotFoundError:
            report.problems.append("Its folder on the stick is incomplete: the export was cut off at its beginning.")
        except FormatError as error:
            report.problems.append(f"Its folder on the stick was refused: {sentence_end(str(error))}")
        except Refusal as refusal:
            report.problems.append(sentence_end(refusal.detail))
        except StickError as error:
            report.problems.append(
                f"The stick stopped answering ({error.detail}). What was read is taken in; import it again."
            )
        return report

    async def _known(self, unit_id: str, report: UnitReport) -> UnitRow | None:
        """The unit, if the centre listens to it."""
        row = await self.intake.database.reading(unit_row, unit_id)
        if row is None:
            report.problems.append("This unit is not enrolled at this centre; nothing of it was opened.")
            return None
        report.name = row.name
        if row.revoked:
            report.problems.append("This unit was revoked at this centre; nothing of it was opened.")
            return None
        return row

    async def _parcels(self, brought: Brought, report: UnitReport) -> None:
        for done, parcel in enumerate(brought.parcels(self.secret), start=1):
            if isinstance(parcel, Refused):
                report.problems.append(parcel.sentence)
            elif await self._known(brought.unit_id, report) is None:
                return
            else:
                await self.intake.take(brought.unit_id, parcel, report.taken)
            self.on_parcel(report.name, done, report.parcel_count)
        report.problems += map(sentence_end, report.taken.refusals)
        if report.taken.gaps:
            report.problems.append("Of some images a piece is missing; they go on when it comes, by link or by stick.")

    async def _reply(self, brought: Brought, report: UnitReport) -> None:
        """Write the unit's inbox back; a stick that cannot be written is no failure."""
        begun = brought.index.begun
        assert begun is not None, "Brought refuses an index without it"
        said = await self.intake.database.reading(
            _reply, brought.unit_id, brought.index.stick, self.limits.reply_entry_count_max
        )
        try:
            brought.folder.write(REPLY_NAME, write_reply(said, self.intake.keys.signing.sign, begun.reply_to))
            brought.folder.settle()
            report.replied = True
        except (StickError, ValueError) as error:
            detail = error.detail if isinstance(error, StickError) else str(error)
            report.problems.append(f"The receipts could not be written onto the stick ({detail}); they go by link.")

    async def refresh(self, report: UnitReport) -> None:
        """Look again how far the instances of this report are."""
        sha256s = [sha256 for _, sha256 in report.taken.instances]
        report.taken.instances |= await self.intake.database.reading(_states, report.unit_id, sha256s)


async def wait_until_settled(
    importer: Importer, reports: list[UnitReport], out_of_time: Callable[[], bool], pause_s: float
) -> None:
    """Return when no instance of these reports is on its way any more, or the time is over."""
    while not out_of_time():
        for report in reports:
            await importer.refresh(report)
        if not any(state in _WAITS for report in reports for state in report.taken.instances.values()):
            return
        await asyncio.sleep(pause_s)


def _reply(connection: Connection, unit_id: str, stick: str, count_max: int) -> Reply:
    head, entries = last_entries(connection, unit_id, count_max)
    waiting = select(func.count()).select_from(claim.join(file, file.c.file_id == claim.c.file_id))
    waiting = waiting.where(claim.c.unit_id == unit_id, file.c.state.in_(_WAITS))
    return Reply(
        unit_id=unit_id,
        stick=stick,
        inbox=Inbox(epoch=current_epoch(connection), head=head, entries=tuple(map(shown_entry, entries))),
        waiting_count=int(connection.scalar(waiting) or 0),
    )


def _states(connection: Connection, unit_id: str, sha256s: list[str]) -> dict[tuple[str, str], InstanceState]:
    found: dict[tuple[str, str], InstanceState] = {}
    for start in range(0, len(sha256s), 500):
        wanted = select(file.c.sop_instance_uid, file.c.sha256, file.c.state)
        wanted = wanted.join(claim, claim.c.file_id == file.c.file_id).where(
            claim.c.unit_id == unit_id, file.c.sha256.in_(sha256s[start : start + 500])
        )
        for row in connection.execute(wanted):
            found[row.sop_instance_uid, row.sha256] = InstanceState(row.state)
    return found
