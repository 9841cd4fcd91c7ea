"""What the door set aside or refused, told to people: each row of its ledger becomes a finding with a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.config import UnitConfig, blob_path
from appliance.dicom.header import Header, HeaderError, HeaderReader
from appliance.store.connect import Store
from appliance.store.door import QuarantinedRow, kept_of, quarantined_after, refused_counts
from appliance.store.findings import Severity, clear_finding, note_finding, open_subjects
from appliance.store.intake import FeedCursor, get_cursor, set_cursor

QUARANTINED_FEED = "quarantined"
REFUSED_FEED = "refused"
REFUSED = "refused"
"""Kind of the finding about objects that were not let in; its subject is the door's reason."""

_CONFLICT = (
    "Two different pictures carry the same number (SOP Instance UID). Both are kept; a person must decide. "
    "The device was told that the second one failed."
)
_PATIENT_CONFLICT = (
    "A picture arrived under the number of another patient's picture. Both are kept and nothing was mixed. "
    "Check whose picture it is before anything else is done with this study."
)
_SET_ASIDE: dict[str, tuple[Severity, str]] = {
    "not-understood": (
        "warning",
        "A device sent something that is no whole DICOM picture. It was refused and set aside; send it again.",
    ),
    "preamble": (
        "alarm",
        "A device sent a picture that could also run as a program. It was refused and set aside. Tell the service.",
    ),
    "unacknowledged": (
        "notice",
        "The power failed while a picture came in. The device was never told that it is stored and will send it again; "
        "what had arrived is set aside.",
    ),
    "torn": (
        "warning",
        "A part of a picture was found after a power failure. It is set aside and never sent; check that the study is "
        "complete.",
    ),
    "damaged": (
        "alarm",
        "A stored picture was damaged on the disk. It is not sent as it is. Repeat it if you can, and tell the "
        "service.",
    ),
}
_SET_ASIDE_OTHERWISE: tuple[Severity, str] = ("warning", "Something was set aside at the door. Tell the service.")

_REFUSALS = {
    "disk-full": "The disk is full: pictures are refused until there is room. Nothing stored is lost. "
    "Bring the unit to a network so that it can deliver, or tell the service.",
    "inodes-exhausted": "The disk holds too many files: pictures are refused until there is room. Nothing stored is "
    "lost. Tell the service.",
    "object-too-large": "A picture was refused because it is larger than this unit takes. Tell the service.",
    "object-too-large-for-free-space": "A picture was refused because it would fill the disk. Nothing stored is lost. "
    "Bring the unit to a network so that it can deliver.",
    "quarantine-full": "A device keeps sending pictures that cannot be taken in. They are refused, and no more copies "
    "of them are put aside here. Nothing stored is lost. Tell the service.",
}
_REFUSED_OTHERWISE = "The unit refused a picture. The device still has it. Tell the service."


@dataclass
class Notices:
    """Follows the door's other two tables; used by one thread."""

    config: UnitConfig
    unit: Store
    door: Store
    headers: HeaderReader

    def mirror(self) -> bool:
        """Note what is new; whether the door refused something since the last call.

        Done twice it changes nothing, so a cut between finding and cursor is harmless.
        """
        self._mirror_quarantined()
        return self._mirror_refused()

    def room_is_back(self) -> None:
        """Something was kept and nothing refused since: the door is open again."""
        for reason in open_subjects(self.unit, REFUSED):
            clear_finding(self.unit, kind=REFUSED, subject_id=reason, actor="intake")

    def _mirror_quarantined(self) -> None:
        cursor = get_cursor(self.unit, QUARANTINED_FEED)
        for row in quarantined_after(self.door, cursor.seq):
            self._note(row)
            set_cursor(self.unit, FeedCursor(QUARANTINED_FEED, row.quarantined_id, row.file_name))

    def _note(self, row: QuarantinedRow) -> None:
        kind = f"set-aside-{row.reason}"
        severity, sentence = _SET_ASIDE.get(row.reason, _SET_ASIDE_OTHERWISE)
        if row.reason == "conflict":
            kind, severity, sentence = "sop-conflict", "alarm", _CONFLICT
            if self._names_another_patient(row):
                kind, sentence = "patient-conflict", _PATIENT_CONFLICT
        note_finding(
            self.unit,
            kind=kind,
            subject_id=row.sop_instance_uid or row.file_name,
            sentence=sentence,
            severity=severity,
            detail=f"file={row.file_name} sha256={row.sha256} bytes={row.size_bytes} ae={row.calling_ae_title}",
        )

    def _names_another_patient(self, row: QuarantinedRow) -> bool:
        first = kept_of(self.door, row.sop_instance_uid)
        if not first:
            return False
        try:
            kept = self.headers.read(blob_path(self.config.blob_dir, first[0].blob_uuid))
            other = self.headers.read(self.config.quarantine_dir / row.file_name)
        except HeaderError:
            return False
        return _patient(kept) != _patient(other)

    def _mirror_refused(self) -> bool:
        cursor = get_cursor(self.unit, REFUSED_FEED)
        last_id = int(self.door.value("SELECT coalesce(max(refused_id), 0) FROM refused"))
        if last_id == cursor.seq:
            return False
        # Below the cursor: the ledger was rebuilt, and its numbers began again.
        for refused in refused_counts(self.door, cursor.seq if last_id > cursor.seq else 0):
            note_finding(
                self.unit,
                kind=REFUSED,
                subject_id=refused.reason,
                sentence=_REFUSALS.get(refused.reason, _REFUSED_OTHERWISE),
                severity="alarm",
                detail=f"count={refused.count} status=0x{refused.status:04x} last={refused.last_refused_at}",
            )
        set_cursor(self.unit, FeedCursor(REFUSED_FEED, last_id))
        return last_id > 0


def _patient(header: Header) -> tuple[str, str, str]:
    return header.study.patient_id, header.study.patient_birth_date, header.study.patient_name
