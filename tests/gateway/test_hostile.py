"""Clients and parts that mean harm: bombs, endless headers, silence; an honest unit is served all the while."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from sync.wire import messages as m
from sync.wire.encode import FAST
from sync.wire.headers import MAGIC, NAME_BYTES, pack
from sync.wire.octets import varint
from tests.gateway.rig import Gateway, Pacs, Parted, Unit, picture_in_parts, problem, running_gateway, sha256
from tests.support.world import wait_for

GIB = 1 << 30


def zeros_frame(size_bytes: int, *, window_log: int = 0) -> bytes:
    """A zstd frame of so many zeros, a few thousand times smaller."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log or 20, compression_level=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    step = bytes(1 << 20)
    return b"".join([*(compressor.compress(step) for _ in range(size_bytes >> 20)), compressor.flush()])


@pytest.mark.fault(51)
@pytest.mark.parametrize("body", [zeros_frame(GIB), zeros_frame(1 << 20, window_log=27), b"\x28\xb5\x2f\xfdnonsense"])
def test_zstd_bomb_as_a_manifest_is_refused_within_bounds(unit: Unit, gateway: Gateway, body: bytes) -> None:
    before = _resident_bytes(gateway)
    headers = {**unit.auth, "Content-Encoding": "zstd"}
    answer = unit.http.put("/v1/studies/1.2/manifest", content=body, headers=headers)
    assert answer.status_code in (400, 413)
    problem(answer)
    assert _resident_bytes(gateway) - before < 96 << 20
    assert unit.inbox().head == 0


def _resident_bytes(gateway: Gateway) -> int:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"revision": 1, "instances": 3}']
)
def test_what_is_no_manifest_is_refused(unit: Unit, body: bytes) -> None:
    answer = unit.http.put("/v1/studies/1.2/manifest", content=body, headers=unit.auth)
    assert answer.status_code == 400
    assert "Manifest" in problem(answer)["detail"]


def test_unknown_encoding_and_too_large_a_body_are_refused(unit: Unit, gateway: Gateway) -> None:
    headers = {**unit.auth, "Content-Encoding": "br"}
    assert unit.http.put("/v1/studies/1.2/manifest", content=b"x", headers=headers).status_code == 415
    large = b" " * (gateway.config.gateway.limits.json_bytes_max + 1)
    for content in (large, iter([large])):
        with contextlib.suppress(OSError):
            answer = unit.http.put("/v1/studies/1.2/manifest", content=content, headers=unit.auth)
            assert answer.status_code == 413


def _with_header(picture: Parted, header: bytes) -> Parted:
    name = sha256(header)
    info = m.PartInfo(sha256=name, size_bytes=len(header), kind=m.PartKind.HEADER)
    infos = (info, *(one for one in picture.infos if one.kind is not m.PartKind.HEADER))
    contents = {name: header, **{one.sha256: picture.contents[one.sha256] for one in infos[1:]}}
    instance = msgspec.structs.replace(picture.instance, header=name)
    return dataclasses.replace(picture, instance=instance, infos=infos, contents=contents)


def _bombs() -> dict[str, bytes]:
    honest = pack({"a" * 64: b"skeleton"}, FAST)
    name = honest[len(MAGIC) : len(MAGIC) + NAME_BYTES]
    magicless = zeros_frame(GIB)[4:]
    return {
        "declares a gibibyte": MAGIC + name + varint(1) + bytes(32) + varint(GIB) + magicless,
        "declares little and unpacks to much": MAGIC + name + varint(1) + bytes(32) + varint(100) + magicless,
        "many skeletons": MAGIC + name + varint(1 << 40) + bytes(64),
        "no part at all": b"nonsense" * 100,
        "empty": b"\0",
        "unknown dictionary": MAGIC + b"whatever" + varint(1) + bytes(32) + varint(1) + b"x",
    }


@pytest.mark.fault(51)
@pytest.mark.parametrize("bomb", _bombs().values(), ids=_bombs().keys())
def test_bomb_in_a_header_part_costs_only_its_instance(unit: Unit, pacs: Pacs, tmp_path: Path, bomb: bytes) -> None:
    picture = picture_in_parts(tmp_path / "a", 5_000, seed=len(bomb))
    unit.send(_with_header(picture, bomb))
    (refusal,) = unit.wait_for_entries(1)
    assert (refusal.kind, refusal.code) == ("refusal", "parts-unfit")
    assert "safe on the unit" in refusal.text
    unit.send(picture)
    assert unit.wait_for_entries(2)[1].kind == "receipt"
    assert pacs.held[picture.uid] == picture.file


