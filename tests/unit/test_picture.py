"""One reader for command line and screen: cheap polls, honest power line, and a database that is replaced under it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import SystemClock
from appliance.config import UnitConfig
from appliance.domain.eta import Eta, Goodput
from appliance.domain.forecast import Forecast
from appliance.domain.leave import Bar, Leave, Stop, leave_facts, stop_sentence
from appliance.domain.snapshot import StudyState
from appliance.domain.values import LinkKind, LinkState, TrafficClass
from appliance.live import write_live
from appliance.orthanc.take_in import FEED
from appliance.picture import FORECAST_S, LEDGER_FEED, UnitReader
from appliance.store.connect import open_door, open_unit, write
from appliance.store.errors import StoreError
from appliance.store.intake import FeedCursor, keep_instances, set_cursor
from appliance.store.links import note_rate
from appliance.store.transfers import note_link
from tests.support.clocks import ManualClock
from tests.support.unit_store import kept, made_unit, study_uid

CLOCK = SystemClock()


@pytest.fixture
def config(tmp_path: Path) -> UnitConfig:
    return made_unit(tmp_path, 3, now_s=CLOCK.wall_s(), confirmed_count=1)


def _say(config: UnitConfig, name: str, **facts: Any) -> None:
    write_live(config.run_dir, name, facts, CLOCK)


def _keep(config: UnitConfig, kept_id: int) -> None:
    """One more line in the door's ledger."""
    with open_door(config.door_db) as door, write(door):
        door.change(
            """INSERT INTO kept (kept_id, blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, received_at,
                boot_id, mono_s) VALUES (?, ?, '1.2', ?, ?, 10, '', '', 0)""",
            (kept_id, f"blob-{kept_id}", "0" * 64, "0" * 64),
        )


def test_ledger_feed_is_the_one_that_intake_follows() -> None:
    assert LEDGER_FEED == FEED


def test_power_is_unknown_while_gatekeeper_or_intake_is_silent(config: UnitConfig) -> None:
    with UnitReader(config, CLOCK) as reader:
        assert not reader.snapshot().power.known
        _say(config, "gatekeeper", receiving_count=0)
        assert not reader.snapshot().power.known
        _say(config, "intake")
        assert reader.snapshot().power.known and reader.snapshot().power.safe


def test_power_is_not_safe_while_a_device_sends_or_an_image_is_not_filed(config: UnitConfig) -> None:
    _say(config, "intake")
    _say(config, "gatekeeper", receiving_count=2)
    with UnitReader(config, CLOCK) as reader:
        assert (reader.snapshot().power.safe, reader.snapshot().power.receiving_count) == (False, 2)
        _say(config, "gatekeeper", receiving_count=0)
        _keep(config, 7)
        assert (reader.snapshot().power.safe, reader.snapshot().power.unindexed_count) == (False, 1)
        with open_unit(config.unit_db) as db:
            set_cursor(db, FeedCursor(FEED, 7))
        assert reader.snapshot().power.safe


def test_power_is_unknown_when_the_door_s_ledger_cannot_be_read(config: UnitConfig) -> None:
    _say(config, "intake")
    _say(config, "gatekeeper", receiving_count=0)
    config.door_db.write_bytes(b"junk" * 4000)
    with UnitReader(config, CLOCK) as reader:
        assert not reader.snapshot().power.known


def test_poll_answers_only_when_something_changed(config: UnitConfig) -> None:
    with UnitReader(config, CLOCK) as reader:
        assert reader.poll() is not None
        assert reader.poll() is None
        with open_unit(config.unit_db) as db:
            set_cursor(db, FeedCursor("x", 1))
        assert reader.poll() is not None
        _say(config, "gatekeeper", receiving_count=1)
        _say(config, "intake")
        changed = reader.poll()
        assert changed is not None and changed.power.receiving_count == 1
        assert reader.poll() is None


