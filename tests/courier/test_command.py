"""``qafila courier`` as a person at the unit types it, with the real encoder; no other process runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from appliance.cli.courier.exporting import Teller
from appliance.cli.courier.unit_side import REPLY_KEY_NAME
from appliance.cli.main import main
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.domain.values import Evidence, ItemState, LocalState, Receipt
from appliance.store.connect import open_unit
from appliance.store.courier import open_brought
from appliance.store.instances import set_local_state
from appliance.store.journal import read_journal
from appliance.store.outbox import items_of_study, move_item
from appliance.store.quality import next_due, save_run
from sync.adapters.base import SendItem
from sync.courier.export import Progress
from sync.courier.limits import CourierLimits
from sync.courier.messages import FOLDER, PARCELS_FOLDER
from sync.courier.parcel import open_parcel
from sync.courier.sealing import new_secret, recipient_of
from sync.wire.notes import StudyNotes
from tests.courier.making import UNIT_ID, made_items
from tests.courier.media import MIB, made_medium, missing_for_media
from tests.courier.unit_side import UnitSide, enrol, made_unit


@pytest.fixture
def items(tmp_path: Path) -> tuple[SendItem, ...]:
    return made_items(tmp_path / "sent", study_count=2, image_count=2)


@pytest.fixture
def unit(tmp_path: Path, items: tuple[SendItem, ...]) -> UnitSide:
    return made_unit(tmp_path / "unit", items)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    at = tmp_path / "stick"
    at.mkdir()
    return at


def exported(unit: UnitSide, stick: Path, *more: str) -> int:
    return main(unit.args("courier", "export", str(stick), "--any-folder", *more))


def reply_to(unit: UnitSide) -> str:
    return recipient_of((unit.config.identity_dir / REPLY_KEY_NAME).read_text().strip())


def test_export_says_that_the_stick_can_be_removed_and_status_says_what_is_on_it(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(unit, stick) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("✓ You can remove the stick. 4 images of 2 studies are on it")
    assert "✖ Do not remove the stick" in shown.err
    assert main(unit.args("courier", "status")) == 0
    assert "4 images of 2 studies, no receipt yet for 4 images of 2 studies" in capsys.readouterr().out
    with open_unit(unit.config.unit_db) as db:
        for uid in {item.study_instance_uid for item in items}:
            assert {item.state for item in items_of_study(db, uid)} == {ItemState.PENDING}
            assert "exported-to-stick" in [entry.event for entry in read_journal(db, uid)]
    assert not (unit.config.data_dir / "courier-spool").exists()


def test_stick_takes_along_what_the_checks_found(unit: UnitSide, stick: Path, items: tuple[SendItem, ...]) -> None:
    with open_unit(unit.config.unit_db) as db:
        due = next_due(db, 1)
        assert due is not None
        found = Finding(CheckCode.EXPOSURE_HIGH, Severity.WARNING, {"deviation_index": 3.4})
        done = {"checks_version": 1, "blob_uuid": "b", "order_digest": "", "outcome": "checked"}
        save_run(db, db.stamp(), due, **done, findings=[found])  # type: ignore[arg-type]  # a shorthand
    assert exported(unit, stick) == 0
    told: dict[str, StudyNotes | None] = {}
    for parcel in (stick / FOLDER / UNIT_ID / PARCELS_FOLDER).iterdir():
        head = open_parcel(parcel.read_bytes(), unit.centre.secret, CourierLimits()).head
        told |= {study.study_instance_uid: study.notes for study in head.studies}
    assert told.keys() == {item.study_instance_uid for item in items}
    notes = told[due.study_instance_uid]
    assert notes is not None
    assert [(one.code, one.images) for one in notes.found] == [("exposure-high", (due.sop_instance_uid,))]
    assert notes.checked_count == 1 and notes.asked is None


def test_stick_says_when_the_unit_received_each_study(unit: UnitSide, stick: Path) -> None:
    assert exported(unit, stick) == 0
    (parcel,) = (stick / FOLDER / UNIT_ID / PARCELS_FOLDER).iterdir()
    head = open_parcel(parcel.read_bytes(), unit.centre.secret, CourierLimits()).head
    assert {study.manifest.study.received_at for study in head.studies} == {"2026-11-25T09:00:00.000Z"}


def test_second_export_to_the_same_stick_writes_nothing(
    unit: UnitSide, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(unit, stick)
    capsys.readouterr()
    assert exported(unit, stick, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ending"], told["written_bytes"], told["carried_count"]) == ("done", 0, 4)
    assert told["can_be_removed"] is True


def test_one_study_is_chosen_by_its_uid_and_another_stick_takes_the_rest(
    unit: UnitSide, stick: Path, tmp_path: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(unit, stick, "--study", items[0].study_instance_uid) == 0
    (tmp_path / "second").mkdir()
    capsys.readouterr()
    assert exported(unit, tmp_path / "second", "--skip-carried", "--json") == 0
    assert json.loads(capsys.readouterr().out)["carried_count"] == 2
    assert main(unit.args("courier", "status", "--json")) == 0
    sticks = json.loads(capsys.readouterr().out)["sticks"]
    assert [one["image_count"] for one in sticks] == [2, 2]


def test_verify_reads_a_stick_back(unit: UnitSide, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = unit.args("courier", "verify", str(stick))
    assert main(words) == 4
    exported(unit, stick)
    capsys.readouterr()
    assert main(words) == 0
    assert "✓ You can remove the stick. All 1 parcel" in capsys.readouterr().out
    (parcel,) = (stick / FOLDER / UNIT_ID / PARCELS_FOLDER).iterdir()
    parcel.write_bytes(parcel.read_bytes()[:-1])
    assert main(words) == 1
    assert "✖ The stick has lost 1 parcel of 1." in capsys.readouterr().out


def test_receipts_from_a_stick_wait_for_the_sync_process(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    exported(unit, stick)
    centre = unit.centre
    entries = [
        centre.entry(1, items[0], centre.receipt(items[0])),
        centre.entry(2, items[1], centre.receipt(items[1])),
        centre.entry(3, items[2], kind="refusal", text="The PACS holds another picture under this number."),
    ]
    centre.write_back(stick, reply_to(unit), entries)
    capsys.readouterr()
    assert main(unit.args("courier", "import", str(stick))) == 1
    told = capsys.readouterr().out
    assert "Receipts for 2 images of 1 study: the centre has them, verified." in told
    assert "The centre still works on 2 images of this unit." in told
    assert "! The PACS holds another picture under this number." in told
    with open_unit(unit.config.unit_db) as db:
        assert {one.receipt.sop_instance_uid for one in open_brought(db)} == {
            items[0].sop_instance_uid,
            items[1].sop_instance_uid,
        }
        assert {one.receipt.evidence.epoch for one in open_brought(db)} == {"e1"}
    assert main(unit.args("courier", "import", str(stick), "--json")) == 1
    assert json.loads(capsys.readouterr().out)["brought"]["new_count"] == 0
    main(unit.args("courier", "status"))
    assert "2 receipts from a stick wait for the sync process." in capsys.readouterr().out


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"unit_id": "0" * 8 + UNIT_ID[8:]}])
def test_receipt_about_other_bytes_or_another_unit_is_not_used(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], changes: dict[str, str]
) -> None:
    exported(unit, stick)
    unit.centre.write_back(
        stick, reply_to(unit), [unit.centre.entry(1, items[0], unit.centre.receipt(items[0], **changes))]
    )
    assert main(unit.args("courier", "import", str(stick))) == 1
    with open_unit(unit.config.unit_db) as db:
        assert open_brought(db) == ()


def test_answer_of_somebody_else_is_refused(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.courier.unit_side import Centre

    exported(unit, stick)
    thief = Centre()
    thief.write_back(stick, reply_to(unit), [thief.entry(1, items[0], thief.receipt(items[0]))])
    assert main(unit.args("courier", "import", str(stick))) == 3
    assert "was refused: the answer was not written by this unit's centre." in capsys.readouterr().err


def test_stick_without_an_answer_says_so(unit: UnitSide, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported(unit, stick)
    assert main(unit.args("courier", "import", str(stick))) == 4
    assert "no answer of the centre" in capsys.readouterr().err


def test_held_and_damaged_images_stay_and_are_counted(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with open_unit(unit.config.unit_db) as db:
        item = items_of_study(db, items[0].study_instance_uid)[0]
        move_item(db, db.stamp(), item.item_id, ItemState.PENDING, ItemState.HELD, "hold", attempt_count=0)
    for blob in unit.config.blob_dir.rglob("*-*"):
        if blob.read_bytes() == items[3].path.read_bytes():
            blob.write_bytes(blob.read_bytes()[:-2] + b"??")
    assert exported(unit, stick) == 1
    told = capsys.readouterr().out
    assert "2 images of 2 studies are on it" in told
    assert "1 image is not on it: " in told
    assert "1 image is held, set aside, damaged or not checked yet" in told


def test_nothing_to_carry_is_no_error(tmp_path: Path, stick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(made_unit(tmp_path / "empty", ()), stick) == 0
    assert "Nothing to carry" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        ("not-enrolled", 3, "is not enrolled at gateway, so nobody could open the stick"),
        ("no-sticks", 3, "takes no sticks"),
        ("no-stick", 4, "is no folder"),
        ("own-disk", 4, "lies on this unit's own disk: the stick is not mounted there"),
        ("recipient", 2, "is no age recipient"),
        ("other-gateway", 4, "There is no gateway called elsewhere"),
        ("no-such-study", 4, "There is no study 9.9 on this unit"),
    ],
)
def test_what_is_in_the_way_is_said_in_a_sentence(
    unit: UnitSide, stick: Path, spoil: str, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["courier", "export", str(stick), "--any-folder"]
    match spoil:
        case "not-enrolled":
            (unit.config.identity_dir / "gateway.json").unlink()
        case "no-sticks":
            enrol(unit, recipient="")
        case "no-stick":
            stick.rmdir()
        case "own-disk":
            words.remove("--any-folder")
        case "recipient":
            words += ["--recovery-recipient", new_secret()]
        case "other-gateway":
            words += ["--to", "elsewhere"]
        case "no-such-study":
            words += ["--study", "9.9"]
    assert main(unit.args(*words)) == code
    assert sentence in capsys.readouterr().err
    assert not (stick / FOLDER).exists()


@pytest.mark.root
@pytest.mark.skipif(bool(missing_for_media()), reason=missing_for_media())
def test_real_stick_is_taken_out_and_put_back_before_it_is_read(
    unit: UnitSide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with made_medium(tmp_path, 16 * MIB) as medium:
        assert main(unit.args("courier", "export", str(medium.at), "--remount")) == 0
        assert capsys.readouterr().out.startswith("✓ You can remove the stick.")
        medium.unplug()
        medium.plug_in()
        assert main(unit.args("courier", "verify", str(medium.at))) == 0
        medium.unplug()
        medium.plug_in("ro")
        assert main(unit.args("courier", "export", str(medium.at))) == 3
        assert "write-protected" in capsys.readouterr().err


def test_age_secret_of_a_recipient_is_never_shown(
    unit: UnitSide, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody may paste the wrong half of a recovery key."""
    secret = new_secret()
    exported(unit, stick, "--recovery-recipient", secret)
    assert secret not in capsys.readouterr().err


