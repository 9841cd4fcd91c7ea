"""A stick at the centre: the real gateway in a process of its own, a PACS, and a unit that may have a link as well."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.cli.main import main
from central.courier.importing import Importer, UnitReport, wait_until_settled
from central.courier.intake import Intake
from central.gateway.keys import load_keys
from central.store.opening import open_database
from sync.adapters.base import SendItem
from sync.courier.export import Ending, export
from sync.courier.keys import UnitKeys, names_key_of
from sync.courier.messages import FOLDER, PARCELS_FOLDER, REPLY_NAME, Reply
from sync.courier.reply import read_reply
from sync.courier.sealing import new_secret
from sync.wire.effort import SMALL
from sync.wire.messages import InstanceState
from sync.wire.notes import StudyNotes
from tests.courier.making import LIMITS, Bench, made_bench
from tests.courier.media import MIB, made_medium, missing_for_media
from tests.gateway.rig import CLOCK, Gateway, Pacs, Parted, Unit, part_up, running_gateway
from tests.support.world import wait_for

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def pacs() -> Iterator[Pacs]:
    held = Pacs()
    with held.peer:
        yield held


@pytest.fixture(scope="module")
def gateway(pacs: Pacs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), pacs.peer.url) as started:
        yield started


@pytest.fixture
def unit(gateway: Gateway) -> Iterator[Unit]:
    with Unit(gateway.url, f"courier-{next(_NUMBERS)}") as made:
        yield made.join(gateway)


@pytest.fixture
def bench(tmp_path: Path, gateway: Gateway, unit: Unit) -> Bench:
    """Four images in two studies."""
    return bench_of(tmp_path, gateway, unit, study_count=2, image_count=2)


@pytest.fixture
def large(tmp_path: Path, gateway: Gateway, unit: Unit) -> Bench:
    """One image that fills several parcels."""
    return bench_of(tmp_path, gateway, unit, study_count=1, image_count=1, rows=700)


def bench_of(folder: Path, gateway: Gateway, unit: Unit, **items: int) -> Bench:
    """Images that no other test has, and this unit's keys."""
    made = made_bench(folder, None, first_study=100 * next(_NUMBERS), **items)
    made.keys = keys_of(unit)
    made.centre_secret = (gateway.config.keys_dir / "courier.age").read_text().strip()
    return made


def keys_of(unit: Unit) -> UnitKeys:
    private = unit.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return UnitKeys(unit.unit_id, unit.key.sign, unit.public_key, names_key_of(private), new_secret())


def brought(
    gateway: Gateway,
    path: Path,
    *,
    wait: bool = True,
    parcels: bool = True,
    on_parcel: Callable[[str, int, int], None] = lambda name, done, count: None,
) -> list[UnitReport]:
    """Import in this process, while the gateway runs in its own."""

    async def work() -> list[UnitReport]:
        database = open_database(gateway.config)
        try:
            intake = Intake(gateway.config, database, CLOCK)
            importer = Importer(intake, LIMITS, intake.secret, on_parcel)
            reports = await importer.bring(path, parcels=parcels)
            if wait:
                deadline_mono_s = CLOCK.mono_s() + 60
                await wait_until_settled(importer, reports, lambda: CLOCK.mono_s() > deadline_mono_s, 0.05)
            return reports
        finally:
            database.close()

    return asyncio.run(work())


def reply_of(gateway: Gateway, bench: Bench) -> Reply:
    sealed = (bench.stick / FOLDER / bench.keys.unit_id / REPLY_NAME).read_bytes()
    centre_key = load_keys(gateway.config.keys_dir).public
    return read_reply(sealed, bench.keys.reply_secret, centre_key, bench.keys.unit_id, LIMITS)


def sent_by_link(item: SendItem, folder: Path) -> Parted:
    return part_up(item.path.read_bytes(), folder)


def states_of(reports: list[UnitReport]) -> dict[InstanceState, int]:
    return dict(reports[0].taken.states())


def test_stick_arrives_whole_while_the_gateway_runs(gateway: Gateway, pacs: Pacs, bench: Bench) -> None:
    assert export(bench.order(), bench.tools()).ending is Ending.DONE
    reports = brought(gateway, bench.stick)
    assert [(report.problems, report.finished, report.replied) for report in reports] == [([], True, True)]
    assert states_of(reports) == {InstanceState.VERIFIED: 4}
    assert {uid: pacs.held[uid] for uid in bench.expected()} == bench.expected()


