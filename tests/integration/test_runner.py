"""The runner with a real database and real files; only the destination is made here, to misbehave on command."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from appliance.clock import SystemClock
from appliance.config import DicomwebDestination, NetworkTable, UnitConfig, UnitTable, blob_path
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.limits import LimitSet
from appliance.domain.values import Evidence, LinkKind, OutboxItem
from appliance.live import read_live
from appliance.store import commands
from appliance.store.connect import Store, data_version, migrate, open_unit, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.intake import keep_instances
from sync.adapters.base import Attempt, Checked, SendItem, Sent
from sync.adapters.network import Network
from sync.core.effects import Record
from sync.records import apply_records
from sync.runner import Runner
from tests.store.made import made_kept, made_stamp
from tests.support.world import query, wait_for

LIMITS = LimitSet(backoff_s_first=0.05, backoff_s_max=0.2)


@dataclass
class MadeDestination:
    """Holds what it is sent in memory; each field makes it misbehave."""

    name: str = "centre"
    holds: dict[str, str] = field(default_factory=dict)
    sent_count: int = 0
    refuse: Failure | None = None
    down: Failure | None = None
    forget: bool = False
    raises: bool = False

    def probe(self) -> Failure | None:
        return self.down

    def send(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> Failure | None:
        if self.raises:
            raise RuntimeError("a bug in an adapter")
        for item in items:
            if self.down is not None:
                return self.down
            self.sent_count += 1
            if self.refuse is None and not self.forget:
                self.holds[item.sop_instance_uid] = hashlib.sha256(item.path.read_bytes()).hexdigest()
            on_result(Sent(item.item_id, self.refuse))
        return None

    def verify(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> Failure | None:
        for item in items:
            held = self.holds.get(item.sop_instance_uid)
            if held is None:
                gone = Failure(FailureKind.TRANSIENT, "absent", "The centre does not have it.")
                on_result(Checked(item.item_id, failure=gone, absent=True))
            else:
                on_result(Checked(item.item_id, evidence=Evidence("wado", held)))
        return None

    def close(self) -> None:
        """Nothing is held open."""


@dataclass
class Stage:
    """One unit's folder with a real database."""

    config: UnitConfig
    store: Store

    def keep(self, number: int, body: bytes | None = None) -> str:
        """One instance as intake leaves it: its file, its rows."""
        body = f"picture {number}".encode() if body is None else body
        kept = made_kept(number)
        instance = replace(kept.instance, sha256=hashlib.sha256(body).hexdigest(), size_bytes=max(1, len(body)))
        path = blob_path(self.config.blob_dir, instance.blob_uuid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        keep_instances(self.store, made_stamp(number), [replace(kept, instance=instance)], ["centre"], None)
        return instance.sop_instance_uid

    def states(self) -> list[str]:
        return [str(row[0]) for row in query(self.config.unit_db, "SELECT state FROM outbox ORDER BY item_id")]

    def blob(self, sop_instance_uid: str) -> Path:
        row = query(
            self.config.unit_db, f"SELECT blob_uuid FROM instance WHERE sop_instance_uid = '{sop_instance_uid}'"
        )
        return blob_path(self.config.blob_dir, str(row[0][0]))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    config = UnitConfig(
        unit=UnitTable(data_dir=str(tmp_path)),
        destination=(DicomwebDestination(name="centre", url="http://127.0.0.1:1/none"),),
        limits=LIMITS,
    )
    for folder in (config.blob_dir, config.run_dir):
        folder.mkdir()
    migrate(config.unit_db, config.door_db)
    with open_unit(config.unit_db) as store:
        yield Stage(config, store)


@contextmanager
def delivering(stage: Stage, destination: MadeDestination, network: Callable[[], Network] = Network) -> Iterator[None]:
    """The runner in a thread for as long as the block lasts."""
    stop = threading.Event()
    runner = Runner(stage.config, [destination], SystemClock(), stop, network=network)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def all_confirmed(stage: Stage) -> bool:
    return set(stage.states()) == {"confirmed"}


def test_kept_instances_are_confirmed_with_a_receipt_each(stage: Stage) -> None:
    for number in range(5):
        stage.keep(number)
    destination = MadeDestination()
    with delivering(stage, destination):
        wait_for(lambda: all_confirmed(stage), "confirmation")
    assert len(query(stage.config.unit_db, "SELECT * FROM receipt")) == 5
    assert destination.sent_count == 5


def test_instance_that_arrives_while_running_is_delivered_without_a_restart(stage: Stage) -> None:
    with delivering(stage, MadeDestination()):
        stage.keep(1)
        wait_for(lambda: stage.states() == ["confirmed"], "confirmation")


@pytest.mark.fault(45)
def test_accepted_but_forgotten_is_never_shown_as_delivered_and_is_sent_again(stage: Stage) -> None:
    stage.keep(1)
    destination = MadeDestination(forget=True)
    with delivering(stage, destination):
        wait_for(lambda: destination.sent_count >= 3, "further tries")
        assert query(stage.config.unit_db, "SELECT * FROM receipt") == []
        destination.forget = False
        wait_for(lambda: all_confirmed(stage), "confirmation")


@pytest.mark.fault(21)
def test_file_with_a_flipped_bit_is_set_aside_unsent_and_the_others_go_on(stage: Stage) -> None:
    damaged = stage.keep(1)
    stage.blob(damaged).write_bytes(b"picture ~")
    stage.keep(2)
    destination = MadeDestination()
    with delivering(stage, destination):
        wait_for(lambda: stage.states() == ["rejected", "confirmed"], "one aside, one confirmed")
    assert damaged not in destination.holds
    assert query(stage.config.unit_db, "SELECT local_state FROM instance ORDER BY instance_id") == [
        ("corrupt",),
        ("present",),
    ]
    assert query(stage.config.unit_db, "SELECT severity FROM finding") == [("alarm",)]


def test_permanent_refusal_is_set_aside_with_its_sentence_and_goes_out_after_retry(stage: Stage) -> None:
    stage.keep(1)
    no = Failure(FailureKind.PERMANENT, "refused", "The centre refuses this picture.")
    destination = MadeDestination(refuse=no)
    with delivering(stage, destination):
        wait_for(lambda: stage.states() == ["rejected"], "the refusal")
        assert query(stage.config.unit_db, "SELECT failure_sentence FROM outbox") == [(no.sentence,)]
        destination.refuse = None
        study = str(query(stage.config.unit_db, "SELECT study_instance_uid FROM study")[0][0])
        command_id = commands.give_command(stage.store, made_stamp(9), "retry", study, "test")
        wait_for(lambda: all_confirmed(stage), "confirmation")
    answered = commands.read_command(stage.store, command_id)
    assert answered is not None
    assert answered.outcome


@pytest.mark.fault(19)
def test_adapter_that_raises_costs_an_attempt_and_never_the_task(stage: Stage) -> None:
    stage.keep(1)
    destination = MadeDestination(raises=True)
    with delivering(stage, destination):
        wait_for(lambda: stage.store.value("SELECT attempt_count FROM outbox") >= 1, "a failed attempt")
        destination.raises = False
        wait_for(lambda: all_confirmed(stage), "confirmation")


@pytest.mark.fault(19)
def test_failing_commits_pause_delivery_and_never_end_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [1, 2, 3]

    def failing(store: Store, records: Sequence[Record]) -> list[OutboxItem]:
        if records and failures:
            failures.pop()
            raise StoreError(StoreFault.IO, "the disk reported an error")
        return apply_records(store, records)

    monkeypatch.setattr("sync.runner.apply_records", failing)
    monkeypatch.setattr("sync.runner.REBUILD_S_FIRST", 0.02)
    stage.keep(1)
    with delivering(stage, MadeDestination()):
        wait_for(lambda: all_confirmed(stage), "confirmation")
    assert not failures


def test_items_in_the_middle_of_something_at_a_crash_are_confirmed_after_the_next_start(stage: Stage) -> None:
    for number, state in enumerate(("encoding", "ready", "sending", "sent")):
        stage.keep(number)
        with write(stage.store):
            stage.store.change("UPDATE outbox SET state = ? WHERE item_id = ?", (state, number + 1))
    with delivering(stage, MadeDestination()):
        wait_for(lambda: all_confirmed(stage), "confirmation")


def test_link_that_is_down_holds_everything_back_and_is_shown_with_its_reason(stage: Stage) -> None:
    stage.keep(1)
    away = Failure(FailureKind.LINK, "refused-connection", "The centre does not answer.")
    destination = MadeDestination(down=away)
    with delivering(stage, destination):
        wait_for(lambda: query(stage.config.unit_db, "SELECT state FROM link") == [("down",)], "the link to be down")
        assert query(stage.config.unit_db, "SELECT failure_sentence FROM link") == [(away.sentence,)]
        destination.down = None
        wait_for(lambda: all_confirmed(stage), "confirmation")
    assert query(stage.config.unit_db, "SELECT state FROM link") == [("up",)]


def give(stage: Stage, number: int, *kinds: str) -> list[int]:
    """Wishes for the study of instance ``number``, one after the other."""
    study = made_kept(number).instance.study_instance_uid
    return [commands.give_command(stage.store, made_stamp(9), kind, study, "test") for kind in kinds]


def answered(stage: Stage, command_ids: Sequence[int]) -> bool:
    found = [commands.read_command(stage.store, command_id) for command_id in command_ids]
    return all(command is not None and command.finished_at for command in found)


def test_wishes_given_while_nothing_ran_are_carried_out_one_after_the_other(stage: Stage) -> None:
    stage.keep(1)
    given = give(stage, 1, "hold", "release")
    with delivering(stage, MadeDestination()):
        wait_for(lambda: answered(stage, given), "both answers")
        wait_for(lambda: all_confirmed(stage), "confirmation, for the last wish was to let it go")


def test_hold_given_in_the_turn_in_which_the_attempt_fails_takes_effect(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.keep(1)
    busy = Failure(FailureKind.TRANSIENT, "busy", "The centre is busy.")
    destination = MadeDestination(refuse=busy)
    given: list[int] = []

    def look(store: Store) -> int:
        """The runner's look for news: the wish is written just then, when the failure was heard but not handled."""
        if destination.sent_count and not given:
            with open_unit(stage.config.unit_db) as other:
                study = made_kept(1).instance.study_instance_uid
                given.append(commands.give_command(other, made_stamp(9), "hold", study, "test"))
        return data_version(store)

    monkeypatch.setattr("sync.runner.data_version", look)
    with delivering(stage, destination):
        wait_for(lambda: given and answered(stage, given), "the answer")
        wait_for(lambda: stage.states() == ["held"], "the hold")


def test_destination_taken_out_of_the_configuration_while_items_are_owed_is_named_until_it_is_back(
    stage: Stage,
) -> None:
    stage.keep(1)
    other = replace_destination(stage, "archive")
    findings = "SELECT subject_id, severity FROM finding WHERE cleared_at = ''"
    with delivering(other, MadeDestination("archive")):
        wait_for(lambda: query(stage.config.unit_db, findings) == [("centre", "warning")], "the finding")
        wait_for(lambda: sorted(stage.states()) == ["confirmed", "pending"], "delivery to the one that is left")
    with delivering(stage, MadeDestination()):
        wait_for(lambda: all_confirmed(stage), "confirmation")
        assert query(stage.config.unit_db, findings) == []


def replace_destination(stage: Stage, name: str) -> Stage:
    """The same unit with another destination in its configuration."""
    table = DicomwebDestination(name=name, url="http://127.0.0.1:1/none")
    return Stage(msgspec.structs.replace(stage.config, destination=(table,)), stage.store)


def link_kind(stage: Stage) -> str:
    return str((read_live(stage.config.run_dir, "sync", SystemClock()) or {}).get("link_kind", ""))


def test_network_that_comes_up_is_tried_at_once_and_its_kind_is_known(stage: Stage) -> None:
    patient = replace(stage, config=msgspec.structs.replace(stage.config, limits=LimitSet(backoff_s_first=300.0)))
    destination = MadeDestination(down=Failure(FailureKind.LINK, "unreachable", "The centre is not reachable."))
    network = [Network(LinkKind.WIFI)]
    stage.keep(1)
    with delivering(patient, destination, lambda: network[0]):
        wait_for(lambda: link_kind(stage) == "wifi" and is_down(stage), "the link to be down", 10)
        destination.down = None
        network[0] = Network(LinkKind.SIM, up_count=1)
        wait_for(lambda: all_confirmed(stage), "the picture to be delivered long before the back-off ends", 30)
        wait_for(lambda: link_kind(stage) == "sim", "the kind to be shown", 10)


def test_configured_kind_stays_whatever_the_network_is(stage: Stage) -> None:
    dish = replace(stage, config=msgspec.structs.replace(stage.config, network=NetworkTable(kind="satellite")))
    network = [Network(LinkKind.WIFI)]
    with delivering(dish, MadeDestination(), lambda: network[0]):
        wait_for(lambda: link_kind(stage) == "satellite", "the configured kind", 10)
        network[0] = Network(LinkKind.SIM)
        stage.keep(1)
        wait_for(lambda: all_confirmed(stage), "the picture to be delivered", 30)
    assert link_kind(stage) == "satellite"


def is_down(stage: Stage) -> bool:
    return query(stage.config.unit_db, "SELECT state FROM link") == [("down",)]
