"""Gateways that lie, refuse, forget or are somebody else: nothing becomes accepted, proved or lost by them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.domain.failure import FailureKind
from sync.adapters.base import Attempt, SendItem
from sync.wire import messages as m
from tests.conformance.test_destinations import until_ended
from tests.support.clocks import ManualClock
from tests.support.gateway_fake import Asked, FakeGateway, Reply, at, refusal, said
from tests.support.gateway_unit import EnrolledUnit
from tests.support.pacs import Run, codes


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


@pytest.fixture
def unit(gateway: FakeGateway, tmp_path: Path) -> Iterator[EnrolledUnit]:
    made = gateway.unit(tmp_path / "unit")
    yield made
    made.close()


@pytest.fixture
def run(gateway: FakeGateway, unit: EnrolledUnit) -> Run:
    return Run(unit.destination(gateway.url))


def quick(run_of: EnrolledUnit, gateway: FakeGateway) -> Run:
    """On a clock whose every reading is a quarter of a second later: what waits for a receipt gives up at once."""

    class HastyClock(ManualClock):
        def mono_s(self) -> float:
            self.advance(0.25)
            return super().mono_s()

    return Run(run_of.destination(gateway.url, clock=HastyClock()))


# --- an honest one first: the tests below differ from it in one answer ------------------------------------------------


def test_an_honest_gateway_takes_and_proves_everything(
    gateway: FakeGateway, run: Run, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    checked, failure = run.verify(items)
    assert (codes(checked), failure) == ({1: "", 2: "", 3: ""}, "")
    evidence = checked[1].evidence
    assert evidence is not None
    assert (evidence.method, evidence.sha256, evidence.epoch) == ("gateway", items[0].sha256, gateway.epoch)
    assert dict(evidence.detail)["verified_at"] == "2026-11-25T10:00:00Z"
    for item in items:
        assert bytes(gateway.parts[unit.encoder.made[item.sha256].pixels_sha256])


# --- receipts ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "lie",
    [
        {"sha256": "0" * 64},
        {"unit_id": "99999999-2222-3333-4444-555555555555"},
        {"sop_instance_uid": "1.2.3"},
        {"key": Ed25519PrivateKey.generate()},
        {"epoch": "an-earlier-life"},
    ],
    ids=["other-bytes", "replayed-from-another-unit", "other-instance", "signed-by-another", "from-an-earlier-life"],
)
def test_lying_receipt_is_no_proof(
    lie: dict[str, Any], gateway: FakeGateway, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    uid = items[0].sop_instance_uid
    gateway.tells_receipts = False

    def manifest(asked: Asked) -> Reply | None:
        body = asked.decode(m.Manifest)
        if uid not in gateway.instances or not gateway.has_all(gateway.instances[uid][1]):
            return None
        told = gateway.manifest_answer(body).instances[uid]
        lying = msgspec.structs.replace(told, receipt=gateway.receipt(uid, **dict(lie)))
        return said(m.ManifestAnswer(revision=1, instances={uid: lying}))

    def check(asked: Asked) -> Reply:
        result = m.CheckResult(state="verified", receipt=gateway.receipt(uid, **dict(lie)))
        return said(m.CheckAnswer(epoch=gateway.epoch, items={uid: result}))

    gateway.replace = {"PUT /v1/studies": manifest, "POST /v1/check": check}
    run = quick(unit, gateway)
    assert run.send(items[:1]) == ({1: ""}, "")
    assert codes(run.verify(items[:1])[0]) == {1: "proof-pending"}  # the inbox said nothing
    assert codes(run.verify(items[:1])[0]) == {1: "receipt-false"}  # asked outright, it lies twice


@pytest.mark.fault(45)
def test_lying_inbox_with_a_receipt_of_another_key_proves_nothing(
    gateway: FakeGateway, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    gateway.tells_receipts = False
    run = quick(unit, gateway)
    assert run.send(items[:1]) == ({1: ""}, "")
    uid = items[0].sop_instance_uid
    forged = gateway.receipt(uid, key=Ed25519PrivateKey.generate())
    gateway.inbox.append(m.InboxEntry(seq=1, kind="receipt", sop_instance_uid=uid, receipt=forged))
    checked, failure = run.verify(items[:1])
    assert (codes(checked), failure) == ({1: "proof-pending"}, "")
    assert not checked[1].absent


def test_an_older_receipt_said_again_is_no_second_look(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    proved = dataclasses.replace(items[0], proved=True)
    assert run.send(items[:1]) == ({1: ""}, "")
    assert codes(run.verify(items[:1])[0]) == {1: ""}
    gateway.replace["POST /v1/check"] = lambda asked: said(
        m.CheckAnswer(epoch=gateway.epoch, items={proved.sop_instance_uid: m.CheckResult(state="verified")})
    )
    assert codes(run.verify([proved])[0]) == {1: "answer-unusable"}


@pytest.mark.parametrize(
    ("result", "code", "absent"),
    [
        (m.CheckResult(state="absent"), "absent", True),
        (m.CheckResult(state="unknown"), "proof-pending", False),
        (
            m.CheckResult(state="conflict", problem="Other pixels are there.", problem_code="x"),
            "refused-by-centre",
            False,
        ),
        (m.CheckResult(state="something new"), "answer-unusable", False),
    ],
)
def test_second_look_before_eviction_that_finds_no_proof(
    result: m.CheckResult, code: str, absent: bool, gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    proved = dataclasses.replace(items[0], proved=True)
    gateway.replace["POST /v1/check"] = lambda asked: said(
        m.CheckAnswer(epoch=gateway.epoch, items={proved.sop_instance_uid: result})
    )
    checked, failure = run.verify([proved])
    assert (codes(checked), checked[1].absent, failure) == ({1: code}, absent, "")


# --- what it says of parts --------------------------------------------------------------------------------------------


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "state",
    [m.PartState(offset=1 << 40), m.PartState(offset=0, complete=True)],
    ids=["more-than-there-is", "complete-without-data"],
)
def test_lying_offset_in_a_manifest_answer_accepts_nothing(
    state: m.PartState, gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    def manifest(asked: Asked) -> Reply | None:
        body = asked.decode(m.Manifest)
        instances = {one.sop_instance_uid: m.InstanceAnswer(state=m.InstanceState.ANNOUNCED) for one in body.instances}
        return said(
            m.ManifestAnswer(revision=1, parts={part.sha256: state for part in body.parts}, instances=instances)
        )

    gateway.replace["PUT /v1/studies"] = manifest
    assert run.send(items) == (dict.fromkeys((1, 2, 3), "answer-contradicts"), "")


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "reply", [at(1 << 40), at(0, complete=True)], ids=["more-than-was-sent", "complete-without-data"]
)
def test_lying_answer_to_an_append_accepts_nothing(
    reply: Reply, gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    gateway.replace["PATCH /v1/parts"] = lambda asked: reply
    assert run.send(items[:1]) == ({1: "answer-contradicts"}, "")


@pytest.mark.fault(49)
def test_answer_with_another_offset_is_followed(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    refused: list[str] = []

    def conflict(asked: Asked) -> Reply | None:
        """The first append of each part is taken to a third, and answered as a conflict."""
        name = asked.path.rsplit("/", 1)[1]
        if name in refused:
            return None
        refused.append(name)
        gateway.parts[name] += asked.body[: len(asked.body) // 3]
        return at(len(gateway.parts[name]), status=409)

    gateway.replace["PATCH /v1/parts"] = conflict
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    assert len(refused) == 4  # three of pixels, one shared header


@pytest.mark.fault(49)
def test_endless_conflicts_end_in_a_failure_of_the_instance(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    gateway.replace["PATCH /v1/parts"] = lambda asked: at(0, status=409)
    outcomes, failure = run.send(items[:1])
    assert (outcomes, failure) == ({1: "part-conflict"}, "")
    assert gateway.count("PATCH") < 30


@pytest.mark.fault(50)
def test_part_damaged_on_its_way_is_sent_again(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    damaged: list[str] = []

    def damage(asked: Asked) -> Reply | None:
        name = asked.path.rsplit("/", 1)[1]
        if damaged:
            return None
        damaged.append(name)
        return at(0, status=460)

    gateway.replace["PATCH /v1/parts"] = damage
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    assert sum(one.path.endswith(damaged[0]) for one in gateway.asked) == 2


@pytest.mark.fault(50)
def test_part_that_is_always_damaged_is_given_up_for_now(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    gateway.replace["PATCH /v1/parts"] = lambda asked: at(0, status=460)
    assert run.send(items[:1]) == ({1: "part-damaged"}, "")


@pytest.mark.fault(52)
def test_offset_that_went_back_after_a_crash_of_the_centre_is_followed(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    crashed: list[str] = []

    def crash(asked: Asked) -> Reply | None:
        """Takes half of it, dies before the answer, and remembers a quarter."""
        if crashed or len(asked.body) < 1000:
            return None
        name = asked.path.rsplit("/", 1)[1]
        crashed.append(name)
        gateway.parts[name] += asked.body[: len(asked.body) // 4]
        return Reply(cut=True)

    gateway.replace["PATCH /v1/parts"] = crash
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    assert gateway.count("PUT") == 2
    appends = [one for one in gateway.asked if one.path.endswith(crashed[0]) and one.method == "PATCH"]
    assert [int(one.headers["Upload-Offset"]) for one in appends] == [0, len(appends[0].body) // 4]


@pytest.mark.fault(52)
def test_part_whose_last_byte_was_the_last_deed_of_a_centre_is_completed_by_an_append_of_nothing(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    crashed: list[str] = []

    def crash(asked: Asked) -> Reply | None:
        """Takes all of it and dies before it looks at the whole."""
        if crashed or len(asked.body) < 1000:
            return None
        name = asked.path.rsplit("/", 1)[1]
        crashed.append(name)
        gateway.parts[name] += asked.body
        gateway.uncompleted.add(name)
        return Reply(cut=True)

    gateway.replace["PATCH /v1/parts"] = crash
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    appends = [one for one in gateway.asked if one.path.endswith(crashed[0]) and one.method == "PATCH"]
    whole = len(appends[0].body)
    assert [(int(one.headers["Upload-Offset"]), len(one.body)) for one in appends] == [(0, whole), (whole, 0)]


@pytest.mark.fault(53)
def test_centre_that_forgot_a_part_in_mid_transfer_is_told_of_it_anew(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    gateway.replace["PATCH /v1/parts"] = lambda asked: refusal(404, "not-found")
    assert run.send(items[:1]) == ({1: "part-forgotten"}, "")
    gateway.replace.clear()
    assert run.send(items[:1]) == ({1: ""}, "")


@pytest.mark.fault(53)
def test_centre_restored_from_a_backup_is_known_by_its_epoch_and_proves_everything_anew(
    gateway: FakeGateway, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    destination = unit.destination(gateway.url)
    run = Run(destination)
    assert run.send(items[:1]) == ({1: ""}, "")
    assert codes(run.verify(items[:1])[0]) == {1: ""}
    assert destination.epoch == gateway.epoch
    gateway.epoch = "second-life"
    gateway.instances.clear()
    gateway.parts.clear()
    assert destination.probe() is None
    assert destination.epoch == "second-life"
    checked, _ = run.verify(items[:1])
    assert (codes(checked), checked[1].absent) == ({1: "absent"}, True)
    # Also a new process knows it: what it remembers is what makes the centre see that it was restored.
    assert unit.destination(gateway.url).epoch in ("", "second-life")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_an_instance_that_the_centre_refuses_waits_for_a_person_in_the_centres_words(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    def manifest(asked: Asked) -> Reply:
        body = asked.decode(m.Manifest)
        refused = m.InstanceAnswer(
            state=m.InstanceState.REFUSED, problem="The PACS holds another picture.", problem_code="digest-mismatch"
        )
        return said(m.ManifestAnswer(revision=1, instances={one.sop_instance_uid: refused for one in body.instances}))

    gateway.replace["PUT /v1/studies"] = manifest
    sent: list[Any] = []
    failure = run.destination.send(items[:1], Attempt(threading.Event(), lambda a, b: None), sent.append)
    assert failure is None
    assert (sent[0].failure.kind, sent[0].failure.code) == (FailureKind.PERMANENT, "digest-mismatch")
    assert sent[0].failure.sentence == "The PACS holds another picture."
    checked, _ = run.verify(items[:1])
    assert codes(checked) == {1: "digest-mismatch"}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.fault(43)
def test_busy_gateway_with_retry_after_is_honoured_and_not_asked_again(
    status: int, gateway: FakeGateway, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    gateway.replace["PUT /v1/studies"] = lambda asked: refusal(status, "busy", Retry_After="17")
    destination = unit.destination(gateway.url)
    failure = destination.send(items, Attempt(threading.Event(), lambda a, b: None), lambda sent: None)
    assert failure is not None
    assert (failure.kind, failure.code, failure.retry_after_s) == (FailureKind.LINK, f"http-{status}", 17.0)
    assert gateway.count("PUT") == 1


@pytest.mark.fault(43)
def test_storm_of_server_faults_concerns_the_instances_and_is_no_hot_loop(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    gateway.replace["PATCH /v1/parts"] = lambda asked: refusal(500, "oops")
    assert run.send(items) == (dict.fromkeys((1, 2, 3), "http-500"), "")
    assert gateway.count("PATCH") <= 4
    gateway.replace["PUT /v1/studies"] = lambda asked: refusal(500, "oops")
    assert run.send(items) == (dict.fromkeys((1, 2, 3), "http-500"), "")
    assert gateway.count("PUT") == 2


@pytest.mark.fault(54)
def test_one_part_that_is_refused_does_not_hold_up_the_others(
    gateway: FakeGateway, run: Run, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    made = unit.encoder.encoded(items[1], lambda: False)
    assert made is not None
    gateway.replace[f"PATCH /v1/parts/{made.pixels_sha256}"] = lambda asked: refusal(413, "too-large")
    assert run.send(items) == ({1: "", 2: "http-413", 3: ""}, "")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (refusal(403, "revoked"), "unit-revoked"),
        (refusal(403, "lineage"), "unit-copied"),
        (refusal(401, "signature"), "session-refused"),
        (refusal(507, "no-room"), "http-507"),
        (Reply(404, b"nothing here", content_type="text/plain"), "not-gateway"),
        (Reply(200, b"<html>Welcome!</html>", content_type="text/html; charset=utf-8"), "portal"),
        (Reply(302, b"", {"Location": "http://elsewhere.example/"}), "redirected"),
        (Reply(511, b"sign in", content_type="text/plain"), "portal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.fault(38)
@pytest.mark.fault(39)
def test_a_gateway_that_does_not_let_the_unit_in_or_is_none_stops_the_link(
    reply: Reply, code: str, gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    for route in ("POST /v1/session", "PUT", "GET", "POST /v1/check"):
        gateway.replace[route] = lambda asked: reply
    assert run.send(items) == ({}, code)
    assert run.verify(items) == ({}, code)
    failure = run.destination.probe()
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.LINK, code)


@pytest.mark.fault(39)
def test_captive_portal_in_the_middle_of_a_body_is_no_answer_about_the_part(
    gateway: FakeGateway, run: Run, items: list[SendItem]
) -> None:
    gateway.replace["PATCH /v1/parts"] = lambda asked: Reply(200, b"<html>", content_type="text/html")
    assert run.send(items) == ({}, "portal")


def test_a_session_that_is_over_is_opened_anew_once(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    over: list[int] = []

    def once(asked: Asked) -> Reply | None:
        if over:
            return None
        over.append(1)
        return refusal(401, "session-over")

    gateway.replace["PUT /v1/studies"] = once
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    assert gateway.count("POST /v1/session/nonce") == 2


def test_a_unit_that_is_not_enrolled_says_so_and_sends_nothing(
    gateway: FakeGateway, tmp_path: Path, items: list[SendItem]
) -> None:
    stranger = EnrolledUnit(tmp_path / "stranger", gateway.unit(tmp_path / "other").encoder)
    destination = stranger.destination(gateway.url)
    failure = destination.probe()
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.LINK, "not-enrolled")
    assert Run(destination).send(items) == ({}, "not-enrolled")
    assert gateway.asked == []


# --- silence, cuts, strangers -----------------------------------------------------------------------------------------


@pytest.mark.fault(44)
@pytest.mark.parametrize("verb", ["send", "verify"])
def test_gateway_that_never_answers_is_given_up_by_the_monotonic_clock(
    verb: str, gateway: FakeGateway, unit: EnrolledUnit, items: list[SendItem]
) -> None:
    clock = ManualClock()

    def silent(asked: Asked) -> Reply | None:
        gateway.closing.wait()
        return None

    gateway.replace = {"PUT": silent, "GET": silent}
    run = Run(unit.destination(gateway.url, clock=clock))
    answers: list[tuple[object, str]] = []
    calling = threading.Thread(target=lambda: answers.append(getattr(run, verb)(items)))
    calling.start()
    until_ended(calling, clock)
    assert answers == [({}, "stalled")]


@pytest.mark.fault(44)
def test_lost_answers_are_made_up_for_by_saying_it_again(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    lost: set[str] = set()

    def lose_first(asked: Asked) -> Reply | None:
        """The request has its effect; its answer is lost, once for each kind."""
        kind = f"{asked.method} {asked.path.split('/')[2]}"
        if kind in lost:
            return None
        lost.add(kind)
        gateway._answer(asked)
        return Reply(cut=True)

    gateway.replace = {"PUT": lose_first, "PATCH": lose_first, "GET": lose_first, "POST": lose_first}
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    checked, failure = run.verify(items)
    assert (codes(checked), failure) == ({1: "", 2: "", 3: ""}, "")
    assert {"PUT studies", "PATCH parts", "POST session"} <= lost


def test_an_endless_answer_is_cut_off(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    gateway.replace["PUT"] = lambda asked: Reply(200, bytes(5 << 20))
    assert run.send(items[:1]) == ({1: "answer-too-large"}, "")


@pytest.mark.fault(51)
def test_decompression_bomb_in_an_answer_is_refused(gateway: FakeGateway, run: Run, items: list[SendItem]) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    gateway.replace["PUT"] = lambda asked: Reply(200, bomb, {"Content-Encoding": "zstd"})
    assert run.send(items[:1]) == ({1: "answer-too-large"}, "")
