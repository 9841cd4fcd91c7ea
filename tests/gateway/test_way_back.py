"""What people write at the centre reaches a real unit's database, and its word comes back: two real processes."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.cli.enrol import enrol
from appliance.cli.main import main
from appliance.config import GatewayDestination, UnitConfig, load_unit
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.store import quality
from appliance.store.answers import list_answers
from appliance.store.connect import Store, migrate, open_reader, open_unit
from appliance.store.intake import FeedCursor, keep_instances
from appliance.store.matching import Match, set_match
from appliance.store.notes import untold
from appliance.store.registrations import RegistrationRow, list_registrations
from appliance.supervisor import ChildSpec, end_process, spawn
from central.store import answers as centre_answers
from central.store.answers import AnswerRow, WayState
from central.store.opening import open_database
from sync.wire.answers import OrderedPatient, ReportStatus
from sync.wire.notes import StudyNotes
from sync.wire.status import StatusReport
from tests.gateway.rig import Gateway, Pacs, Unit, running_gateway
from tests.store.made import made_kept, made_stamp
from tests.support.proxy import Proxy
from tests.support.world import wait_for

STUDY = "1.2.3.1"
REGISTER = (
    *("register", "--family", "Benali", "--given", "Aicha", "--sex", "F", "--birth-date", "1984-03-12"),
    *("--exam", "XR-CHEST-PA", "--pregnancy", "no", "--stat"),
    *("--referrer", "Dr Sow, Podor", "--reason", "Toux depuis 3 sem."),
)
AT = "2026-11-22T09:30:00.000Z"


@dataclass
class Van:
    """A unit's delivery process over its real database."""

    config: UnitConfig
    toml: Path
    process: Any = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "sync", "--config", str(self.toml)]
        self.process = spawn(ChildSpec("sync", argv, log_file=self.toml.with_name("sync.log")))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            end_process(self.process, 30.0)

    def answer_ids(self) -> set[str]:
        with open_reader(self.config.unit_db) as db:
            return {one.answer_id for one in list_answers(db)}

    def registrations(self) -> list[RegistrationRow]:
        with open_reader(self.config.unit_db) as db:
            return list(list_registrations(db, limit=10))

    def qafila(self, *words: str) -> int:
        return main([*words, "--config", str(self.toml)])


def announce(store: Store) -> None:
    """As sync notes it when the centre took the manifest; the images of these tests have no files to send."""
    store.connection.execute("UPDATE outbox SET announced_at = ?", (AT,))
    store.connection.commit()


@pytest.fixture
def held(tmp_path: Path, pacs: Pacs) -> Iterator[Gateway]:
    with running_gateway(tmp_path / "centre", pacs.peer.url) as started:
        yield started


@pytest.fixture
def van(tmp_path: Path, held: Gateway) -> Iterator[Van]:
    toml = tmp_path / "unit.toml"
    toml.write_text(
        f'[unit]\nname = "van-1"\ndata_dir = "{tmp_path}/unit"\n'
        f'[[destination]]\nkind = "gateway"\nname = "centre"\nurl = "{held.url}"\n'
        "[limits]\nbackoff_s_first = 0.2\nbackoff_s_max = 1.0\n",
        encoding="utf-8",
    )
    config = load_unit(toml)
    for folder in (config.data_dir, config.run_dir, config.identity_dir):
        folder.mkdir(parents=True, exist_ok=True)
    migrate(config.unit_db, config.door_db)
    (table,) = config.destination
    assert isinstance(table, GatewayDestination)
    enrol(config, table, held.code("van-1"))
    made = Van(config, toml)
    yield made
    made.stop()


@dataclass
class Desk:
    """A reader at the centre: writes as the review pages do, in a process beside the gateway."""

    gateway: Gateway

    def write(self, work: Any, *arguments: Any, **words: Any) -> Any:
        database = open_database(self.gateway.config)
        try:
            with database.write() as connection:
                return work(connection, *arguments, **words)
        finally:
            database.close()

    def unit_id(self) -> str:
        ((unit_id,),) = self.gateway.query("SELECT unit_id FROM unit")
        return str(unit_id)

    def row(self, answer_id: str) -> AnswerRow:
        found = self.write(centre_answers.answer_row, answer_id)
        assert found is not None
        return found  # type: ignore[no-any-return]

    def report(self, number: str, version: int = 1) -> str:
        posted = self.write(
            centre_answers.add_report,
            self.unit_id(),
            AT,
            report_id=number,
            version=version,
            status=ReportStatus.FINAL if version == 1 else ReportStatus.AMENDED,
            study_instance_uid=STUDY,
            author="Dr Haddad",
            title="Thorax",
            findings="Pneumothorax.",
            impression="Drain now.",
            is_critical=True,
        )
        return str(posted.answer_id)

    def retake(self) -> str:
        posted = self.write(
            centre_answers.add_retake, self.unit_id(), AT, study_instance_uid=STUDY, author="Dr Haddad", reason="moved"
        )
        return str(posted.answer_id)


