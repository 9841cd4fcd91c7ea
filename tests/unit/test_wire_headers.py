"""Header parts: what goes in comes out, in any order the same bytes, and nothing beyond a limit is unpacked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sync.wire import headers
from sync.wire.effort import FAST, SMALL
from sync.wire.errors import WireError
from sync.wire.headers import pack, unpack
from sync.wire.limits import WireLimits
from sync.wire.octets import varint
from sync.wire.squeeze import compress
from tests.support.wire_files import Image, Made
from tests.support.wire_parts import in_parts

TOP = Path(__file__).resolve().parents[2]
DICTIONARY_BYTES_MAX = 112 * 1024


def series(count: int) -> dict[str, bytes]:
    """Skeletons of instances that differ by their private bytes."""
    skeletons = {}
    for number in range(count):
        data = Made(image=Image(16, 16, bytes(512)), private=b"instance %05d " % number).data
        skeletons[hashlib.sha256(data).hexdigest()] = in_parts(data).encoded.skeleton
    return skeletons


@pytest.mark.parametrize("effort", [FAST, SMALL])
def test_skeletons_come_back_by_the_digest_of_their_file(effort: object) -> None:
    skeletons = series(5)
    assert unpack(pack(skeletons, effort)) == skeletons  # type: ignore[arg-type]  # parametrize loses the type


def test_the_same_skeletons_in_another_order_are_the_same_part() -> None:
    skeletons = series(4)
    assert pack(dict(reversed(skeletons.items())), SMALL) == pack(skeletons, SMALL)


def test_headers_of_a_series_cost_little_more_than_their_digests() -> None:
    one, many = series(1), series(40)
    each_bytes = (len(pack(many, SMALL)) - len(pack(one, SMALL))) / 39
    assert each_bytes < 32 + 16


def test_the_dictionary_makes_a_single_header_smaller() -> None:
    skeleton = next(iter(series(1).values()))
    assert len(pack({"0" * 64: skeleton}, SMALL)) < len(compress(skeleton, 19)) - 50


def test_the_dictionary_ships_in_the_package_and_is_small() -> None:
    shipped = TOP / "sync" / "wire" / headers.DICTIONARY_NAME
    assert 0 < shipped.stat().st_size < DICTIONARY_BYTES_MAX
    assert hashlib.sha256(shipped.read_bytes()).digest()[: headers.NAME_BYTES] == pack(series(1), FAST)[3:11]
    assert 'sync = ["wire/*.zdict"]' in (TOP / "pyproject.toml").read_text(encoding="utf-8")


def test_an_unknown_dictionary_is_named_in_the_error() -> None:
    part = bytearray(pack(series(1), FAST))
    part[3:11] = bytes.fromhex("0123456789abcdef")
    with pytest.raises(WireError, match=r"0123456789abcdef.*update"):
        unpack(bytes(part))


@pytest.mark.parametrize("skeletons", [{}, {"xyz": b""}, {"A" * 64: b""}])
def test_only_skeletons_by_digest_are_packed(skeletons: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        pack(skeletons, FAST)


@pytest.mark.parametrize(
    "limits",
    [
        WireLimits(header_part_bytes_max=100),
        WireLimits(skeleton_count_max=2),
        WireLimits(skeleton_bytes_max=100),
        WireLimits(header_part_unpacked_bytes_max=1000),
        WireLimits(header_ratio_max=1),
    ],
    ids=["part", "count", "skeleton", "unpacked", "ratio"],
)
def test_a_header_part_beyond_a_limit_is_refused(limits: WireLimits) -> None:
    part = pack(series(3), FAST)
    assert len(unpack(part)) == 3
    with pytest.raises(WireError):
        unpack(part, limits)


def _hand_made(digests: list[bytes], sizes: list[int], frame: bytes) -> bytes:
    name = pack(series(1), FAST)[3:11]
    return b"".join((b"QH1", name, varint(len(digests)), *digests, *map(varint, sizes), frame))


def test_sizes_are_refused_before_anything_is_unpacked() -> None:
    bomb = compress(bytes(60 << 20), 19)
    digests = [bytes(32), b"\1" * 32]
    for sizes, limits in (
        ([1 << 20, 1 << 20], WireLimits()),
        ([30 << 20, 30 << 20], replace(WireLimits(), skeleton_bytes_max=1 << 30)),
        ([1 << 62, 1], replace(WireLimits(), skeleton_bytes_max=1 << 62)),
    ):
        with pytest.raises(WireError):
            unpack(_hand_made(digests, sizes, bomb), limits)


@pytest.mark.parametrize("digests", [[], [b"\1" * 32, bytes(32)], [bytes(32), bytes(32)]])
def test_digests_out_of_order_are_refused(digests: list[bytes]) -> None:
    with pytest.raises(WireError, match="order"):
        unpack(_hand_made(digests, [1] * len(digests), compress(bytes(len(digests)), 1)))


def test_header_parts_need_no_numpy_and_no_codec() -> None:
    code = (
        "import sys, sync.wire.headers, sync.wire.skeleton, sync.wire.effort;"
        "print([name for name in ('numpy', 'imagecodecs', 'pydicom') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
