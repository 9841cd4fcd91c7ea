"""The way to the PACS: away for a while, refusing one instance, forgetting one; nothing is told before it is proved."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sync.wire import messages as m
from tests.gateway.rig import CLOCK, Gateway, Pacs, Unit, picture_in_parts, running_gateway
from tests.support.world import wait_for


@pytest.mark.fault(44)
def test_pacs_that_is_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    pacs = Pacs(away=True)
    with pacs.peer, running_gateway(tmp_path / "g", pacs.peer.url) as started, Unit(started.url) as unit:
        unit.join(started)
        pictures = [picture_in_parts(tmp_path / str(i), 5_000, 200 + i) for i in range(12)]
        for picture in pictures:
            unit.send(picture)
        wait_for(lambda: started.log_text().count("PACS away") >= 3, "several tries")
        states = {unit.announce(one).instances[one.uid].state for one in pictures}
        assert states == {m.InstanceState.REBUILDING}
        assert unit.inbox().entries == ()
        pacs.away = False
        entries = unit.wait_for_entries(12)
        assert {entry.sop_instance_uid for entry in entries} == {one.uid for one in pictures}
        assert all(pacs.held[one.uid] == one.file for one in pictures)


@pytest.mark.fault(54)
@pytest.mark.parametrize(("reason", "code"), [(0xC000, "dimse-cxxx"), (0xA900, "dimse-a9xx")])
def test_one_instance_that_the_pacs_refuses_is_for_a_person_and_the_others_go_on(
    gateway: Gateway, pacs: Pacs, unit: Unit, tmp_path: Path, reason: int, code: str
) -> None:
    pictures = [picture_in_parts(tmp_path / str(i), 5_000, reason + i) for i in range(3)]
    pacs.refuse[pictures[1].uid] = reason
    for picture in pictures:
        unit.send(picture)
    entries = {entry.sop_instance_uid: entry for entry in unit.wait_for_entries(3)}
    refusal = entries[pictures[1].uid]
    assert (refusal.kind, refusal.code, refusal.receipt) == ("refusal", code, None)
    assert "did not take this picture" in refusal.text
    assert {entries[one.uid].kind for one in (pictures[0], pictures[2])} == {"receipt"}
    answer = unit.announce(pictures[1]).instances[pictures[1].uid]
    assert (answer.state, answer.problem_code, answer.receipt) == (m.InstanceState.REFUSED, code, None)


@pytest.mark.fault(54)
def test_instance_that_fails_for_now_is_tried_again_and_blocks_nobody(pacs: Pacs, unit: Unit, tmp_path: Path) -> None:
    full, fine = (picture_in_parts(tmp_path / str(i), 5_000, 300 + i) for i in range(2))
    pacs.refuse[full.uid] = 0xA700
    unit.send(full)
    unit.send(fine)
    (entry,) = unit.wait_for_entries(1)
    assert entry.sop_instance_uid == fine.uid
    del pacs.refuse[full.uid]
    assert unit.wait_for_entries(2)[1].sop_instance_uid == full.uid


def test_pacs_that_says_stored_and_holds_nothing_is_not_believed(pacs: Pacs, unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, 5_000, 310)
    forgetful = pacs.held
    pacs.held = _Forgetting(forgetful, picture.uid, times=2)
    try:
        unit.send(picture)
        assert unit.wait_for_entries(1)[0].kind == "receipt"
        assert pacs.held[picture.uid] == picture.file
    finally:
        pacs.held = dict(pacs.held)


class _Forgetting(dict[str, bytes]):
    """Loses one UID at once, a few times."""

    def __init__(self, held: dict[str, bytes], uid: str, times: int) -> None:
        super().__init__(held)
        self._uid, self._times = uid, times

    def setdefault(self, key: str, value: bytes = b"") -> bytes:
        if key == self._uid and self._times:
            self._times -= 1
            return value
        return super().setdefault(key, value)


@pytest.mark.fault(9)
def test_same_receipt_is_given_however_often_it_is_asked_for(unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, 5_000, 320)
    unit.send(picture)
    (entry,) = unit.wait_for_entries(1)
    for _ in range(2):
        assert unit.inbox().entries == (entry,)
        assert unit.announce(picture).instances[picture.uid].receipt == entry.receipt


def test_waiting_unit_hears_of_its_receipt_at_once(unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, 5_000, 330)
    heard: list[m.Inbox] = []
    waiter = threading.Thread(target=lambda: heard.append(unit.inbox(wait=30)))
    waiter.start()
    with Unit(str(unit.http.base_url), unit.name) as second:
        second.token, second.unit_id = unit.token, unit.unit_id
        second.send(picture)
    began = CLOCK.mono_s()
    waiter.join()
    assert CLOCK.mono_s() - began < 25, "it was woken and did not wait its time out"
    assert [entry.kind for entry in heard[0].entries] == ["receipt"]


def test_inbox_is_read_from_a_cursor_in_pages(pacs: Pacs, tmp_path: Path) -> None:
    limits = {"inbox_entry_count_max": 2}
    with running_gateway(tmp_path / "g", pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)
        for seed in range(5):
            unit.send(picture_in_parts(tmp_path / str(seed), 2_000, 340 + seed))
        assert [entry.seq for entry in unit.wait_for_entries(5)] == [1, 2, 3, 4, 5]
        page = unit.inbox(after=1)
        assert ([entry.seq for entry in page.entries], page.head) == ([2, 3], 5)
        assert unit.inbox(after=5).entries == ()


def test_waits_of_one_unit_are_bounded(pacs: Pacs, tmp_path: Path) -> None:
    limits = {"waiting_count_per_unit_max": 1}
    with running_gateway(tmp_path / "g", pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)

        def wait_for_news() -> None:
            while unit.http.get("/v1/inbox", params={"wait": 30}, headers=unit.auth).status_code == 429:
                pass

        waiter = threading.Thread(target=wait_for_news)
        waiter.start()
        wait_for(
            lambda: unit.http.get("/v1/inbox", params={"wait": 1}, headers=unit.auth).status_code == 429,
            "the bound",
        )
        assert unit.inbox().entries == (), "who does not wait is answered"
        assert started.stop() == 0, "a waiting request does not hold up the end"
        waiter.join()


# --- checking again ------------------------------------------------------------------------------------------------


def test_check_reads_the_pacs_again_and_gives_a_new_receipt(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    one, two, three = (picture_in_parts(tmp_path / str(i), 5_000, 350 + i) for i in range(3))
    unit.send(one)
    unit.send(two)
    unit.wait_for_entries(2)
    lost = pacs.held.pop(two.uid)
    answer = unit.check(one, two, three)
    assert answer.epoch == unit.epoch
    assert {uid: result.state for uid, result in answer.items.items()} == {
        one.uid: "verified",
        two.uid: "absent",
        three.uid: "absent",
    }
    receipt = unit.receipt(answer.items[one.uid].receipt)
    assert receipt.sha256 == one.instance.sha256
    assert receipt.dataset_sha256 and receipt.pixel_sha256
    assert unit.announce(one).instances[one.uid].receipt == answer.items[one.uid].receipt
    third = unit.wait_for_entries(3)[2]
    assert third.sop_instance_uid == two.uid, "what was lost goes there again from the parts that are here"
    assert pacs.held[two.uid] == lost


def test_check_finds_another_picture_under_the_identifier(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    one, other = (picture_in_parts(tmp_path / str(i), 5_000, 360 + i) for i in range(2))
    unit.send(one)
    unit.wait_for_entries(1)
    pacs.held[one.uid] = other.file
    result = unit.check(one).items[one.uid]
    assert (result.state, result.problem_code, result.receipt) == ("conflict", "digest-mismatch", None)
    pacs.held[one.uid] = one.file


def test_check_while_the_pacs_is_away_says_unknown(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    one = picture_in_parts(tmp_path, 5_000, 370)
    unit.send(one)
    unit.wait_for_entries(1)
    pacs.away = True
    try:
        assert unit.check(one).items[one.uid].state == "unknown"
    finally:
        pacs.away = False
    assert unit.check(one).items[one.uid].state == "verified"


def test_units_ask_only_about_what_they_announced(unit: Unit, other: Unit, tmp_path: Path) -> None:
    one = picture_in_parts(tmp_path, 5_000, 380)
    unit.send(one)
    unit.wait_for_entries(1)
    assert other.check(one).items[one.uid].state == "absent"