def test_answers_reach_the_unit_and_its_word_comes_back_through_kills_and_silence(held: Gateway, van: Van) -> None:
    desk = Desk(held)
    with open_unit(van.config.unit_db) as db:
        keep_instances(db, made_stamp(), [made_kept(1)], ("centre",), FeedCursor("kept", 1))
    patient = OrderedPatient(family_latin="Benali", given_latin="Aicha", sex="F", birth_date="19840312")
    order = desk.write(
        centre_answers.add_order,
        desk.unit_id(),
        AT,
        order_id="o-1",
        author="Sud",
        patient=patient,
        exam_code="XR-CHEST-PA",
    ).answer_id
    first = desk.report("report-1")
    assert desk.report("report-1") == first, "said twice, posted once"
    van.start()
    wait_for(lambda: desk.row(first).state is WayState.DELIVERED, "the report to be delivered")
    wait_for(lambda: desk.row(order).state is WayState.DELIVERED, "the order to be delivered")
    (exam,) = van.registrations()
    assert exam.accession_number in desk.row(order).outcome

    held.kill()
    assert van.qafila("report", first, "--seen", "--by", "Amina") == 0, "acknowledged while nobody listens"
    held.start()
    wait_for(lambda: desk.row(first).state is WayState.SEEN, "the word to come back through the restart")
    assert desk.row(first).seen_by == "Amina"

    van.kill()
    while_away = {desk.retake(), desk.report("report-1", version=2)}
    urgent = desk.write(
        centre_answers.raise_priority, desk.unit_id(), AT, study_instance_uid=STUDY, author="Dr Haddad"
    ).answer_id
    assert van.qafila("reports", "--new") == 0, "what waits is an order, and nothing critical"
    held.kill()
    van.start()
    held.start()
    wait_for(lambda: desk.row(urgent).state is WayState.DELIVERED, "what was written while the unit was away")
    assert van.answer_ids() == {first, order, urgent} | while_away
    with open_reader(van.config.unit_db) as db:
        wait_for(lambda: db.value("SELECT priority FROM study") == "stat", "the study to be urgent")
    ((rows,),) = held.query("SELECT count(*) FROM answer")
    assert rows == 5, "nothing was written twice"
    assert "Benali" not in van.toml.with_name("sync.log").read_text(encoding="utf-8")
    assert "Benali" not in held.log_text()


def test_restored_centre_is_read_anew_and_told_anew_and_the_unit_keeps_each_answer_once(
    held: Gateway, van: Van
) -> None:
    desk = Desk(held)
    first = desk.retake()
    van.start()
    wait_for(lambda: desk.row(first).state is WayState.DELIVERED, "the first to be delivered")
    van.stop()
    before = desk.retake()
    held.stop()
    database = held.config.database_path
    assert database is not None
    backup = {path.name: path.read_bytes() for path in database.parent.glob(database.name + "*")}
    held.start()
    lost = desk.report("report-lost")
    van.start()
    wait_for(lambda: desk.row(lost).state is WayState.DELIVERED, "what the backup does not have")
    van.stop()
    held.stop()
    for path in database.parent.glob(database.name + "*"):
        path.unlink()
    for name, content in backup.items():
        (database.parent / name).write_bytes(content)
    assert main(["central", "new-epoch", "--config", str(held.toml)]) == 0
    held.start()
    after = desk.report("report-after")
    assert desk.row(before).state is WayState.WAITING, "the backup knows no better"
    van.start()
    wait_for(lambda: desk.row(after).state is WayState.DELIVERED, "what was written under a number that was used")
    wait_for(lambda: desk.row(before).state is WayState.DELIVERED, "the word about what the centre had forgotten")
    assert van.answer_ids() == {first, before, lost, after}


