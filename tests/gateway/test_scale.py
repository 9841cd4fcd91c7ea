"""Two gateways behind one address over a real PostgreSQL and a real S3-compatible store; one is killed all the time."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sync.wire import messages as m
from tests.gateway.postgres import lend_driver, running_postgres, why_not
from tests.gateway.rig import CLOCK, Gateway, Pacs, Parted, Unit, make_gateway, picture_in_parts
from tests.support.seaweed import PROGRAM, Bucket, running_bucket

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(not PROGRAM.exists(), reason="no S3-compatible server ('make scale')"),
]
GIVE_UP_S = 180.0
KILL_COUNT = 6
PICTURE_COUNT = 24


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Every gateway started meanwhile finds it by its environment."""
    with running_bucket(tmp_path / "weed") as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def database_url(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    driver = lend_driver(tmp_path_factory.mktemp("driver"))
    if driver is None:
        pytest.skip("the driver is of another Python version")
    if driver:
        monkeypatch.syspath_prepend(driver)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (driver, os.environ.get("PYTHONPATH")))))
    with running_postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


class Balanced(Unit):
    """A unit behind a balancer without affinity: each question goes to either gateway, dead or alive."""

    def __init__(self, gateways: list[Gateway], seed: int) -> None:
        super().__init__(gateways[0].url, "van-balanced")
        self._clients = [
            self.http,
            *(httpx.Client(base_url=one.url, timeout=60, trust_env=False) for one in gateways[1:]),
        ]
        self._random = random.Random(seed)

    def turn(self) -> None:
        self.http = self._random.choice(self._clients)

    def close(self) -> None:
        for client in self._clients:
            client.close()


def deliver(unit: Balanced, pictures: list[Parted]) -> dict[str, m.Receipt]:
    """Until every picture is proved; what a gateway confirmed is never asked for again by the other."""
    confirmed: Counter[str] = Counter()
    receipts: dict[str, m.Receipt] = {}
    deadline_mono_s = CLOCK.mono_s() + GIVE_UP_S
    pause = threading.Event()
    while len(receipts) < len(pictures):
        assert CLOCK.mono_s() < deadline_mono_s, f"only {len(receipts)} of {len(pictures)} were proved"
        for picture in pictures:
            if picture.uid not in receipts:
                try:
                    _advance(unit, picture, confirmed, receipts)
                except httpx.TransportError:
                    pause.wait(0.05)
    return receipts


def _advance(unit: Balanced, picture: Parted, confirmed: Counter[str], receipts: dict[str, m.Receipt]) -> None:
    unit.turn()
    answer = unit.announce(picture)
    found = answer.instances[picture.uid]
    assert found.state is not m.InstanceState.REFUSED, found.problem
    if found.receipt is not None:
        receipts[picture.uid] = unit.receipt(found.receipt)
        return
    for name, content in picture.contents.items():
        state = answer.parts[name]
        assert state.offset >= confirmed[name], "an offset that either gateway confirmed is not forgotten"
        if state.complete or state.not_needed:
            continue
        unit.turn()
        sent = unit.append(name, content[state.offset : state.offset + 100_000], state.offset)
        if sent.status_code == 204:
            confirmed[name] = int(sent.headers["Upload-Offset"])
        else:
            assert sent.status_code in (400, 409, 503), sent.text


def test_killed_gateway_of_two_loses_nothing_and_nothing_is_done_twice(
    database_url: str, bucket: Bucket, tmp_path: Path
) -> None:
    pacs = Pacs()
    extra = f'database_url = "{database_url}"\nparts_url = "{bucket.url}"'
    with pacs.peer:
        calm, victim = (
            make_gateway(tmp_path / name, pacs.peer.url, extra=extra).start() for name in ("calm", "victim")
        )
        # Two processes of one centre sign with one key.
        victim.stop()
        for path in (calm.config.keys_dir).iterdir():
            (victim.config.keys_dir / path.name).write_bytes(path.read_bytes())
        victim.start()
        enough = threading.Event()
        kills = [0]

        def kill_and_start() -> None:
            moments = random.Random(1)
            while not enough.wait(moments.uniform(0.3, 1.5)):
                victim.kill()
                kills[0] += 1
                victim.start()

        unit = Balanced([calm, victim], seed=2)
        killer = threading.Thread(target=kill_and_start)
        try:
            unit.join(calm)
            killer.start()
            pictures: list[Parted] = []
            receipts: dict[str, m.Receipt] = {}
            while kills[0] < KILL_COUNT or len(pictures) < PICTURE_COUNT:
                first = len(pictures)
                pictures += [picture_in_parts(tmp_path / str(i), 300_000, 700 + i) for i in range(first, first + 6)]
                receipts |= deliver(unit, pictures[first:])
        finally:
            enough.set()
            killer.join()
            for gateway in (calm, victim):
                if gateway.process is not None:
                    gateway.kill()
        calm.start()
        for picture in pictures:
            assert receipts[picture.uid].sha256 == picture.instance.sha256
            assert pacs.held[picture.uid] == picture.file
        unit.http = unit._clients[0]
        unit.open_session()
        entries = unit.wait_for_entries(len(pictures))
        assert sorted(one.sop_instance_uid for one in entries) == sorted(one.uid for one in pictures)
        assert unit.inbox().head == len(pictures), "each was settled once"
        unit.close()
        calm.stop()
        sys.stderr.write(f"{len(pictures)} pictures, {kills[0]} kills, {pacs.stored_count} hand-overs\n")