def test_receipts_go_back_on_the_stick_and_are_good(gateway: Gateway, unit: Unit, bench: Bench) -> None:
    export(bench.order(), bench.tools())
    brought(gateway, bench.stick)
    (report,) = brought(gateway, bench.stick, parcels=False)
    assert (report.replied, report.taken.instances) == (True, {})
    reply = reply_of(gateway, bench)
    receipts = [unit.receipt(entry.receipt) for entry in reply.inbox.entries]
    assert {(one.sop_instance_uid, one.sha256) for one in receipts} == {
        (item.sop_instance_uid, item.sha256) for item in bench.items
    }
    assert (reply.waiting_count, reply.inbox.epoch) == (0, unit.epoch)


def test_same_stick_twice_changes_nothing(gateway: Gateway, pacs: Pacs, bench: Bench) -> None:
    export(bench.order(), bench.tools())
    brought(gateway, bench.stick)
    stored_count = pacs.stored_count
    (again,) = brought(gateway, bench.stick)
    assert (again.taken.new_bytes, again.problems) == (0, [])
    assert dict(again.taken.states()) == {InstanceState.VERIFIED: 4}
    assert pacs.stored_count == stored_count


def test_image_half_sent_by_link_goes_on_from_where_it_stands(
    gateway: Gateway, pacs: Pacs, unit: Unit, large: Bench, tmp_path: Path
) -> None:
    parted = sent_by_link(large.items[0], tmp_path / "parts")
    half = len(parted.pixels) // 2
    unit.announce(parted)
    unit.append(parted.instance.pixels, parted.pixels[:half])
    export(large.order(), large.tools())
    reports = brought(gateway, large.stick)
    assert states_of(reports) == {InstanceState.VERIFIED: 1}
    assert reports[0].taken.new_bytes < len(parted.pixels) - half + 2_000
    assert pacs.held[parted.uid] == parted.file
    answer = unit.announce(parted)
    assert answer.instances[parted.uid].receipt is not None
    assert all(part.complete or part.not_needed for part in answer.parts.values())


def test_image_begun_by_stick_and_finished_by_link_arrives(
    gateway: Gateway, pacs: Pacs, unit: Unit, large: Bench, tmp_path: Path
) -> None:
    export(large.order(), large.tools())
    parcels = sorted((large.stick / FOLDER / unit.unit_id / PARCELS_FOLDER).iterdir())
    parcels[1].unlink()
    (report,) = brought(gateway, large.stick, wait=False)
    assert report.problems == [
        "Parcel 2 is missing on the stick.",
        "Of some images a piece is missing; they go on when it comes, by link or by stick.",
    ]
    parted = sent_by_link(large.items[0], tmp_path / "parts")
    assert unit.announce(parted).parts[parted.instance.pixels].offset == LIMITS.parcel_bytes
    unit.send(parted)
    unit.wait_for_entries(1)
    assert pacs.held[parted.uid] == parted.file


def test_append_that_runs_at_the_same_moment_is_safe(
    gateway: Gateway, pacs: Pacs, unit: Unit, large: Bench, tmp_path: Path
) -> None:
    export(large.order(), large.tools())
    parted = sent_by_link(large.items[0], tmp_path / "parts")
    unit.announce(parted)
    first_half_is_there, stick_is_in = threading.Event(), threading.Event()

    def dripping() -> Iterator[bytes]:
        yield parted.pixels[:5_000]
        first_half_is_there.set()
        assert stick_is_in.wait(60)
        yield parted.pixels[5_000:]

    with Unit(gateway.url) as line:
        line.token = unit.token
        sending = threading.Thread(target=lambda: line.append(parted.instance.pixels, dripping(), complete=True))
        sending.start()
        assert first_half_is_there.wait(60)
        reports = brought(gateway, large.stick)
        stick_is_in.set()
        sending.join(60)
    assert states_of(reports) == {InstanceState.VERIFIED: 1}
    assert pacs.held[parted.uid] == parted.file