@pytest.mark.fault(61)
@pytest.mark.parametrize("damage", ["cut", "garbled", "empty-like"])
def test_damaged_pixel_part_is_refused_and_nothing_reaches_the_pacs(
    unit: Unit, pacs: Pacs, tmp_path: Path, damage: str
) -> None:
    picture = picture_in_parts(tmp_path, 50_000, seed=len(damage))
    pixels = {
        "cut": picture.pixels[:-100],
        "garbled": picture.pixels[:200] + bytes(1000) + picture.pixels[1200:],
        "empty-like": b"\0",
    }[damage]
    info = m.PartInfo(sha256=sha256(pixels), size_bytes=len(pixels), kind=m.PartKind.PIXELS)
    infos = (*(one for one in picture.infos if one.kind is m.PartKind.HEADER), info)
    harmful = dataclasses.replace(
        picture,
        instance=msgspec.structs.replace(picture.instance, pixels=info.sha256, preview=""),
        infos=infos,
        contents={picture.instance.header: picture.header, info.sha256: pixels},
    )
    unit.send(harmful)
    assert unit.wait_for_entries(1)[0].code == "parts-unfit"
    assert picture.uid not in pacs.held


def test_worker_that_is_killed_over_and_over_costs_only_its_instance(pacs: Pacs, tmp_path: Path) -> None:
    """With a bound no worker can live in, every rebuild ends its worker; the gateway stays and tells a person."""
    limits = {"worker_s_max": 1e-4}
    with running_gateway(tmp_path / "g", pacs.peer.url, limits=limits) as started, Unit(started.url) as unit:
        unit.join(started)
        unit.send(picture_in_parts(tmp_path, 50_000, seed=7))
        (refusal,) = unit.wait_for_entries(1)
        assert refusal.code in ("parts-unfit", "rebuild-failed")
        assert unit.inbox().head == 1


# --- connections ---------------------------------------------------------------------------------------------------


def _connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=60)


def _closed(connection: socket.socket) -> bytes:
    """What comes before the gateway closes."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            said += data
    return said


def _ask(connection: socket.socket, sent: bytes) -> int:
    """Send, and read one whole answer; its status."""
    connection.sendall(sent)
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(1)
    head, _, _ = said.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    while length:
        length -= len(connection.recv(length))
    return int(head.split()[1])


HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def strict(pacs: Pacs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with short patience."""
    limits = {"header_s_max": 0.5, "header_bytes_max": 4096, "keep_alive_s_max": 1, "connection_count_max": 20}
    with running_gateway(tmp_path_factory.mktemp("strict"), pacs.peer.url, limits=limits) as started:
        yield started


def test_small_answer_leaves_in_one_packet_at_once(strict: Gateway) -> None:
    """A second one could be lost on its own, and would wait for the acknowledgement of the first: a round trip."""
    with _connect(strict) as connection:
        for _ in range(3):
            connection.sendall(HEALTH)
            assert connection.recv(65536).endswith(b'Z"}')


@pytest.mark.fault(60)
def test_silent_and_dripping_clients_are_closed_while_a_unit_is_served(strict: Gateway) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(_connect(strict)) for _ in range(6)]
        dripping = stack.enter_context(_connect(strict))
        dripping.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        with Unit(strict.url, "honest") as unit:
            assert unit.http.get("/v1/health").status_code == 200
        assert [_closed(one) for one in silent] == [b""] * 6
        assert _closed(dripping) == b""


@pytest.mark.parametrize(
    "header", [b"X-Long: " + b"a" * 5000 + b"\r\n", b"".join(b"X-%d: y\r\n" % i for i in range(900))]
)
def test_header_beyond_its_bound_is_refused(strict: Gateway, header: bytes) -> None:
    with _connect(strict) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + header)
        assert _closed(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"PATCH / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_the_connection(strict: Gateway, sent: bytes) -> None:
    with _connect(strict) as connection:
        connection.sendall(sent)
        said = _closed(connection)
        assert said.startswith(b"HTTP/1.1 400 ") or said == b""


def test_idle_connection_is_closed_after_its_time_and_others_are_kept(strict: Gateway) -> None:
    with _connect(strict) as connection:
        assert [_ask(connection, HEALTH) for _ in range(3)] == [200] * 3
        assert _closed(connection) == b""


def test_connection_whose_body_was_read_past_goes_on_and_is_closed_when_idle(strict: Gateway) -> None:
    with _connect(strict) as connection:
        refused = b"PATCH /v1/parts/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        assert _ask(connection, refused) == 401
        assert _ask(connection, b"0123456789" + HEALTH) == 200
        assert _ask(connection, refused) == 401
        connection.sendall(b"0123456789")
        assert _closed(connection) == b""


def test_too_many_connections_are_told_so(strict: Gateway) -> None:
    with contextlib.ExitStack() as stack:

        def busy() -> bool:
            connection = stack.enter_context(_connect(strict))
            connection.sendall(HEALTH)
            return connection.recv(65536).startswith(b"HTTP/1.1 503 ")

        wait_for(busy, "the bound")


def test_log_names_no_patient_and_no_secret(gateway: Gateway, unit: Unit, tmp_path: Path) -> None:
    picture = picture_in_parts(tmp_path, 5_000, seed=5)
    info = m.StudyInfo(patient_name="VERY^SECRET", patient_id="ID-SECRET", accession_number="ACC-SECRET")
    unit.announce(picture, study=info)
    unit.send(picture)
    unit.wait_for_entries(1)
    unit.http.put("/v1/studies/1.2/manifest", content=b'{"revision": "VERY^SECRET"}', headers=unit.auth)
    text = gateway.log_text()
    assert "SECRET" not in text
    assert unit.token not in text
    assert picture.uid in text
