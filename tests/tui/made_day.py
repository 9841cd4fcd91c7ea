"""One invented day for pictures: the same screens in every size, colour and language, with a preview drawn by rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.domain.quality import Severity
from appliance.domain.rendered import Preview, Rendered
from appliance.domain.snapshot import Snapshot, StudyRow
from appliance.store.people import Person, Role, SignIn
from appliance.store.quality import QualityRow
from appliance.store.revisions import Correction
from tests.support.snapshots import DAY, LINK_DOWN, snapshot
from tests.tui.fakes import FakeClock, FakeReader
from tui.app import QafilaApp
from tui.reader import StudyDetail
from tui.services import Desk, People, Services
from tui.unit_desk import UnitDesk

ARABIC_NAMES = {
    "BENALI^AMINA": "BENALI^AMINA=بن علي^أمينة",
    "HADDAD^Youssef": "حداد^يوسف",
    "DUPONT^Marie-Thérèse": "DUPONT^Marie-Thérèse",
    "MANSOURI^Leila": "منصوري^ليلى",
}


class RuledPreviews:
    """Implements ``Previews``: two dark lungs by integer arithmetic, the same on every machine."""

    def preview(self, sop_instance_uid: str, frame_number: int, width_px: int, height_px: int) -> Preview:
        """As the protocol says; every picture is twice as high as its lungs are wide."""
        width = min(width_px, height_px * 5 // 6)
        height = min(height_px, width * 6 // 5)
        pixels = bytes(_grey(x, y, width, height) for y in range(height) for x in range(width))
        return Preview(Rendered(width, height, 1, pixels))


class MadePeople:
    """Implements ``People``: three of them, and every PIN is right."""

    def everybody(self) -> tuple[Person, ...]:
        """By name."""
        return (
            Person(1, "Amal Idrissi", Role.SUPERVISOR, "2026-11-02T07:00:00.000Z"),
            Person(2, "Omar", Role.TECHNOLOGIST, "2026-11-02T07:05:00.000Z"),
            Person(3, "سلمى", Role.TECHNOLOGIST, "2026-11-15T06:50:00.000Z"),
        )

    def sign_in(self, person_id: int, pin: str) -> SignIn:
        """Anybody."""
        return SignIn(self.everybody()[person_id - 1])

    def add(self, name: str, role: str, pin: str, actor: str) -> Person:
        """Nobody."""
        raise NotImplementedError

    def change_pin(self, person: Person, pin: str, actor: str) -> None:
        """Never."""
        raise NotImplementedError

    def remove(self, person: Person, actor: str) -> None:
        """Never."""
        raise NotImplementedError


def _grey(x: int, y: int, width: int, height: int) -> int:
    across, down = 200 * x // width - 100, 200 * y // height - 100
    lung = ((abs(across) - 42) * 100 // 30) ** 2 + ((down + 5) * 100 // 62) ** 2
    spine = 60 if abs(across) < 9 else 0
    return 40 + min(lung, 10_000) * 50 // 10_000 if lung < 10_000 else min(150 + spine + max(down, 0) // 2, 255)


@dataclass
class PictureReader(FakeReader):
    """A reader whose studies have findings and a correction."""

    def study(self, study_instance_uid: str) -> StudyDetail | None:
        detail = super().study(study_instance_uid)
        if detail is None:
            return None
        uids = [one.sop_instance_uid for one in detail.instances]
        finding = QualityRow(uids[0], "laterality-missing", Severity.WARNING, {"ordered": "L"}, 1, "", "")
        corrected = Correction(
            4,
            "correct",
            study_instance_uid,
            {"images": {uids[0]: {"PatientBirthDate": "19480312"}}},
            {"values": {"PatientBirthDate": "19840312"}},
            "It was typed wrongly.",
            "person:1",
            "2026-11-22T08:59:00.000Z",
        )
        return replace(
            detail,
            findings=(finding,),
            actions=(corrected,),
            reject_codes={uids[-1]: "motion"},
            names={"person:1": "Salma"},
        )


def named(row: StudyRow, arabic: bool) -> StudyRow:
    """With its Arabic name where there is one."""
    return replace(row, patient_name=ARABIC_NAMES.get(row.patient_name, row.patient_name)) if arabic else row


def day(*, arabic: bool = False, down: bool = False) -> Snapshot:
    """The day's snapshot."""
    studies = tuple(named(row, arabic) for row in DAY)
    return snapshot(studies, links=(LINK_DOWN,)) if down else snapshot(studies)


def picture_app(
    language: str = "en",
    *,
    arabic: bool = False,
    down: bool = False,
    of: Snapshot | None = None,
    people: People | None = None,
) -> QafilaApp:
    """The screen over the day; with ``people`` it starts locked."""
    desk: Desk = UnitDesk.__new__(UnitDesk)
    return QafilaApp(
        PictureReader(of or day(arabic=arabic, down=down)),
        FakeClock(),
        services=Services(previews=RuledPreviews(), desk=desk, people=people),
        language_code=language,
    )