def test_one_unit_cannot_speak_for_another_and_a_wrong_word_changes_nothing(held: Gateway, tmp_path: Path) -> None:
    with Unit(held.url, "van-a").join(held) as mine, Unit(held.url, "van-b").join(held) as other:
        desk = Desk(held)
        posted = desk.write(centre_answers.add_message, mine.unit_id, AT, author="Dr", text="Hello")
        said = {"items": [{"answer_id": posted.answer_id, "state": "seen", "at": AT, "by": "Mallory"}]}
        answer = other.http.post("/v1/acknowledgements", json=said, headers=other.auth)
        assert answer.json()["unknown"] == [posted.answer_id]
        for wrong in (
            {"items": [{"answer_id": "../x", "state": "seen", "at": AT}]},
            {"items": [said["items"][0]] * 101},
        ):
            assert mine.http.post("/v1/acknowledgements", json=wrong, headers=mine.auth).status_code == 400
        assert desk.row(posted.answer_id).state is WayState.WAITING
        entries = mine.http.get("/v1/inbox", params={"after": 0, "about": "answers"}, headers=mine.auth).json()[
            "entries"
        ]
        assert [one["kind"] for one in entries] == ["message"]
        assert mine.http.post("/v1/acknowledgements", json=said, headers=mine.auth).json() == {"epoch": mine.epoch}
        assert desk.row(posted.answer_id).seen_by == "Mallory"


def test_unit_that_waits_hears_what_another_process_writes(tmp_path: Path, pacs: Pacs) -> None:
    with (
        running_gateway(tmp_path / "centre", pacs.peer.url, limits={"wait_s_max": 3600}) as gateway,
        Unit(gateway.url, "van-a").join(gateway) as unit,
        ThreadPoolExecutor(1) as other,
    ):
        asked: dict[str, str | int] = {"after": 0, "about": "answers", "wait": 3600}
        heard = other.submit(unit.http.get, "/v1/inbox", params=asked, headers=unit.auth)
        desk = Desk(gateway)
        desk.write(centre_answers.add_message, unit.unit_id, AT, author="Dr", text="Hello")
        assert [one["kind"] for one in heard.result().json()["entries"]] == ["message"]


def test_unit_tells_how_it_is_as_soon_as_it_reaches_the_centre(held: Gateway, van: Van) -> None:
    with open_unit(van.config.unit_db) as store:
        kept = [made_kept(number, size_bytes=500) for number in (1, 2)]
        keep_instances(store, made_stamp(), kept, ("centre",), FeedCursor("kept", 1))
    van.start()
    wait_for(lambda: held.query("SELECT 1 FROM unit_status"), "the unit's report")
    ((at, text),) = held.query("SELECT at, report FROM unit_status")
    said = msgspec.json.decode(text, type=StatusReport)
    assert (said.unsent_study_count, said.unsent_instance_count) == (1, 2)
    assert said.unsent_bytes == 1000
    assert said.disk_total_bytes >= said.disk_free_bytes > 0
    assert said.at[:10] == at[:10]
    assert said.clock_doubt == "behind", "the made images are of a later day"


def test_report_that_is_none_is_refused_and_changes_nothing(held: Gateway) -> None:
    with Unit(held.url, "van-9") as unit:
        unit.join(held)
        for body in (b"{}", b'{"at": 1}', b'{"at": "x", "disk_free_bytes": -1}', b'{"at": "' + b"x" * 40 + b'"}', b"["):
            answer = unit.http.post("/v1/status", content=body, headers=unit.auth)
            assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
        assert unit.http.post("/v1/status", content=b'{"at": "x"}').status_code == 401
        assert unit.http.post("/v1/status", content=b'{"at": "x"}', headers=unit.auth).status_code == 200
    assert held.query("SELECT count(*) FROM unit_status") == [(1,)]


def test_unit_tells_what_was_asked_and_found_and_what_changes_later(held: Gateway, van: Van) -> None:
    """A registration, an image at the centre, a finding that a later look clears; through a centre that is restored."""
    with open_unit(van.config.unit_db) as store:
        keep_instances(store, made_stamp(), [made_kept(1)], ("centre",), FeedCursor("kept", 1))
    assert van.qafila(*REGISTER) == 0
    (registered,) = van.registrations()

    def look(version: int, *findings: Finding) -> None:
        with open_unit(van.config.unit_db) as store:
            due = quality.next_due(store, version)
            assert due is not None
            done = {"checks_version": version, "blob_uuid": "b", "order_digest": "", "outcome": "checked"}
            quality.save_run(store, made_stamp(), due, **done, findings=findings)  # type: ignore[arg-type]

    def notes() -> StudyNotes | None:
        rows = held.query("SELECT notes FROM study_note")
        return msgspec.json.decode(rows[0][0], type=StudyNotes) if rows else None

    look(1, Finding(CheckCode.EXPOSURE_HIGH, Severity.WARNING, {"deviation_index": 3.4}))
    van.start()
    wait_for(lambda: held.query("SELECT 1 FROM unit_status"), "the unit's report")
    assert notes() is None, "the centre does not know of the study yet"
    with open_unit(van.config.unit_db) as store:
        announce(store)
    wait_for(notes, "what the unit found")
    said = notes()
    assert said is not None and said.asked is None and said.checked_count == 1
    assert [(one.code, one.values, one.images) for one in said.found] == [
        ("exposure-high", {"deviation_index": 3.4}, ("1.2.3.1.9.1",))
    ]
    with open_unit(van.config.unit_db) as store:
        found = Match(STUDY, registered.registration_key, "person", "reconciled", "", "", "nurse")
        set_match(store, made_stamp(), found)
    wait_for(lambda: (now := notes()) and now.asked, "whose the study is")
    said = notes()
    assert said is not None and said.asked is not None
    assert (said.asked.referrer, said.asked.reason, said.asked.is_stat) == ("Dr Sow, Podor", "Toux depuis 3 sem.", True)
    look(2)
    wait_for(lambda: (now := notes()) and not now.found, "that the finding was cleared")
    van.stop()
    held.stop()
    database = held.config.database_path
    assert database is not None
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM study_note")
    connection.close()
    assert main(["central", "new-epoch", "--config", str(held.toml)]) == 0
    held.start()
    van.start()
    with open_unit(van.config.unit_db) as store:
        wait_for(lambda: not store.value("SELECT announced_at FROM outbox"), "the unit to hear of another epoch")
        announce(store)
    wait_for(notes, "all of it, told to the restored centre")
    for log in (van.toml.with_name("sync.log").read_text(encoding="utf-8"), held.log_text()):
        assert "Toux" not in log and "Podor" not in log


