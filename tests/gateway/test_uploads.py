"""Parts over bad links: what has arrived is kept, offsets decide, and the digest of the whole has the last word."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from sync.wire import messages as m
from tests.gateway.raw import RawAppend
from tests.gateway.rig import Gateway, Pacs, Unit, b64, problem, running_gateway, sha256
from tests.support.world import wait_for

MISMATCH = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
COMPLETED = "https://iana.org/assignments/http-problem-types#completed-upload"
INCONSISTENT = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"


def some_bytes(count: int, seed: int) -> bytes:
    import random

    return random.Random(seed).randbytes(count)


def create(unit: Unit, data: bytes, **headers: str) -> str:
    """A part of these bytes, created as the draft has it; its name."""
    fields = {
        "Upload-Complete": "?0",
        "Upload-Length": str(len(data)),
        "Repr-Digest": f"sha-256=:{b64(bytes.fromhex(sha256(data)))}:",
        **unit.auth,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    answer = unit.http.post("/v1/parts", headers=fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/parts/{sha256(data)}"
    assert "max-size=" in answer.headers["Upload-Limit"]
    return sha256(data)


def test_part_in_three_appends_is_complete_with_the_last(unit: Unit) -> None:
    data = some_bytes(300_000, 1)
    name = create(unit, data)
    for start in range(0, 300_000, 100_000):
        answer = unit.append(name, data[start : start + 100_000], start, complete=start == 200_000)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(start + 100_000))
    assert answer.headers["Upload-Complete"] == "?1"
    told = unit.head(name)
    assert (told.headers["Upload-Offset"], told.headers["Upload-Complete"]) == ("300000", "?1")
    assert (told.headers["Upload-Length"], told.headers["Cache-Control"]) == ("300000", "no-store")


def test_chunked_append_is_taken(unit: Unit) -> None:
    data = some_bytes(200_000, 2)
    name = create(unit, data)
    answer = unit.append(name, (data[i : i + 7_000] for i in range(0, len(data), 7_000)), complete=True)
    assert answer.headers["Upload-Complete"] == "?1"


@pytest.mark.fault(49)
def test_duplicated_reordered_and_overlapping_appends_get_the_true_offset(unit: Unit) -> None:
    data = some_bytes(90_000, 3)
    name = create(unit, data)
    assert unit.append(name, data[:30_000]).status_code == 204
    for offset, piece in ((0, data[:30_000]), (60_000, data[60_000:]), (15_000, data[15_000:45_000])):
        answer = unit.append(name, piece, offset)
        document = problem(answer)
        assert (answer.status_code, document["type"]) == (409, MISMATCH)
        assert (document["expected-offset"], document["provided-offset"]) == (30_000, offset)
        assert answer.headers["Upload-Offset"] == "30000"
    assert unit.append(name, data[30_000:], 30_000, complete=True).headers["Upload-Complete"] == "?1"
    repeated = unit.append(name, data[30_000:], 30_000, complete=True)
    assert (repeated.status_code, problem(repeated)["type"]) == (400, COMPLETED)
    assert repeated.headers["Upload-Complete"] == "?1"


@pytest.mark.fault(52)
@pytest.mark.parametrize("asks", [True, False], ids=["asks", "appends nothing"])
def test_part_is_completed_though_the_gateway_died_after_its_last_byte(pacs: Pacs, tmp_path: Path, asks: bool) -> None:
    data = some_bytes(40_000, 11)
    with running_gateway(tmp_path / "g", pacs.peer.url) as gateway, Unit(gateway.url) as unit:
        unit.join(gateway)
        name = create(unit, data)
        assert unit.append(name, data, complete=True).headers["Upload-Complete"] == "?1"
        gateway.kill()
        with contextlib.closing(sqlite3.connect(gateway.config.database_path or "")) as database, database:
            database.execute("UPDATE part SET complete = 0, completed_at = NULL")
        gateway.start()
        answer = unit.head(name) if asks else unit.append(name, b"", len(data))
        assert (answer.headers["Upload-Offset"], answer.headers["Upload-Complete"]) == ("40000", "?1")
        assert gateway.query("SELECT complete, size_bytes FROM part") == [(1, 40_000)]


@pytest.mark.fault(50)
def test_part_whose_bytes_were_damaged_starts_again_at_zero(gateway: Gateway, unit: Unit) -> None:
    data = some_bytes(50_000, 4)
    name = create(unit, data)
    damaged = bytes([data[0] ^ 1]) + data[1:]
    answer = unit.append(name, damaged, complete=True)
    assert (answer.status_code, problem(answer)["expected-offset"]) == (460, 0)
    assert unit.offset(name) == 0
    assert gateway.query(f"SELECT bad_count FROM part WHERE sha256 = '{name}'") == [(1,)]
    assert unit.append(name, data, complete=True).status_code == 204


@pytest.mark.fault(50)
def test_damaged_append_that_says_its_digest_costs_only_itself(unit: Unit) -> None:
    data = some_bytes(400_000, 5)
    name = create(unit, data)
    assert unit.append(name, data[:200_000]).status_code == 204
    said = f"sha-256=:{b64(bytes.fromhex(sha256(data[200_000:])))}:"
    damaged = data[200_000:-1] + b"?"
    answer = unit.append(name, damaged, 200_000, complete=True, Content_Digest=said)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (460, "200000")
    assert unit.offset(name) == 200_000
    assert unit.append(name, data[200_000:], 200_000, complete=True, Content_Digest=said).status_code == 204


@pytest.mark.parametrize(
    ("headers", "content", "status", "type_"),
    [
        ({"Upload_Length": "11"}, b"0123456789", 400, INCONSISTENT),
        ({}, b"0123456789a", 400, INCONSISTENT),
        ({"Upload_Complete": "?1"}, b"012345678", 400, INCONSISTENT),
        ({"Upload_Complete": "yes"}, b"0", 400, "urn:qafila:problem:bad-request"),
        ({"Upload_Offset": "-1"}, b"0", 400, "urn:qafila:problem:bad-request"),
        ({"Upload_Offset": "0x0"}, b"0", 400, "urn:qafila:problem:bad-request"),
        ({"Content_Encoding": "gzip"}, b"0", 400, "urn:qafila:problem:bad-request"),
    ],
)
def test_what_does_not_add_up_is_refused_and_nothing_kept(
    unit: Unit, headers: dict[str, str], content: bytes, status: int, type_: str
) -> None:
    name = create(unit, b"0123456789")
    answer = unit.append(name, content, 0, complete=False, **headers)
    assert (answer.status_code, problem(answer)["type"]) == (status, type_)
    assert unit.offset(name) == 0


def test_chunked_append_beyond_the_length_is_refused(unit: Unit) -> None:
    name = create(unit, b"0123456789")
    answer = unit.append(name, iter([b"01234", b"567890123"]))
    assert problem(answer)["type"] == INCONSISTENT
    assert unit.offset(name) <= 10


def test_length_may_become_known_with_the_last_append(unit: Unit) -> None:
    data = some_bytes(20_000, 6)
    fields = {"Upload-Complete": "?0", "Repr-Digest": f"sha-256=:{b64(bytes.fromhex(sha256(data)))}:", **unit.auth}
    assert unit.http.post("/v1/parts", headers=fields).status_code == 201
    assert "Upload-Length" not in unit.head(sha256(data)).headers
    assert unit.append(sha256(data), iter([data[:5_000]])).status_code == 204
    answer = unit.append(sha256(data), iter([data[5_000:]]), 5_000, complete=True)
    assert (answer.headers["Upload-Complete"], answer.headers["Upload-Length"]) == ("?1", "20000")


def test_whole_part_with_its_creation_and_an_empty_one(unit: Unit) -> None:
    for data in (some_bytes(70_000, 7), b""):
        digest = f"sha-256=:{b64(bytes.fromhex(sha256(data)))}:"
        fields = {"Upload-Complete": "?1", "Repr-Digest": digest, **unit.auth}
        answer = unit.http.post("/v1/parts", headers=fields, content=data)
        assert (answer.status_code, answer.headers["Upload-Complete"]) == (201, "?1")
        again = unit.http.post("/v1/parts", headers=fields, content=data)
        assert (again.status_code, again.headers["Upload-Complete"]) == (201, "?1")


def test_creation_tells_where_to_resume_before_the_body_is_over(gateway: Gateway, unit: Unit) -> None:
    import h11

    data = some_bytes(100_000, 8)
    digest = f"sha-256=:{b64(bytes.fromhex(sha256(data)))}:"
    with RawAppend(unit, gateway.port, "0" * 64, 0, 0) as raw:
        raw.answer()
        client = h11.Connection(h11.CLIENT)
        fields = {
            "Host": "x",
            "Upload-Complete": "?1",
            "Repr-Digest": digest,
            "Content-Length": str(len(data)),
            "Upload-Draft-Interop-Version": "6",
            **unit.auth,
        }
        request = h11.Request(method="POST", target="/v1/parts", headers=list(fields.items()))
        raw.socket.sendall((client.send(request) or b"") + (client.send(h11.Data(data=data[:60_000])) or b""))
        while (event := client.next_event()) is h11.NEED_DATA:
            client.receive_data(raw.socket.recv(65536))
        assert isinstance(event, h11.InformationalResponse)
        assert event.status_code == 104
        assert dict(event.headers)[b"location"] == f"/v1/parts/{sha256(data)}".encode()
        kept = f"SELECT offset_bytes FROM part WHERE sha256 = '{sha256(data)}'"
        wait_for(lambda: gateway.query(kept) == [(60_000,)], "what has arrived, while the rest is still to come")
    assert unit.offset(sha256(data)) == 60_000


def test_creation_needs_a_digest(unit: Unit) -> None:
    for digest in ("", "sha-256=:AAAA:", "sha-512=:" + "A" * 44 + ":", "md5=:" + "A" * 44 + ":"):
        headers = {"Upload-Complete": "?0", "Repr-Digest": digest, **unit.auth}
        answer = unit.http.post("/v1/parts", headers=headers)
        assert answer.status_code == 400
        assert "Repr-Digest" in problem(answer)["detail"]


def test_clients_may_ask_for_limits_first(unit: Unit) -> None:
    for path in ("/v1/parts", "/v1/parts/" + "0" * 64):
        answer = unit.http.options(path)
        assert answer.headers["Accept-Patch"] == "application/partial-upload"
        assert "max-append-size=" in answer.headers["Upload-Limit"]


def test_cancelled_upload_is_gone_for_its_unit(unit: Unit, other: Unit) -> None:
    data = some_bytes(40_000, 9)
    name = create(unit, data)
    create(other, data)
    assert unit.append(name, data[:20_000]).status_code == 204
    assert unit.http.delete(f"/v1/parts/{name}", headers=unit.auth).status_code == 204
    assert unit.head(name).status_code == 404
    assert other.offset(name) == 20_000, "another unit goes on with it"
    assert other.http.delete(f"/v1/parts/{name}", headers=other.auth).status_code == 204
    create(other, data)
    assert other.offset(name) == 0


# --- cuts ----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(8)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_connection_that_breaks_keeps_every_byte_that_had_arrived(gateway: Gateway, unit: Unit, reset: bool) -> None:
    data = some_bytes(500_000, 10 + reset)
    name = create(unit, data)
    with RawAppend(unit, gateway.port, name, 0, len(data)) as raw:
        raw.send(data[:333_333])
        if reset:  # what the peer's kernel has not handed over is lost by a reset, so wait for it
            wait_for(lambda: _arrived(gateway, name) == 333_333, "the bytes to arrive")
            raw.reset()
    wait_for(lambda: _arrived(gateway, name) == 333_333, "the bytes to be kept")
    assert unit.append(name, data[333_333:], 333_333, complete=True).headers["Upload-Complete"] == "?1"


def _arrived(gateway: Gateway, name: str) -> int:
    ((offset,),) = gateway.query(f"SELECT offset_bytes FROM part WHERE sha256 = '{name}'")
    return int(offset)


@pytest.mark.fault(41)
def test_slow_client_is_kept_as_it_drips(gateway: Gateway, unit: Unit) -> None:
    data = some_bytes(5_000, 12)
    name = create(unit, data)
    with RawAppend(unit, gateway.port, name, 0, len(data)) as raw:
        for start in range(0, 4_000, 1_000):
            raw.send(data[start : start + 1_000])
            wait_for(lambda start=start: _arrived(gateway, name) == start + 1_000, "the drip")  # type: ignore[misc]
        raw.send(data[4_000:])
        assert raw.answer()[0] == 204


def test_newer_append_takes_over_from_a_dead_one(gateway: Gateway, unit: Unit) -> None:
    data = some_bytes(100_000, 13)
    name = create(unit, data)
    with RawAppend(unit, gateway.port, name, 0, len(data)) as dead:
        dead.send(data[:40_000])
        wait_for(lambda: _arrived(gateway, name) == 40_000, "its bytes")
        assert unit.append(name, data[40_000:], 40_000, complete=True).headers["Upload-Complete"] == "?1"
        status, headers = dead.answer()
        assert (status, headers["upload-offset"]) == (409, "40000")


def test_asking_for_the_offset_ends_a_dead_append_and_counts_its_bytes(gateway: Gateway, unit: Unit) -> None:
    data = some_bytes(100_000, 14)
    name = create(unit, data)
    with RawAppend(unit, gateway.port, name, 0, len(data)) as dead:
        dead.send(data[:12_345])
        wait_for(lambda: _arrived(gateway, name) == 12_345, "its bytes")
        assert unit.offset(name) == 12_345
        assert dead.answer()[0] == 409


def test_manifest_tells_what_a_running_append_has_brought_without_ending_it(gateway: Gateway, unit: Unit) -> None:
    data = some_bytes(100_000, 15)
    name = sha256(data)
    info = m.PartInfo(sha256=name, size_bytes=len(data), kind=m.PartKind.PIXELS)
    manifest = m.Manifest(revision=1, parts=(info,))
    import msgspec

    def offset() -> int:
        answer = unit.http.put("/v1/studies/1.2/manifest", content=msgspec.json.encode(manifest), headers=unit.auth)
        return msgspec.json.decode(answer.content, type=m.ManifestAnswer).parts[name].offset

    assert offset() == 0
    with RawAppend(unit, gateway.port, name, 0, len(data)) as raw:
        raw.send(data[:50_000])
        wait_for(lambda: offset() == 50_000, "the offset")
        raw.send(data[50_000:])
        status, headers = raw.answer()
        assert (status, headers["upload-complete"]) == (204, "?1")


@pytest.mark.fault(52)
def test_offset_may_be_lower_after_a_crash_and_the_client_follows_it(pacs: Pacs, tmp_path: Path) -> None:
    limits = {"flush_s_max": 3600, "flush_bytes_min": 200_000}
    with running_gateway(tmp_path, pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)
        data = some_bytes(2_000_000, 16)
        name = create(unit, data)
        assert unit.append(name, data[:300_000]).status_code == 204
        with RawAppend(unit, started.port, name, 300_000, 1_700_000) as raw:
            raw.send(data[300_000:450_000])
            started.kill()
        started.start()
        offset = unit.offset(name)
        assert 300_000 <= offset <= 450_000, "what was confirmed is kept"
        assert unit.append(name, data[offset:], offset, complete=True).headers["Upload-Complete"] == "?1"


@pytest.mark.fault(52)
def test_chunk_that_the_disk_lost_is_found_by_the_digest(pacs: Pacs, tmp_path: Path) -> None:
    with running_gateway(tmp_path, pacs.peer.url) as started, Unit(started.url) as unit:
        unit.join(started)
        data = some_bytes(100_000, 17)
        name = create(unit, data)
        assert unit.append(name, data[:60_000]).status_code == 204
        started.kill()
        for chunk in (tmp_path / "data" / "parts" / name[:2]).iterdir():
            chunk.unlink()
        started.start()
        answer = unit.append(name, data[60_000:], 60_000, complete=True)
        assert answer.status_code == 460
        assert unit.append(name, data, complete=True).status_code == 204


def test_gateway_that_is_asked_to_end_keeps_what_has_arrived(pacs: Pacs, tmp_path: Path) -> None:
    with running_gateway(tmp_path, pacs.peer.url) as started, Unit(started.url) as unit:
        unit.join(started)
        data = some_bytes(400_000, 18)
        name = create(unit, data)
        with RawAppend(unit, started.port, name, 0, len(data)) as raw:
            raw.send(data[:100_001])
            wait_for(lambda: _arrived(started, name) > 0, "the first flush")
            assert started.stop() == 0
            status, headers = raw.answer()
            assert (status, headers["upload-offset"], headers["retry-after"]) == (503, "100001", "1")
        started.start()
        assert unit.offset(name) == 100_001


# --- bounds --------------------------------------------------------------------------------------------------------


def test_refusal_comes_before_the_body_is_read(gateway: Gateway, unit: Unit) -> None:
    limit = gateway.config.gateway.limits.append_bytes_max
    name = create(unit, b"x" * 1000)
    for headers, content_bytes, expected in (
        ({}, limit + 1, 413),
        ({"Upload_Offset": "5"}, 1_000_000, 409),
        ({"Authorization": "Bearer no"}, 1_000_000, 401),
        ({}, 1_000_000, 400),
    ):
        with RawAppend(unit, gateway.port, name, 0, content_bytes, **headers) as raw:
            status, answered = raw.answer()
            assert (status, answered["connection"]) == (expected, "close")
    with RawAppend(unit, gateway.port, name, 5, 1000) as raw:
        status, answered = raw.answer()
        assert status == 409
        assert "connection" not in answered, "a small body is read past, and the connection goes on"


def test_part_larger_than_allowed_is_refused(unit: Unit) -> None:
    headers = {"Upload-Complete": "?0", "Upload-Length": str(1 << 40), **unit.auth}
    headers["Repr-Digest"] = f"sha-256=:{b64(bytes(32))}:"
    answer = unit.http.post("/v1/parts", headers=headers)
    assert (answer.status_code, "max-size=" in answer.headers["Upload-Limit"]) == (413, True)


@pytest.mark.fault(54)
def test_full_centre_says_so_and_takes_nothing(pacs: Pacs, tmp_path: Path) -> None:
    limits = {"free_bytes_floor": 1 << 60}
    with running_gateway(tmp_path, pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)
        headers = {"Upload-Complete": "?0", "Repr-Digest": f"sha-256=:{b64(bytes(32))}:", **unit.auth}
        answer = unit.http.post("/v1/parts", headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (507, "60")
        assert "safe" in problem(answer)["detail"]


def test_unit_has_a_bounded_number_of_appends(pacs: Pacs, tmp_path: Path) -> None:
    limits = {"append_count_per_unit_max": 2}
    with running_gateway(tmp_path, pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)
        datas = [some_bytes(100_000, 30 + i) for i in range(3)]
        names = [create(unit, data) for data in datas]
        with (
            RawAppend(unit, started.port, names[0], 0, 100_000) as one,
            RawAppend(unit, started.port, names[1], 0, 100_000) as two,
        ):
            for raw, name, data in ((one, names[0], datas[0]), (two, names[1], datas[1])):
                raw.send(data[:1000])
                wait_for(lambda name=name: _arrived(started, name) == 1000, "the append")  # type: ignore[misc]
            answer = unit.append(names[2], datas[2])
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        wait_for(lambda: unit.append(names[2], datas[2]).status_code in (204, 400), "a free place")


def test_silent_append_is_given_up(pacs: Pacs, tmp_path: Path) -> None:
    limits = {"append_idle_s_max": 0.3}
    with running_gateway(tmp_path, pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)
        name = create(unit, some_bytes(1000, 40))
        with RawAppend(unit, started.port, name, 0, 1000) as raw:
            raw.send(some_bytes(1000, 40)[:100])
            status, headers = raw.answer()
            assert (status, headers["upload-offset"]) == (408, "100")


def test_two_flows_bring_two_parts_at_once(unit: Unit, gateway: Gateway) -> None:
    datas = [some_bytes(3_000_000, 50 + i) for i in range(4)]
    names = [create(unit, data) for data in datas]
    threads = [
        threading.Thread(target=unit.append, args=(name, data), kwargs={"complete": True})
        for name, data in zip(names, datas, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [unit.head(name).headers["Upload-Complete"] for name in names] == ["?1"] * 4
