"""Whoever has a session, or only the address, and means harm: told so in a document, and nobody else notices."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sync.wire import messages as m
from tests.gateway.rig import Gateway, Pacs, Unit, picture_in_parts, problem, running_gateway, sha256

SLOW_COUNT = 200
TRICKS = (
    "..",
    "../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/keys/receipt.pem",
    "1.2%00.3",
    "1.2%0d%0aX-Evil:%20yes",
    "....",
    "1.2/../../x",
    "9" * 65,
    "%ff%fe",
    "1.2;rm",
    "%252e%252e%252f",
)


def files_of(gateway: Gateway) -> set[str]:
    return {str(path.relative_to(gateway.folder)) for path in gateway.folder.rglob("*") if path.is_file()}


@pytest.mark.fault(62)
@pytest.mark.parametrize("trick", TRICKS)
def test_path_trick_in_a_name_reaches_nothing(unit: Unit, gateway: Gateway, trick: str) -> None:
    before = files_of(gateway)
    for method, path in (("PUT", f"/v1/studies/{trick}/manifest"), ("PATCH", f"/v1/parts/{trick}")):
        headers = {**unit.auth, "Upload-Offset": "0", "Upload-Complete": "?1"}
        answer = unit.http.request(method, path, content=b"{}", headers=headers)
        assert answer.status_code in (404, 405), answer.text
        problem(answer)
        assert "X-Evil" not in answer.headers
    assert files_of(gateway) - before <= {name for name in files_of(gateway) if "gateway.db" in name}


@pytest.mark.fault(62)
@pytest.mark.parametrize("field", ["sop_instance_uid", "series_instance_uid", "sop_class_uid", "transfer_syntax_uid"])
@pytest.mark.parametrize("trick", ["../../etc/passwd", "1.2\n", "", "1" * 65, "1.2/3", "<script>"])
def test_path_trick_in_a_manifest_is_no_manifest(unit: Unit, tmp_path: Path, field: str, trick: str) -> None:
    picture = picture_in_parts(tmp_path, 2_000, seed=1)
    honest = msgspec.to_builtins(m.Manifest(revision=1, expected_instance_count=1, instances=(picture.instance,)))
    honest["instances"][0][field] = trick
    body = msgspec.json.encode(honest)
    answer = unit.http.put(f"/v1/studies/{picture.study_uid}/manifest", content=body, headers=unit.auth)
    assert answer.status_code == 400
    assert "passwd" not in problem(answer)["detail"], "what was sent is not said back"


def test_token_of_another_unit_opens_nothing_of_this_one(unit: Unit, other: Unit, pacs: Pacs, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, 5_000, seed=2)
    unit.announce(picture, study=m.StudyInfo(patient_name="SECRET^NAME"))
    name = picture.instance.pixels
    for answer in (
        other.append(name, picture.pixels, 0, complete=True),
        other.http.delete(f"/v1/parts/{name}", headers=other.auth),
        other.head(name),
    ):
        assert answer.status_code == 404
        assert "SECRET" not in answer.text
    (found,) = other.check(picture).items.values()
    assert found.receipt is None
    unit.send(picture)
    assert unit.wait_for_entries(1)[0].kind == "receipt"
    assert [entry.kind for entry in other.inbox().entries] == []
    assert pacs.held[picture.uid] == picture.file


def test_replayed_append_changes_nothing(unit: Unit, pacs: Pacs, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, 9_000, seed=3)
    unit.announce(picture)
    name, half = picture.instance.pixels, len(picture.pixels) // 2
    assert unit.append(name, picture.pixels[:half], 0).status_code == 204
    for content in (picture.pixels[:half], bytes(half)):
        again = unit.append(name, content, 0)
        assert (again.status_code, problem(again)["expected-offset"]) == (409, half)
    assert unit.append(name, picture.pixels[half:], half, complete=True).status_code == 204
    for offset, content in ((0, picture.pixels), (half, bytes(10)), (len(picture.pixels), b"more")):
        late = unit.append(name, content, offset, complete=True)
        assert late.status_code in (400, 409)
        problem(late)
    unit.send_part(picture.header)
    assert unit.wait_for_entries(1)[0].kind == "receipt"
    assert pacs.held[picture.uid] == picture.file


@pytest.mark.parametrize("lie", ["smaller", "larger", "other bytes"])
def test_manifest_that_lies_of_a_part_costs_only_that_part(unit: Unit, tmp_path: Path, lie: str) -> None:
    picture = picture_in_parts(tmp_path, 5_000, seed=4 + len(lie))
    real = picture.pixels
    size_bytes = {"smaller": len(real) - 10, "larger": len(real) + 10, "other bytes": len(real)}[lie]
    infos = tuple(
        msgspec.structs.replace(one, size_bytes=size_bytes) if one.kind is m.PartKind.PIXELS else one
        for one in picture.infos
    )
    manifest = m.Manifest(revision=1, expected_instance_count=1, instances=(picture.instance,), parts=infos)
    path = f"/v1/studies/{picture.study_uid}/manifest"
    assert unit.http.put(path, content=msgspec.json.encode(manifest), headers=unit.auth).status_code == 200
    content = bytes(len(real)) if lie == "other bytes" else real
    answer = unit.append(picture.instance.pixels, content, 0, complete=True)
    assert answer.status_code in (400, 413, 460) if lie != "larger" else answer.status_code in (204, 400, 460)
    assert answer.headers.get("Upload-Complete") != "?1"
    assert unit.inbox().head == 0


def test_manifest_of_too_many_is_refused_whole(unit: Unit, gateway: Gateway, tmp_path: Path) -> None:
    count = gateway.config.gateway.limits.instance_count_max + 1
    one = picture_in_parts(tmp_path, 1_000, seed=9).instance
    many = tuple(
        msgspec.structs.replace(one, sop_instance_uid=f"1.2.{n}", sha256=sha256(b"%d" % n)) for n in range(count)
    )
    body = msgspec.json.encode(m.Manifest(revision=1, expected_instance_count=count, instances=many))
    answer = unit.http.put("/v1/studies/1.2.77/manifest", content=body, headers=unit.auth)
    assert answer.status_code == 413
    problem(answer)
    assert gateway.query("SELECT count(*) FROM study WHERE study_instance_uid = '1.2.77'") == [(0,)]


# --- many and slow -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def besieged(pacs: Pacs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("besieged"), pacs.peer.url) as started:
        yield started


@pytest.mark.fault(60)
def test_two_hundred_slow_clients_leave_an_honest_unit_its_service(
    besieged: Gateway, pacs: Pacs, tmp_path: Path
) -> None:
    """Half drip a header, half an append of one unit; beyond a bound they are told so."""
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(Unit(besieged.url, "slow")).join(besieged)
        honest = stack.enter_context(Unit(besieged.url, "honest")).join(besieged)
        dripped = picture_in_parts(tmp_path / "slow", 400_000, seed=20)
        slow.announce(dripped)
        append = (
            f"PATCH /v1/parts/{dripped.instance.pixels} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow.token}\r\n"
            "Upload-Offset: 0\r\nUpload-Complete: ?0\r\nContent-Type: application/partial-upload\r\n"
            f"Content-Length: {len(dripped.pixels)}\r\n\r\n"
        ).encode()
        header = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: "
        held: list[socket.socket] = []
        for number in range(SLOW_COUNT):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", besieged.port), timeout=60))
            one.sendall(append + b"x" if number % 2 else header)
            held.append(one)
        for number in range(3):
            picture = picture_in_parts(tmp_path / f"honest-{number}", 60_000, seed=30 + number)
            honest.send(picture)
            for one in held:
                with contextlib.suppress(OSError):
                    one.sendall(b"x")
            assert honest.wait_for_entries(number + 1)[number].kind == "receipt"
            assert pacs.held[picture.uid] == picture.file
    with Unit(besieged.url, "after") as after:
        assert after.http.get("/v1/health").status_code == 200
    assert besieged.process is not None and besieged.process.poll() is None
    text = besieged.log_text()
    assert slow.token not in text and "fault" not in text