def test_notes_that_are_none_are_refused_and_units_speak_for_themselves(held: Gateway) -> None:
    note = {"study_instance_uid": "1.2.3", "revision": 7, "checked_count": 1}
    wide = {**note, "found": [{"code": str(n), "values": {str(m): "x" * 1000 for m in range(30)}} for n in range(2)]}
    with Unit(held.url, "van-a").join(held) as mine, Unit(held.url, "van-b").join(held) as other:

        def say(unit: Unit, *items: object) -> int:
            return unit.http.post("/v1/notes", json={"items": items}, headers=unit.auth).status_code

        for wrong in (
            {**note, "study_instance_uid": "../1"},
            {**note, "study_instance_uid": ".."},
            {**note, "revision": -1},
            {**note, "found": [{"code": "x" * 65}]},
            {**note, "found": [{"code": "x", "values": {"a": {"b": 1}}}]},
            {**note, "found": [{"code": "x", "images": ["x"]}]},
            {**note, "found": [{"code": "x"}] * 101},
        ):
            assert say(mine, wrong) == 400, wrong
        assert say(mine, *[note] * 17) == 400
        assert say(mine, note, wide) == 413
        assert held.query("SELECT count(*) FROM study_note") == [(0,)]
        assert mine.http.post("/v1/notes", json={"items": [note]}).status_code == 401
        assert say(mine, note) == say(mine, note) == say(other, {**note, "revision": 9}) == 200
        assert say(mine, {**note, "revision": 6, "checked_count": 5}) == 200, "older, and came late"
        rows = dict(held.query("SELECT u.name, n.notes FROM study_note AS n JOIN unit AS u USING (unit_id)"))
        assert {name: json.loads(text) for name, text in rows.items()} == {
            "van-a": note,
            "van-b": {**note, "revision": 9},
        }


def test_centre_of_an_earlier_release_is_left_alone_with_notes_and_told_the_rest(held: Gateway, van: Van) -> None:
    """It answers 404 to them: the unit goes on with everything else, and keeps what is untold."""
    with open_unit(van.config.unit_db) as store:
        keep_instances(store, made_stamp(), [made_kept(1)], ("centre",), FeedCursor("kept", 1))
        announce(store)
        set_match(store, made_stamp(), Match(STUDY, "", "", "matched", "", "", "matching"))
    with Proxy(int(held.url.rsplit(":", 1)[1])) as proxy:
        proxy.corrupt_upstream[b"POST /v1/notes"] = b"POST /v0/notes"
        text = van.toml.read_text(encoding="utf-8")
        van.toml.write_text(text.replace(held.url, f"http://127.0.0.1:{proxy.port}"), encoding="utf-8")
        van.start()
        sync_log = van.toml.with_name("sync.log")
        wait_for(lambda: "notes not understood" in sync_log.read_text(encoding="utf-8"), "the refusal")
        desk = Desk(held)
        first = desk.report("report-1")
        wait_for(lambda: desk.row(first).state is WayState.DELIVERED, "the report to be delivered all the same")
        wait_for(lambda: held.query("SELECT 1 FROM unit_status"), "the unit's report")
        with open_unit(van.config.unit_db) as store:
            assert untold(store, "centre", desk.unit_id(), "", 0, 10)[0] == (STUDY,)
        van.stop()
    assert held.query("SELECT count(*) FROM study_note") == [(0,)]
