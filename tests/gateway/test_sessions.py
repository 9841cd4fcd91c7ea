"""Who is let in: signatures, replays, copies of a key, revocation, and a centre that lost its memory."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from appliance.cli.main import main
from sync.wire import messages as m
from tests.gateway.raw import RawAppend
from tests.gateway.rig import Gateway, Pacs, Unit, b64, picture_in_parts, problem, running_gateway, sha256
from tests.support.world import wait_for


def test_requests_without_a_session_are_refused(gateway: Gateway, unit: Unit) -> None:
    for authorization in ("", "Bearer", "Bearer nonsense", "Basic dTpw", f"Bearer {unit.token}x"):
        headers = {"Authorization": authorization} if authorization else {}
        answer = unit.http.get("/v1/inbox", headers=headers)
        assert answer.status_code == 401, authorization
        assert "session" in problem(answer)["detail"]
        assert "Qafila-Inbox" not in answer.headers


def test_every_answer_to_a_unit_tells_inbox_epoch_and_time(unit: Unit) -> None:
    for answer in (
        unit.http.get("/v1/inbox", headers=unit.auth),
        unit.head("0" * 64),
        unit.append("0" * 64, b"x"),
    ):
        assert answer.headers[m.INBOX_HEADER] == "0"
        assert answer.headers[m.EPOCH_HEADER] == unit.epoch
        assert answer.headers["Date"].endswith("GMT")


def test_nonce_is_good_once_and_for_its_unit_alone(unit: Unit, other: Unit) -> None:
    nonce = unit.nonce()
    assert unit.open_session(nonce=nonce).status_code == 200
    assert problem(unit.open_session(nonce=nonce))["type"].endswith(":nonce")
    foreign = other.nonce()
    assert problem(unit.open_session(nonce=foreign))["type"].endswith(":nonce")
    assert problem(unit.open_session(nonce=b64(b"made up".ljust(32))))["type"].endswith(":nonce")


def test_old_nonce_is_refused(pacs: Pacs, tmp_path: Path) -> None:
    with running_gateway(tmp_path, pacs.peer.url, limits={"nonce_s_max": 1e-6}) as started, Unit(started.url) as unit:
        unit.enrol(started.code("van-1"))
        assert problem(unit.open_session())["type"].endswith(":nonce")


@pytest.mark.parametrize("damage", ["key", "lineage", "empty"])
def test_only_the_units_own_signature_opens_a_session(unit: Unit, other: Unit, damage: str) -> None:
    unit.unit_id, mine = other.unit_id if damage == "key" else unit.unit_id, unit.unit_id
    nonce = unit.nonce()
    signature = b64(b"") if damage == "empty" else b64(unit.key.sign(b"another statement"))
    request = m.SessionRequest(unit_id=unit.unit_id, nonce=nonce, signature=signature)
    answer = unit.http.post("/v1/session", content=msgspec.json.encode(request))
    unit.unit_id = mine
    assert answer.status_code == 401
    assert problem(answer)["type"].endswith(":signature")


def test_unknown_unit_learns_nothing_from_asking(gateway: Gateway, unit: Unit) -> None:
    unit.unit_id = "00000000-0000-0000-0000-000000000000"
    assert len(unit.nonce()) > 40
    assert problem(unit.open_session())["type"].endswith(":signature")


def test_token_of_another_unit_shows_none_of_its_parts(unit: Unit, other: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, seed=21)
    unit.announce(picture)
    unit.send_part(picture.header)
    name = picture.instance.header
    for answer in (
        other.head(name),
        other.append(name, b"x"),
        other.http.delete(f"/v1/parts/{name}", headers=other.auth),
    ):
        assert answer.status_code == 404
    unknown = other.append("f" * 64, b"x")
    assert unknown.content == other.append(name, b"x").content
    assert unit.head(name).headers["Upload-Complete"] == "?1"


def test_session_lives_on_when_the_gateway_is_killed(pacs: Pacs, tmp_path: Path) -> None:
    with running_gateway(tmp_path, pacs.peer.url) as started, Unit(started.url) as unit:
        unit.join(started)
        started.kill()
        started.start()
        assert unit.inbox().head == 0
        assert unit.inbox().epoch == unit.epoch


def test_session_ends_when_its_time_is_over(pacs: Pacs, tmp_path: Path) -> None:
    with running_gateway(tmp_path, pacs.peer.url, limits={"session_s_max": 1}) as started, Unit(started.url) as unit:
        unit.join(started)
        answer = unit.http.get("/v1/inbox", params={"wait": 3}, headers=unit.auth)  # it may end while it is waited for
        assert answer.status_code in (200, 401)
        later = unit.http.get("/v1/inbox", headers=unit.auth)
        assert later.status_code == 401
        assert unit.open_session().status_code == 200


# --- copies --------------------------------------------------------------------------------------------------------


@pytest.mark.fault(55)
def test_second_copy_of_a_unit_is_blocked_and_an_alarm_raised(gateway: Gateway, unit: Unit) -> None:
    with Unit(gateway.url, unit.name) as clone:
        clone.key, clone.unit_id, clone.lineage = unit.key, unit.unit_id, unit.lineage
        unit.inbox()
        assert unit.open_session().status_code == 200
        unit.inbox()
        blocked = clone.open_session()
        assert blocked.status_code == 403
        assert "Another copy of this unit" in problem(blocked)["detail"]
    assert unit.inbox().head == 0, "the first copy goes on"
    alarms = gateway.query(f"SELECT kind FROM alarm WHERE unit_id = '{unit.unit_id}'")
    assert alarms == [("lineage",)]


@pytest.mark.fault(55)
def test_of_two_copies_that_open_together_the_one_that_acts_first_goes_on(gateway: Gateway, unit: Unit) -> None:
    unit.inbox()
    with Unit(gateway.url, unit.name) as clone:
        clone.key, clone.unit_id, clone.lineage = unit.key, unit.unit_id, unit.lineage
        assert unit.open_session().status_code == 200
        assert clone.open_session().status_code == 200
        unit.inbox()
        assert clone.http.get("/v1/inbox", headers=clone.auth).status_code == 401
        assert clone.open_session().status_code == 403
        assert unit.open_session().status_code == 200


def test_answers_that_were_lost_break_no_lineage(unit: Unit) -> None:
    unit.inbox()
    known = unit.lineage
    for _ in range(3):  # the answers never arrive, so it names the same session again
        assert unit.open_session().status_code == 200
        unit.lineage = known
    assert unit.open_session().status_code == 200
    unit.inbox()
    assert unit.open_session().status_code == 200


def test_unit_that_never_heard_of_its_first_session_may_open_another(gateway: Gateway) -> None:
    with Unit(gateway.url, "deaf") as unit:
        unit.enrol(gateway.code("deaf"))
        for _ in range(3):
            assert unit.open_session().status_code == 200
            unit.lineage = ""
        assert unit.open_session().status_code == 200


# --- revocation ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(38)
def test_revoked_unit_is_out_at_once(gateway: Gateway, unit: Unit) -> None:
    assert unit.inbox().head == 0
    assert main(["central", "revoke", unit.name, "--config", str(gateway.toml)]) == 0
    assert unit.http.get("/v1/inbox", headers=unit.auth).status_code == 401
    assert unit.open_session().status_code == 403


@pytest.mark.fault(38)
def test_append_under_way_ends_when_its_unit_is_revoked(
    gateway: Gateway, unit: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = picture_in_parts(tmp_path, 400_000, seed=22)
    unit.announce(picture)
    with RawAppend(unit, gateway.port, picture.instance.pixels, 0, len(picture.pixels)) as raw:
        raw.send(picture.pixels[:150_000])
        wait_for(lambda: _offset(gateway, picture.instance.pixels) > 0, "the first flush")
        assert main(["central", "revoke", unit.name, "--config", str(gateway.toml)]) == 0
        kept = _offset(gateway, picture.instance.pixels)
        raw.send(picture.pixels[150_000:350_000])
        status, _ = raw.answer()
    assert status == 403
    assert _offset(gateway, picture.instance.pixels) == kept, "nothing more was taken"


def _offset(gateway: Gateway, name: str) -> int:
    ((offset,),) = gateway.query(f"SELECT offset_bytes FROM part WHERE sha256 = '{name}'")
    return int(offset)


# --- a centre that was restored ------------------------------------------------------------------------------------


@pytest.mark.fault(53)
def test_unit_that_remembers_more_than_the_centre_begins_a_new_epoch(gateway: Gateway, unit: Unit, other: Unit) -> None:
    before = unit.epoch
    unit.inbox()
    assert unit.open_session(inbox_seen=7).status_code == 200
    assert unit.epoch != before
    unit.inbox()
    answer = other.http.get("/v1/inbox", headers=other.auth)
    assert answer.headers[m.EPOCH_HEADER] == unit.epoch, "every unit hears of it with its next answer"
    assert int(unit.http.get("/v1/inbox", headers=unit.auth).headers[m.INBOX_HEADER]) == 7, "entries come after 7"
    now = unit.epoch
    assert unit.open_session(inbox_seen=7).status_code == 200
    assert unit.epoch == now, "said twice it is one"


@pytest.mark.fault(53)
def test_lost_epoch_that_several_units_remember_begins_one_new_epoch(unit: Unit, other: Unit) -> None:
    assert unit.open_session(epoch_seen="deadbeefdeadbeef").status_code == 200
    first = unit.epoch
    assert first != "deadbeefdeadbeef"
    other.inbox()
    assert other.open_session(epoch_seen="deadbeefdeadbeef").status_code == 200
    assert other.epoch == first


def test_administrator_begins_a_new_epoch(gateway: Gateway, unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["central", "new-epoch", "--json", "--config", str(gateway.toml)]) == 0
    epoch = msgspec.json.decode(capsys.readouterr().out)["epoch"]
    assert unit.inbox().epoch == epoch != unit.epoch


def test_tokens_are_kept_as_digests_only(gateway: Gateway, unit: Unit) -> None:
    unit.inbox()
    path = gateway.config.database_path
    assert path is not None
    stored = b"".join(file.read_bytes() for file in path.parent.glob("gateway.db*"))
    assert unit.token.encode() not in stored
    assert sha256(unit.token.encode()).encode() in stored
    assert b64encode(unit.token.encode()) not in stored
