"""DICOMweb peers that lie, refuse, stall or are somebody else: nothing becomes accepted or proved by them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from appliance.clock import SystemClock
from appliance.config import DicomwebDestination
from appliance.domain.failure import FailureKind
from appliance.domain.limits import LimitSet
from sync.adapters.base import Attempt, SendItem
from sync.adapters.dicomweb import Dicomweb
from tests.conformance.test_destinations import until_ended
from tests.support.clocks import ManualClock
from tests.support.files import small_chest
from tests.support.pacs import Run, codes, item_of
from tests.support.peers import Answer, HttpPeer, Request, qido_answer, stow_answer, wado_answer

Answering = Callable[[Request], Answer]


@pytest.fixture
def items(tmp_path: Path) -> list[SendItem]:
    """Three instances of one study; they share a request."""
    return [item_of(small_chest(tmp_path / f"{n}.dcm", 1, study_instance_uid="2.25.7", number=n), n) for n in (1, 2, 3)]


def adapter(
    peer: HttpPeer, work_dir: Path, settings: dict[str, str] | None = None, clock: ManualClock | None = None
) -> Dicomweb:
    table = DicomwebDestination(name="centre", url=peer.url, **settings or {})
    return Dicomweb(table, LimitSet(), clock or SystemClock(), work_dir)


def secret_settings(folder: Path) -> dict[str, str]:
    """For a service with a name, a password and an authority of its own; the files are made by the test."""
    return {"ca_file": str(folder / "ca.pem"), "username": "unit", "password_file": str(folder / "password")}


def uid(items: list[SendItem], number: int) -> str:
    return items[number - 1].sop_instance_uid


@pytest.mark.fault(46)
@pytest.mark.parametrize("status", [200, 202, 409])
def test_stow_answer_with_failed_sequence_and_missing_uids_counts_per_instance(
    status: int, items: list[SendItem], tmp_path: Path
) -> None:
    def answer(request: Request) -> Answer:
        if len(request.instances) == 3:
            return stow_answer({uid(items, 1): 0}, {uid(items, 2): 0xC000}, status)
        return stow_answer({}, {}, status)

    with HttpPeer(answer) as peer:
        outcomes, failure = Run(adapter(peer, tmp_path)).send(items)
    unnamed = "http-409" if status == 409 else "stow-unanswered"
    assert (outcomes, failure) == ({1: "", 2: "dimse-cxxx", 3: unnamed}, "")


@pytest.mark.fault(46)
def test_stow_answer_200_with_empty_failed_sequence_stores_nothing(items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(lambda request: stow_answer({}, {})) as peer:
        outcomes, failure = Run(adapter(peer, tmp_path)).send(items)
    assert (set(outcomes.values()), failure) == ({"stow-unanswered"}, "")


@pytest.mark.fault(46)
def test_stow_answer_202_without_body_stores_nothing(items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(lambda request: Answer(202)) as peer:
        outcomes, failure = Run(adapter(peer, tmp_path)).send(items)
    assert (set(outcomes.values()), failure) == ({"stow-unanswered"}, "")


def test_stow_warnings_and_duplicates_count_as_accepted(items: list[SendItem], tmp_path: Path) -> None:
    answer = stow_answer({uid(items, 1): 0xB000, uid(items, 2): 0xB007}, {uid(items, 3): 0x0111}, 202)
    with HttpPeer(lambda request: answer) as peer:
        assert Run(adapter(peer, tmp_path)).send(items) == ({1: "", 2: "", 3: ""}, "")


def test_stow_answer_in_xml_is_understood(items: list[SendItem], tmp_path: Path) -> None:
    def attribute(tag: str, inside: str) -> str:
        return f'<DicomAttribute tag="{tag}" vr="SQ">{inside}</DicomAttribute>'

    def value(tag: str, text: str) -> str:
        return f'<DicomAttribute tag="{tag}"><Value number="1">{text}</Value></DicomAttribute>'

    stored = f'<Item number="1">{value("00081155", uid(items, 1))}</Item>'
    failed = f'<Item number="1">{value("00081155", uid(items, 2))}{value("00081197", "42752")}</Item>'
    namespace = 'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'
    inside = attribute("00081199", stored) + attribute("00081198", failed)
    body = f"<NativeDicomModel {namespace}>{inside}</NativeDicomModel>".encode()
    with HttpPeer(lambda request: Answer(200, "application/dicom+xml", body)) as peer:
        outcomes, _ = Run(adapter(peer, tmp_path)).send(items)
    assert outcomes == {1: "", 2: "dimse-a7xx", 3: "stow-unanswered"}


BILLION_LAUGHS = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/dicom+json", b'{"00081199": '),
        ("application/dicom+json", b"[]"),
        ("application/dicom+json", b"[" * 100_000),
        ("application/dicom+xml", b"<NativeDicomModel>"),
        ("application/dicom+xml", BILLION_LAUGHS),
        ("text/plain", b"stored, thank you"),
        ("application/dicom+json", b'{"00081199": {"Value": [{"00081155": {"Value": [7]}}, 3, null]}}'),
    ],
    ids=["cut-json", "list", "deep-json", "cut-xml", "entities", "text", "wrong-types"],
)
def test_an_answer_that_cannot_be_understood_stores_nothing(
    content_type: str, body: bytes, items: list[SendItem], tmp_path: Path
) -> None:
    with HttpPeer(lambda request: Answer(200, content_type, body)) as peer:
        outcomes, failure = Run(adapter(peer, tmp_path)).send(items[:1])
    assert failure == ""
    assert outcomes[1] in ("answer-unusable", "stow-unanswered")


@pytest.mark.fault(39)
def test_captive_portal_html_with_200_is_no_receipt_and_no_item_failure(items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(lambda request: Answer(200, "text/html; charset=utf-8", b"<html>Welcome!</html>")) as peer:
        destination = adapter(peer, tmp_path)
        run = Run(destination)
        assert run.send(items) == ({}, "portal")
        checked, failure = run.verify(items)
        assert (checked, failure) == ({}, "portal")
        probed = destination.probe()
    assert probed is not None
    assert (probed.kind, probed.code) == (FailureKind.LINK, "portal")


@pytest.mark.fault(39)
def test_tls_interception_is_not_trusted_and_sends_no_password(items: list[SendItem], tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    (tmp_path / "ca.pem").write_bytes(ours.cert_pem.bytes())
    (tmp_path / "password").write_text("secret\n")
    context = _server_context(theirs)
    with HttpPeer(lambda request: stow_answer({uid(items, 1): 0}, {}), context) as peer:
        destination = adapter(peer, tmp_path, secret_settings(tmp_path))
        assert Run(destination).send(items) == ({}, "tls-untrusted")
        assert peer.requests == []


def test_tls_with_our_own_authority_works_and_sends_the_password(items: list[SendItem], tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "password").write_text("secret\n")
    with HttpPeer(lambda request: qido_answer([]), _server_context(authority)) as peer:
        assert adapter(peer, tmp_path, secret_settings(tmp_path)).probe() is None
        assert peer.requests[0].headers["Authorization"] == "Basic dW5pdDpzZWNyZXQ="


def _server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.mark.fault(39)
def test_a_redirect_is_not_followed(items: list[SendItem], tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    with HttpPeer(lambda request: qido_answer([])) as elsewhere:
        redirect = Answer(302, headers={"Location": elsewhere.url})
        with HttpPeer(lambda request: redirect) as peer:
            destination = adapter(peer, tmp_path, {"username": "unit", "password_file": str(tmp_path / "password")})
            assert Run(destination).send(items) == ({}, "redirected")
        assert elsewhere.requests == []


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "999999999999999999999"}, LimitSet().backoff_s_max),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 60.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:40:00 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_busy_destination_with_retry_after_is_honoured_and_capped(
    status: int, headers: dict[str, str], expected_s: float | None, items: list[SendItem], tmp_path: Path
) -> None:
    with HttpPeer(lambda request: Answer(status, "text/plain", b"later", headers)) as peer:
        failure = adapter(peer, tmp_path).send(items, Attempt(threading.Event(), lambda a, b: None), lambda sent: None)
        assert len(peer.requests) == 1
    assert failure is not None
    assert (failure.kind, failure.code, failure.retry_after_s) == (FailureKind.LINK, f"http-{status}", expected_s)


@pytest.mark.fault(43)
def test_server_faults_concern_the_instance_and_do_not_stop_the_others(items: list[SendItem], tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        if any(uid(items, 2).encode() in part for part in request.instances):
            return Answer(500, "text/plain", b"oops")
        return stow_answer({item.sop_instance_uid: 0 for item in items}, {})

    with HttpPeer(answer) as peer:
        assert Run(adapter(peer, tmp_path)).send(items) == ({1: "", 2: "http-500", 3: ""}, "")
        assert len(peer.requests) == 4


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "http-400"), (413, "http-413"), (415, "http-415"), (422, "http-4xx")],
)
def test_refusals_of_one_instance(status: int, code: str, items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(lambda request: Answer(status, "text/plain", b"no")) as peer:
        assert Run(adapter(peer, tmp_path)).send(items[:1]) == ({1: code}, "")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "http-401"),
        (403, "http-403"),
        (404, "not-dicomweb"),
        (502, "http-502"),
        (504, "http-504"),
        (511, "portal"),
    ],
)
def test_refusals_of_the_unit(status: int, code: str, items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(lambda request: Answer(status, "text/plain", b"no")) as peer:
        assert Run(adapter(peer, tmp_path)).send(items) == ({}, code)


@pytest.mark.fault(44)
@pytest.mark.parametrize("verb", ["send", "verify"])
def test_destination_that_never_answers_is_given_up_by_the_monotonic_clock(
    verb: str, items: list[SendItem], tmp_path: Path
) -> None:
    clock = ManualClock()
    answers: list[tuple[object, str]] = []
    with HttpPeer(lambda request: peer.wait() or Answer()) as peer:  # type: ignore[func-returns-value] # wait, then answer
        run = Run(adapter(peer, tmp_path, clock=clock))
        calling = threading.Thread(target=lambda: answers.append(getattr(run, verb)(items)))
        calling.start()
        until_ended(calling, clock)
    assert answers == [({}, "stalled")]


@pytest.mark.fault(44)
def test_destination_that_drips_its_answer_is_given_up_by_the_rate_floor(items: list[SendItem], tmp_path: Path) -> None:
    clock = ManualClock()
    seconds_a_piece = 5.0

    def drip() -> Iterator[bytes]:
        while not peer.closing.is_set():
            clock.advance(seconds_a_piece)  # never long enough for a stall, for ever too slow
            yield b" "
            peer.closing.wait(0.01)

    with HttpPeer(lambda request: Answer(200, pieces=drip())) as peer:
        assert Run(adapter(peer, tmp_path, clock=clock)).send(items) == ({}, "stalled")


def test_an_endless_answer_is_cut_off(items: list[SendItem], tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while not peer.closing.is_set():
            yield bytes(1 << 16)

    with HttpPeer(lambda request: Answer(200, pieces=endless())) as peer:
        assert Run(adapter(peer, tmp_path)).send(items[:1]) == ({1: "answer-too-large"}, "")


class LyingStore:
    """Says yes to everything; ``held`` is what it gives back."""

    def __init__(self, held: dict[str, bytes], *, knows_lists: bool = True) -> None:
        self.held = held
        self.knows_lists = knows_lists
        self.read_count = 0

    def __call__(self, request: Request) -> Answer:
        if request.method == "POST":
            return stow_answer({uid_in(part): 0 for part in request.instances}, {})
        if "/series/" in request.path:
            self.read_count += 1
            wanted = request.path.rsplit("/", 1)[-1]
            return wado_answer(self.held[wanted]) if wanted in self.held else Answer(404, "text/plain", b"gone")
        wanted_uids = request.path.rsplit("SOPInstanceUID=", 1)[-1].replace("%2C", ",").split(",")
        if len(wanted_uids) > 1 and not self.knows_lists:
            return Answer(204)
        return qido_answer([each for each in wanted_uids if each in self.held])


def uid_in(part10: bytes) -> str:
    start = part10.index(b"\x08\x00\x18\x00UI") + 8
    return part10[start : start + part10[start - 2]].rstrip(b"\0").decode()


@pytest.mark.fault(45)
def test_lying_200_with_nothing_stored_is_absent(items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(LyingStore({})) as peer:
        run = Run(adapter(peer, tmp_path))
        assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
        checked, failure = run.verify(items)
    assert (codes(checked), failure) == ({1: "absent", 2: "absent", 3: "absent"}, "")
    assert all(each.absent for each in checked.values())


@pytest.mark.fault(45)
def test_lying_200_with_other_bytes_is_a_mismatch_after_a_second_reading(items: list[SendItem], tmp_path: Path) -> None:
    held = {item.sop_instance_uid: item.path.read_bytes() for item in items}
    held[uid(items, 2)] = held[uid(items, 2)][:-1] + b"\xff"
    held[uid(items, 3)] = items[0].path.read_bytes()
    store = LyingStore(held)
    with HttpPeer(store) as peer:
        checked, failure = Run(adapter(peer, tmp_path)).verify(items)
    assert (codes(checked), failure) == ({1: "", 2: "digest-mismatch", 3: "digest-mismatch"}, "")
    assert store.read_count == 5


def test_one_damaged_reading_calls_no_person(items: list[SendItem], tmp_path: Path) -> None:
    good = items[0].path.read_bytes()
    store = LyingStore({uid(items, 1): good[:-1] + b"\xff"})

    def answer(request: Request) -> Answer:
        given = store(request)
        if "/series/" in request.path:
            store.held[uid(items, 1)] = good
        return given

    with HttpPeer(answer) as peer:
        checked, _ = Run(adapter(peer, tmp_path)).verify(items[:1])
    assert codes(checked) == {1: ""}


@pytest.mark.fault(45)
def test_lying_listing_without_the_bytes_behind_it_is_absent(items: list[SendItem], tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        return Answer(404, "text/plain", b"") if "/series/" in request.path else qido_answer([uid(items, 1)])

    with HttpPeer(answer) as peer:
        checked, _ = Run(adapter(peer, tmp_path)).verify(items[:1])
    assert (codes(checked), checked[1].absent) == ({1: "absent"}, True)


def test_a_service_that_knows_no_lists_of_uids_is_asked_one_by_one(items: list[SendItem], tmp_path: Path) -> None:
    held = {item.sop_instance_uid: item.path.read_bytes() for item in items[:2]}
    with HttpPeer(LyingStore(held, knows_lists=False)) as peer:
        checked, _ = Run(adapter(peer, tmp_path)).verify(items)
    assert codes(checked) == {1: "", 2: "", 3: "absent"}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, 'multipart/related; type="application/dicom"; boundary=edge', b"--edge\r\n\r\ncut"),
        Answer(200, 'multipart/related; type="application/dicom"; boundary=edge', b"--edge--"),
        Answer(200, "application/json", b"{}"),
        Answer(200, 'multipart/related; type="application/dicom"', b"no boundary"),
        Answer(200, "application/dicom", b"zip", {"Content-Encoding": "gzip"}),
    ],
    ids=["cut", "empty", "json", "no-boundary", "gzip"],
)
def test_a_reading_that_is_no_whole_instance_proves_nothing(
    answer: Answer, items: list[SendItem], tmp_path: Path
) -> None:
    def answering(request: Request) -> Answer:
        return answer if "/series/" in request.path else qido_answer([uid(items, 1)])

    with HttpPeer(answering) as peer:
        checked, failure = Run(adapter(peer, tmp_path)).verify(items[:1])
    assert (codes(checked), failure) == ({1: "answer-unusable"}, "")
    assert list((tmp_path).glob("readback-*")) == []


def test_a_stored_file_that_vanished_is_this_units_own_fault(items: list[SendItem], tmp_path: Path) -> None:
    items[1].path.unlink()
    with HttpPeer(lambda request: stow_answer({item.sop_instance_uid: 0 for item in items}, {})) as peer:
        assert Run(adapter(peer, tmp_path)).send(items) == ({1: "", 2: "file-unreadable", 3: ""}, "")


def test_a_missing_password_file_is_a_matter_of_settings(items: list[SendItem], tmp_path: Path) -> None:
    with HttpPeer(lambda request: qido_answer([])) as peer:
        destination = adapter(peer, tmp_path, {"username": "unit", "password_file": str(tmp_path / "none")})
        failure = destination.probe()
    assert failure is not None and failure.code == "settings"


def test_an_unknown_host_is_named_as_such(tmp_path: Path) -> None:
    table = DicomwebDestination(name="centre", url="http://nowhere.invalid/dicom-web")
    failure = Dicomweb(table, LimitSet(), SystemClock(), tmp_path).probe()
    assert failure is not None and failure.code == "name-unknown"