def test_ctrl_c_ends_in_order_and_the_next_export_finishes(
    unit: UnitSide, stick: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say = Teller.__call__
    interrupted: list[bool] = []

    def say_and_interrupt(teller: Teller, step: Progress) -> None:
        say(teller, step)
        if step.done_count == 2 and not interrupted:
            interrupted.append(True)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Teller, "__call__", say_and_interrupt)
    before = signal.getsignal(signal.SIGINT)
    assert exported(unit, stick) == 130
    assert signal.getsignal(signal.SIGINT) is before
    shown = capsys.readouterr()
    assert shown.out.startswith("Stopped. What was copied stays on the stick, but it was not checked. Nothing is lost")
    assert "Stopping. ✖ Do not remove the stick yet." in shown.err
    main(unit.args("courier", "status"))
    assert "No stick carries anything of this unit." in capsys.readouterr().out
    monkeypatch.undo()
    assert exported(unit, stick) == 0
    assert capsys.readouterr().out.startswith("✓ You can remove the stick. 4 images")


def confirmed_then_lost(unit: UnitSide, item: SendItem, at: str) -> None:
    """The centre proved it once, and had lost it when it was asked again."""
    with open_unit(unit.config.unit_db) as db:
        (owed,) = [one for one in items_of_study(db, item.study_instance_uid) if one.sha256 == item.sha256]
        evidence = Evidence("gateway", item.sha256, detail=(("verified_at", at),), epoch="e1")
        proof = Receipt("gateway", item.sop_instance_uid, item.sha256, evidence)
        move_item(db, db.stamp(), owed.item_id, owed.state, ItemState.CONFIRMED, "x", attempt_count=1, receipt=proof)
        move_item(db, db.stamp(), owed.item_id, ItemState.CONFIRMED, ItemState.PENDING, "absent", attempt_count=1)