def test_parts_coded_another_way_by_link_do_not_make_a_second_copy(
    gateway: Gateway, pacs: Pacs, unit: Unit, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(bench.order(), bench.tools())
    brought(gateway, bench.stick)
    stored_count = pacs.stored_count
    by_stick = sent_by_link(bench.items[0], tmp_path / "same")
    monkeypatch.setattr("tests.gateway.pictures.FAST", SMALL)
    by_link = sent_by_link(bench.items[0], tmp_path / "parts")
    assert by_link.instance.pixels != by_stick.instance.pixels
    answer = unit.announce(by_link)
    assert all(part.complete or part.not_needed for part in answer.parts.values())
    assert pacs.stored_count == stored_count


def test_stick_waits_for_a_gateway_that_does_not_run(tmp_path: Path, pacs: Pacs) -> None:
    with running_gateway(tmp_path / "g", pacs.peer.url) as own, Unit(own.url) as unit:
        unit.join(own)
        bench = bench_of(tmp_path, own, unit)
        export(bench.order(), bench.tools())
        own.stop()
        (report,) = brought(own, bench.stick, wait=False)
        assert report.problems == []
        assert InstanceState.VERIFIED not in report.taken.states()
        own.start()
        assert len(unit.wait_for_entries(4)) == 4
        assert {uid: pacs.held[uid] for uid in bench.expected()} == bench.expected()


def test_revoked_unit_is_not_listened_to(gateway: Gateway, unit: Unit, bench: Bench) -> None:
    export(bench.order(), bench.tools())
    assert main(["central", "revoke", unit.name, "--config", str(gateway.toml)]) == 0
    (report,) = brought(gateway, bench.stick, wait=False)
    assert report.problems == ["This unit was revoked at this centre; nothing of it was opened."]
    assert (report.taken.instances, report.replied) == ({}, False)


def test_unit_of_another_centre_is_named_and_the_others_are_taken(
    gateway: Gateway, unit: Unit, bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = made_bench(tmp_path / "other", bench.stick, first_study=100 * next(_NUMBERS))
    stranger.centre_secret = bench.centre_secret
    export(stranger.order(), stranger.tools())
    export(bench.order(), bench.tools())
    told = {report.unit_id: report.problems for report in brought(gateway, bench.stick)}
    assert told == {
        unit.unit_id: [],
        stranger.keys.unit_id: ["This unit is not enrolled at this centre; nothing of it was opened."],
    }


def test_folder_signed_with_another_key_is_refused(gateway: Gateway, bench: Bench) -> None:
    thief = Ed25519PrivateKey.generate()
    bench.keys = UnitKeys(bench.keys.unit_id, thief.sign, bench.keys.public_key, bytes(32), new_secret())
    export_unchecked(bench)
    (report,) = brought(gateway, bench.stick, wait=False)
    assert report.problems == ["Its folder on the stick was refused: no line of its index was signed by this unit."]


def export_unchecked(bench: Bench) -> None:
    """A thief's program does not read back what it cannot sign."""
    assert export(bench.order(), bench.tools()).ending is Ending.LIES


def test_damaged_parcel_is_named_and_the_rest_is_taken(gateway: Gateway, bench: Bench) -> None:
    export(bench.order(), bench.tools())
    victim = sorted((bench.stick / FOLDER / bench.keys.unit_id / PARCELS_FOLDER).iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    (report,) = brought(gateway, bench.stick)
    assert report.problems == ["Parcel 1 was refused: its octets are not those that the unit wrote."]
    assert 0 < report.taken.states()[InstanceState.VERIFIED] < 4


def test_stick_that_was_encrypted_to_another_centre_is_refused(gateway: Gateway, bench: Bench) -> None:
    bench.centre_secret = new_secret()
    export(bench.order(), bench.tools())
    (report,) = brought(gateway, bench.stick, wait=False)
    assert {problem.partition(": ")[2] for problem in report.problems} == {"it is encrypted to another key."}


def test_command_says_what_came_and_what_to_do(
    gateway: Gateway, unit: Unit, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    export(bench.order(), bench.tools())
    config = ["--config", str(gateway.toml)]
    assert main(["central", "courier", "import", str(bench.stick), "--wait", "60", *config]) == 0
    told = capsys.readouterr().out
    assert f"{unit.name}:\n  4 images of 2 studies: 4 in the PACS and verified;" in told
    assert "✓ You can remove the stick." in told
    assert len(reply_of(gateway, bench).inbox.entries) == 4
    assert main(["central", "courier", "import", str(bench.stick), "--json", "--receipts", *config]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["units"]
    assert (shown["name"], shown["replied"], shown["problems"]) == (unit.name, True, [])


def test_command_says_when_there_is_nothing_to_take(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["central", "courier", "import", str(tmp_path), "--config", str(gateway.toml)]) == 4
    assert "holds nothing of Qafila" in capsys.readouterr().err


def test_recovery_key_opens_a_stick_where_the_centre_lost_its_own(
    gateway: Gateway, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery, lost = new_secret(), new_secret()
    from sync.courier.sealing import recipient_of

    export(bench.order(recipients=(recipient_of(lost), recipient_of(recovery))), bench.tools())
    (tmp_path / "recovery.key").write_text(f"{recovery}\n")
    words = ["central", "courier", "import", str(bench.stick), "--config", str(gateway.toml), "--wait", "60"]
    assert main(words) == 1
    assert main([*words, "--identity", str(tmp_path / "recovery.key")]) == 0
    assert "4 in the PACS and verified" in capsys.readouterr().out


def test_manifest_of_a_stick_does_not_make_the_study_older(
    gateway: Gateway, pacs: Pacs, unit: Unit, bench: Bench, tmp_path: Path
) -> None:
    """What a unit said by link since the export stays; and what it says by link afterwards still counts."""
    export(bench.order(), bench.tools())
    parted = sent_by_link(bench.items[0], tmp_path / "parts")
    unit.announce(parted, revision=70, priority="stat")
    brought(gateway, bench.stick)
    sql = f"SELECT revision, priority FROM study WHERE study_instance_uid = '{parted.study_uid}'"
    assert gateway.query(sql) == [(70, "stat")]
    corrected = msgspec.structs.replace(parted.instance, preview="")
    answer = unit.announce(Parted(parted.study_uid, parted.file, corrected, parted.infos, parted.contents), revision=71)
    assert answer.instances[parted.uid].state is InstanceState.VERIFIED
    wait_for(lambda: gateway.query(sql) == [(71, "routine")], "the later manifest")


def test_notes_travel_with_the_images_and_an_old_stick_brings_back_nothing_old(gateway: Gateway, bench: Bench) -> None:
    uids = sorted({item.study_instance_uid for item in bench.items})

    def notes(revision: int, checked_count: int) -> dict[str, StudyNotes]:
        return {uid: StudyNotes(study_instance_uid=uid, revision=revision, checked_count=checked_count) for uid in uids}

    def known() -> list[int]:
        rows = gateway.query("SELECT study_instance_uid, notes FROM study_note")
        return [json.loads(text).get("checked_count", 0) for uid, text in rows if uid in uids]

    export(bench.order(notes=notes(5, 2)), bench.tools())
    brought(gateway, bench.stick)
    assert known() == [2, 2]
    export(bench.order(path=made_folder(bench.stick, "older"), notes=notes(4, 1)), bench.tools())
    brought(gateway, bench.stick.with_name("older"))
    assert known() == [2, 2]
    export(bench.order(path=made_folder(bench.stick, "newer"), notes=notes(6, 3)), bench.tools())
    brought(gateway, bench.stick.with_name("newer"))
    assert known() == [3, 3]


def made_folder(stick: Path, name: str) -> Path:
    """Another stick."""
    (other := stick.with_name(name)).mkdir()
    return other


def test_import_that_was_cut_off_is_done_again(gateway: Gateway, pacs: Pacs, bench: Bench) -> None:
    export(bench.order(), bench.tools())

    def die(name: str, done: int, count: int) -> None:
        assert count > done == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        brought(gateway, bench.stick, wait=False, on_parcel=die)
    (report,) = brought(gateway, bench.stick)
    assert (report.problems, states_of([report])) == ([], {InstanceState.VERIFIED: 4})
    assert {uid: pacs.held[uid] for uid in bench.expected()} == bench.expected()


@pytest.mark.root
@pytest.mark.skipif(bool(missing_for_media()), reason=missing_for_media())
def test_stick_that_cannot_be_written_at_the_centre_is_taken_all_the_same(
    gateway: Gateway, bench: Bench, tmp_path: Path
) -> None:
    with made_medium(tmp_path, 8 * MIB) as medium:
        bench.stick = medium.at
        export(bench.order(), bench.tools())
        medium.unplug()
        medium.plug_in("ro")
        (report,) = brought(gateway, bench.stick)
    assert (report.replied, states_of([report])) == (False, {InstanceState.VERIFIED: 4})
    (problem,) = report.problems
    assert problem.startswith("The receipts could not be written onto the stick (")
    assert problem.endswith("Read-only file system); they go by link.")


@pytest.mark.fault(57)
@pytest.mark.root
@pytest.mark.skipif(bool(missing_for_media()), reason=missing_for_media())
def test_stick_pulled_out_of_the_centre_is_said_and_can_be_brought_again(
    gateway: Gateway, bench: Bench, tmp_path: Path
) -> None:
    with made_medium(tmp_path, 8 * MIB) as medium:
        bench.stick = medium.at
        export(bench.order(), bench.tools())

        def pull(name: str, done: int, count: int) -> None:
            if done == 1:
                medium.pull()

        (report,) = brought(gateway, bench.stick, wait=False, on_parcel=pull)
        assert any("stopped answering" in problem for problem in report.problems)
        medium.unplug("-f")
        medium.plug_in_again()
        (report,) = brought(gateway, bench.stick)
    assert (report.problems, states_of([report])) == ([], {InstanceState.VERIFIED: 4})
