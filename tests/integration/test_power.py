"""Battery and power key: ``qafila power watch`` as its own process, on a real bus, beside a real gatekeeper."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant

from appliance.clock import SystemClock
from appliance.domain.power import Battery, Leaving
from appliance.domain.snapshot import PowerState
from appliance.live import write_live
from appliance.picture import UnitReader
from appliance.power.battery import battery_of, read_battery
from appliance.power.leaving import read_leaving
from tests.support import rawdicom
from tests.support.gatekeepers import LIMITS, GatekeeperProcess, StandIn, running_gatekeeper
from tests.support.network_manager import Bus
from tests.support.power_services import FULL, FakePowerServices
from tests.support.rawdicom import RawModality, image
from tests.support.world import wait_for

CLOCK = SystemClock()
ASSOCIATE_RJ = 3
PATIENT = {**LIMITS, "handshake_s_max": 60.0, "idle_s_max": 60.0}


class LaterClock(SystemClock):
    """What it writes down stays fresh for the whole test."""

    def mono_s(self) -> float:
        return super().mono_s() + 600.0


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    bus.start()
    yield bus
    bus.stop()


@contextmanager
def watching(bus: Bus, toml: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "appliance.cli.main", "power", "watch", "--config", str(toml)]
    process = subprocess.Popen(command, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address})
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(30) == 0


def power_of(gatekeeper: GatekeeperProcess) -> PowerState:
    with UnitReader(gatekeeper.config, CLOCK) as reader:
        return reader.live_facts().power


def test_power_key_lets_what_is_received_end_and_nobody_new_in(orthanc: StandIn, bus: Bus, tmp_path: Path) -> None:
    services = FakePowerServices(bus, FULL)
    with running_gatekeeper(tmp_path, orthanc.port, PATIENT) as gatekeeper, watching(bus, gatekeeper.toml):
        run_dir = gatekeeper.config.run_dir
        write_live(run_dir, "intake", {}, LaterClock())
        assert services.locked.acquire(timeout=60), "a delay lock is taken"
        with RawModality(gatekeeper.port) as busy:
            busy.associate()
            busy.begin_store("1.2.92")
            services.prepare(True)
            wait_for(lambda: gatekeeper.facts().get("is_leaving"), "the door to be closed")
            assert power_of(gatekeeper) == PowerState(False, 1, 0, leaving=Leaving.OFF)
            with RawModality(gatekeeper.port) as late:
                late.send(rawdicom.associate_rq())
                assert late.receive()[0] == ASSOCIATE_RJ
            assert not services.is_given_back()

            busy.send(rawdicom.data_tf(1, 2, image("1.2.92")))
            assert busy.status() == 0
            busy.release()
        wait_for(lambda: power_of(gatekeeper).safe, "all to be written")
        wait_for(services.is_given_back, "the machine to be let go")
        assert read_leaving(run_dir, CLOCK) is Leaving.OFF, "the door stays closed until power goes"

        services.prepare(False)
        assert services.locked.acquire(timeout=60), "another lock, for the next time"
        wait_for(lambda: not gatekeeper.facts()["is_leaving"], "the door to be open again")
        with RawModality(gatekeeper.port) as modality:
            modality.associate()
    services.close()
    assert "1.2.92" in orthanc.stored


def test_battery_is_told_as_it_runs_down_and_unknown_when_upower_goes(
    bus: Bus, orthanc: StandIn, tmp_path: Path
) -> None:
    services = FakePowerServices(bus, FULL)
    with running_gatekeeper(tmp_path, orthanc.port) as gatekeeper, watching(bus, gatekeeper.toml):
        run_dir = gatekeeper.config.run_dir
        wait_for(lambda: battery_of(run_dir, CLOCK) == Battery(100, False), "a full battery")
        services.charge({"State": Variant("u", 2), "Percentage": Variant("d", 61.8)})
        wait_for(lambda: battery_of(run_dir, CLOCK) == Battery(62, True), "62 %")
        services.charge({"Percentage": Variant("d", 9.0), "WarningLevel": Variant("u", 5)})
        wait_for(lambda: battery_of(run_dir, CLOCK) == Battery(9, True, True, True), "nearly empty")
        services.close()
        wait_for(lambda: battery_of(run_dir, CLOCK) is None, "nobody to tell")


@pytest.mark.parametrize(
    ("changed", "battery"),
    [
        ({}, Battery(100, False)),
        ({"Type": 3, "State": 2, "Percentage": 55.4}, Battery(55, True)),
        ({"Percentage": 17.0, "State": 2, "WarningLevel": 3}, Battery(17, True, is_low=True)),
        ({"Percentage": 101.0}, Battery(100, False)),
        ({"WarningLevel": "?"}, Battery(100, False)),
        ({"IsPresent": False}, None),
        ({"Type": 1}, None),
        ({"Percentage": float("nan")}, None),
        ({"Percentage": "62"}, None),
    ],
)
def test_battery_is_what_upower_says_of_it_or_none(changed: dict[str, Any], battery: Battery | None) -> None:
    plain = {name: variant.value for name, variant in FULL.items()}
    assert read_battery({**plain, **changed}) == battery