def test_old_stick_does_not_bring_back_what_the_centre_has_lost(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    exported(unit, stick)
    confirmed_then_lost(unit, items[0], "2026-11-25T10:00:00.000Z")
    confirmed_then_lost(unit, items[1], "2026-11-25T09:00:00.000Z")
    centre = unit.centre
    entries = [centre.entry(n, one, centre.receipt(one)) for n, one in enumerate(items[:2], start=1)]
    centre.write_back(stick, reply_to(unit), entries)
    capsys.readouterr()
    assert main(unit.args("courier", "import", str(stick))) == 0
    told = capsys.readouterr().out
    assert "1 receipt is older than what the centre said since; not used." in told
    with open_unit(unit.config.unit_db) as db:
        assert [one.receipt.sop_instance_uid for one in open_brought(db)] == [items[1].sop_instance_uid]


def test_receipt_for_what_is_set_aside_waits_for_a_person_unless_it_is_damaged_here(
    unit: UnitSide, stick: Path, items: tuple[SendItem, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    exported(unit, stick)
    with open_unit(unit.config.unit_db) as db:
        for item in items_of_study(db, items[0].study_instance_uid):
            move_item(db, db.stamp(), item.item_id, item.state, ItemState.REJECTED, "x", attempt_count=1)
        set_local_state(db, db.stamp(), items[1].sop_instance_uid, LocalState.CORRUPT, "bit flip")
    centre = unit.centre
    entries = [centre.entry(n, one, centre.receipt(one)) for n, one in enumerate(items[:2], start=1)]
    centre.write_back(stick, reply_to(unit), entries)
    capsys.readouterr()
    assert main(unit.args("courier", "import", str(stick))) == 1
    assert "1 image is set aside here: retry the study" in capsys.readouterr().out
    with open_unit(unit.config.unit_db) as db:
        assert [one.receipt.sop_instance_uid for one in open_brought(db)] == [items[1].sop_instance_uid]


def test_organisers_key_is_taken_from_the_configuration(
    tmp_path: Path, items: tuple[SendItem, ...], stick: Path
) -> None:
    recovery = new_secret()
    more = f'courier_recovery_recipient = "{recipient_of(recovery)}"\n'
    unit = made_unit(tmp_path / "unit", items, more=more)
    assert exported(unit, stick) == 0
    (parcel,) = (stick / FOLDER / UNIT_ID / PARCELS_FOLDER).iterdir()
    for secret in (recovery, unit.centre.secret):
        assert len(open_parcel(parcel.read_bytes(), secret, CourierLimits()).head.studies) == 2