def test_poll_goes_on_with_a_database_that_was_put_in_the_place_of_the_old_one(
    config: UnitConfig, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = made_unit(tmp_path / "other", 9, now_s=CLOCK.wall_s())
    with UnitReader(config, CLOCK) as reader:
        first = reader.poll()
        assert first is not None and first.study_count == 3
        for suffix in ("-wal", "-shm"):
            Path(f"{config.unit_db}{suffix}").unlink(missing_ok=True)
        shutil.copy(other.unit_db, tmp_path / "new.db")
        (tmp_path / "new.db").replace(config.unit_db)
        second = reader.poll()
        assert second is not None and second.study_count == 9


def test_poll_recovers_after_the_database_was_away(config: UnitConfig, tmp_path: Path) -> None:
    with UnitReader(config, CLOCK) as reader:
        assert reader.poll() is not None
        config.unit_db.rename(tmp_path / "away.db")
        with pytest.raises(StoreError):
            reader.poll()
        (tmp_path / "away.db").rename(config.unit_db)
        assert reader.poll() is not None


ODD_FACTS = [
    {"in_flight": {"x": 1}},
    {"in_flight": [1]},
    {"in_flight": {"2": "many"}},
    {"leave": [1]},
    {"leave": {"other-class": {}}},
    {"leave": {"full": {"stop": {"bar": "hours"}, "bytes_left": "many"}}},
    {},
]


@pytest.mark.parametrize("facts", ODD_FACTS)
def test_odd_facts_of_a_process_are_no_reason_to_fail(config: UnitConfig, facts: dict[str, Any]) -> None:
    _say(config, "sync", **facts)
    with UnitReader(config, CLOCK) as reader:
        assert reader.snapshot().study_count == 3


def test_live_file_that_is_torn_counts_as_silence(config: UnitConfig) -> None:
    (config.run_dir / "gatekeeper.live.json").write_text(json.dumps({"receiving_count": 0})[:-3], encoding="utf-8")
    _say(config, "intake")
    with UnitReader(config, CLOCK) as reader:
        assert not reader.snapshot().power.known


def test_states_come_through_from_the_store(config: UnitConfig) -> None:
    with UnitReader(config, CLOCK) as reader:
        states = {row.study_instance_uid: row.state for row in reader.snapshot().studies}
    assert states[study_uid(1)] is StudyState.QUEUED
    assert states[study_uid(2)] is StudyState.QUEUED


def test_estimate_follows_a_link_at_once_and_new_pictures_after_a_moment(tmp_path: Path) -> None:
    clock = ManualClock()
    config = made_unit(tmp_path, 1, now_s=clock.wall_s())
    with UnitReader(config, clock) as reader, open_unit(config.unit_db, clock=clock) as db:
        assert str(reader.snapshot().forecast) == "unknown - no contact yet"
        note_link(db, db.stamp(), "centre", LinkState.UP, None, None)
        note_rate(db, db.stamp(), "centre", Goodput(100_000.0, 100_000.0, 100_000.0), None)
        first = reader.poll()
        assert first is not None and first.forecast == Forecast(Eta(150.0, 150.0))
        keep_instances(db, db.stamp(), [kept(1, db.stamp())], ["centre"], None)
        second = reader.poll()
        assert second is not None and second.forecast == first.forecast
        assert reader.poll() is None
        clock.advance(FORECAST_S)
        third = reader.poll()
        assert third is not None and third.forecast == Forecast(Eta(300.0, 300.0))
        assert reader.poll() is None


def test_estimate_knows_what_may_not_go(config: UnitConfig) -> None:
    stop = Stop(Bar.BUDGET, LinkKind.SIM, 1_000_000)
    leave = {TrafficClass.FULL: Leave(stop), TrafficClass.STAT: Leave(None, 5.0, 7.0)}
    _say(config, "sync", leave=leave_facts(leave))
    with UnitReader(config, CLOCK) as reader:
        assert reader.live_facts().leave == leave
        assert reader.snapshot().waits == (f"whole images: {stop_sentence(stop)}",)
