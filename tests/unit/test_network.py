"""The kind of link that NetworkManager tells, on a real private bus: changes, restarts, absence and nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import NetworkTable
from appliance.domain.values import LinkKind
from sync.adapters.network import Network, NetworkWatch, Told, next_network, read_told
from sync.configured import kind_of
from tests.support.network_manager import NONE, Bus, FakeManager, connection
from tests.support.world import wait_for

PAUSE_S = 0.05
"""Of the watch between two tries, so that a restart of the bus is found at once."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    bus.start()
    yield bus
    bus.stop()


@pytest.fixture
def watch(bus: Bus) -> Iterator[NetworkWatch]:
    watch = NetworkWatch(bus.address, PAUSE_S)
    yield watch
    watch.close()


def wait_for_kind(watch: NetworkWatch, kind: LinkKind) -> None:
    wait_for(lambda: watch.network.kind is kind, f"kind {kind}", 10)


@pytest.mark.parametrize(
    ("made_of", "metered", "kind"),
    [
        ("802-3-ethernet", 4, LinkKind.WIRED),
        ("vlan", 0, LinkKind.WIRED),
        ("802-11-wireless", 2, LinkKind.WIFI),
        ("802-11-wireless", 1, LinkKind.SIM),
        ("802-11-wireless", 3, LinkKind.SIM),
        ("802-3-ethernet", 3, LinkKind.SIM),
        ("gsm", 4, LinkKind.SIM),
        ("bluetooth", 4, LinkKind.SIM),
        ("wireguard", 4, LinkKind.UNKNOWN),
        ("wireguard", 1, LinkKind.SIM),
        ("", 0, LinkKind.UNKNOWN),
    ],
)
def test_kind_is_read_from_type_and_price(made_of: str, metered: int, kind: LinkKind, bus: Bus) -> None:
    manager = FakeManager(bus, connection(1, "802-3-ethernet" if kind is LinkKind.UNKNOWN else "wireguard", metered=0))
    watch = NetworkWatch(bus.address, PAUSE_S)
    try:
        manager.wait_until_asked()
        manager.tell(connection(1, made_of, metered=metered))
        wait_for_kind(watch, kind)
    finally:
        watch.close()
        manager.close()


def test_drive_out_of_the_wifi_and_back_is_followed(bus: Bus, watch: NetworkWatch) -> None:
    manager = FakeManager(bus, connection(1, "802-11-wireless"))
    wait_for_kind(watch, LinkKind.WIFI)
    assert watch.network.up_count == 0  # it was there at the start
    manager.tell(connection(2, "gsm", metered=3))
    wait_for_kind(watch, LinkKind.SIM)
    assert watch.network.up_count == 1
    manager.tell(NONE)
    manager.tell(connection(3, "802-11-wireless"))
    wait_for_kind(watch, LinkKind.WIFI)
    assert watch.network.up_count == 2
    manager.close()


def test_network_without_any_connection_keeps_the_kind_and_is_up_once_it_has_one(bus: Bus, watch: NetworkWatch) -> None:
    manager = FakeManager(bus, connection(1, "gsm"))
    wait_for_kind(watch, LinkKind.SIM)
    manager.wait_until_asked()
    manager.tell(NONE)
    manager.wait_until_asked()
    manager.tell(connection(2, "gsm"))
    wait_for(lambda: watch.network.up_count == 1, "the network to come up", 10)
    assert watch.network.kind is LinkKind.SIM
    manager.close()


def test_network_manager_that_starts_late_and_starts_again_is_found(bus: Bus, watch: NetworkWatch) -> None:
    assert watch.network == Network()
    first = FakeManager(bus, connection(1, "gsm"))
    wait_for_kind(watch, LinkKind.SIM)
    first.close()
    second = FakeManager(bus, connection(1, "802-3-ethernet"))
    wait_for_kind(watch, LinkKind.WIRED)
    second.close()


def test_kind_stays_while_network_manager_or_the_bus_is_away(bus: Bus, watch: NetworkWatch) -> None:
    manager = FakeManager(bus, connection(1, "gsm"))
    wait_for_kind(watch, LinkKind.SIM)
    bus.stop()
    manager.close()
    assert watch.network.kind is LinkKind.SIM
    bus.start()
    manager = FakeManager(bus, connection(1, "802-3-ethernet"))
    wait_for_kind(watch, LinkKind.WIRED)
    manager.close()


def test_without_a_bus_the_kind_is_unknown_and_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = Bus(tmp_path)
    watch = NetworkWatch(bus.address, PAUSE_S)
    try:
        wait_for(lambda: watch.try_count >= 3, "three tries", 10)
        assert watch.network == Network()
    finally:
        watch.close()
    lines = [line for line in capsys.readouterr().err.splitlines() if "sync.network" in line]
    assert len(lines) == 1
    assert "kind=unknown" in lines[0]


def test_watch_of_a_bus_that_accepts_and_says_nothing_can_be_closed(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "bus"))
        mute.listen()
        watch = NetworkWatch(f"unix:path={tmp_path / 'bus'}", PAUSE_S)
        connection, _ = mute.accept()
        watch.close()
        connection.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        {"PrimaryConnection": Variant("u", 7)},
        {"PrimaryConnectionType": Variant("as", ["gsm"])},
        {"State": Variant("s", "up"), "Metered": Variant("s", "yes")},
        {"Metered": Variant("u", 77), "State": Variant("i", -5)},
        {"PrimaryConnectionType": Variant("s", "x" * 100_000)},
    ],
)
def test_nonsense_costs_nothing_but_the_answer(nonsense: dict[str, Variant], bus: Bus, watch: NetworkWatch) -> None:
    manager = FakeManager(bus, connection(1, "802-3-ethernet"))
    wait_for_kind(watch, LinkKind.WIRED)
    manager.wait_until_asked()
    manager.tell(nonsense)
    manager.wait_until_asked()
    manager.tell(connection(2, "802-11-wireless"))
    wait_for_kind(watch, LinkKind.WIFI)
    manager.close()


def test_network_manager_that_answers_with_errors_is_asked_again_when_it_speaks(bus: Bus, watch: NetworkWatch) -> None:
    manager = FakeManager(bus, connection(1, "gsm"), error_name="org.freedesktop.DBus.Error.AccessDenied")
    manager.wait_until_asked()
    assert watch.network == Network()
    manager.error_name = ""
    manager.tell(connection(1, "gsm"))
    wait_for_kind(watch, LinkKind.SIM)
    manager.close()


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=3)
NAMES = st.sampled_from(["PrimaryConnection", "PrimaryConnectionType", "Metered", "State", "Other"])


@given(st.dictionaries(NAMES, PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=3), PLAIN)))
def test_any_properties_are_read_as_something(properties: dict[str, Any]) -> None:
    told = read_told(properties)
    assert told.kind in LinkKind
    assert told.primary or told == Told()


tolds = st.builds(Told, st.sampled_from(["", "/1", "/2"]), st.sampled_from(LinkKind), st.sampled_from([0, 50, 60, 70]))


@given(st.lists(tolds, min_size=1, max_size=9))
def test_kind_is_the_last_that_was_told_of_a_connection_and_ups_only_rise(said: list[Told]) -> None:
    network, before = Network(), None
    for told in said:
        after = next_network(network, before, told)
        assert after.up_count - network.up_count in (0, 1)
        assert after.kind is (told.kind if told.primary else network.kind)
        if before == told:
            assert after.up_count == network.up_count
        network, before = after, told


def test_portal_that_lets_the_unit_through_is_a_network_that_comes_up() -> None:
    behind = Told("/1", LinkKind.WIFI, 60)
    assert next_network(Network(), behind, Told("/1", LinkKind.WIFI, 70)).up_count == 1
    assert next_network(Network(), Told("/1", LinkKind.WIFI, 70), behind).up_count == 0


def test_configuration_overrides_what_is_told() -> None:
    assert kind_of(NetworkTable(kind="satellite"), LinkKind.WIRED) is LinkKind.SATELLITE
    assert kind_of(NetworkTable(), LinkKind.WIRED) is LinkKind.WIRED
