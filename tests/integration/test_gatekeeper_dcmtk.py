"""The scan against DCMTK's own parser: it never sees less nesting than DCMTK, which Orthanc would follow.

Random data sets with sequences, private ones too, whose lengths often lie. This is how a nesting bomb with too short
sequence lengths was found that passed the scan and ended both Orthancs.
"""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from appliance.domain.limits import LimitSet
from appliance.gatekeeper.dataset_scan import scan_for
from appliance.gatekeeper.violations import ViolationError
from tests.support.rawdicom import EXPLICIT, IMPLICIT, ITEM_END, SEQUENCE_END, UNDEFINED, data_set_item

CASE_COUNT = 150
DEPTH_MAX = 6
SEQUENCES = [(0x0040, 0x0555), (0x0008, 0x1140), (0x5400, 0x0100), (0x0029, 0x1010), (0x0009, 0x1010), (0x7FE0, 0x0010)]
CREATORS = {0x0029: b"SPI-P-Private_ICS Release 1 ", 0x0009: b"SOMEBODY"}

pytestmark = pytest.mark.skipif(not shutil.which("dcmdump"), reason="DCMTK's tools are not installed")


class Generator:
    """Random data sets of one transfer syntax."""

    def __init__(self, seed: int, *, is_implicit: bool) -> None:
        self._random = random.Random(seed)
        self._is_implicit = is_implicit

    def data_set(self, depth: int = 0) -> bytes:
        return b"".join(self._element(depth) for _ in range(self._random.randint(1, 2)))

    def _element(self, depth: int) -> bytes:
        if depth >= DEPTH_MAX or self._random.random() < 0.2:
            value = b"A" * self._random.choice([0, 2, 4, 10, 20])
            return self._header(0x0010, 0x0020, b"LO", len(value)) + value
        group, number = self._random.choice(SEQUENCES)
        creator = CREATORS.get(group, b"")
        before = self._header(group, 0x0010, b"LO", len(creator)) + creator if creator else b""
        items = b"".join(self._item(depth) for _ in range(self._random.randint(0, 2)))
        length = self._lie(len(items))
        end = SEQUENCE_END if length == UNDEFINED else b""
        return before + self._header(group, number, b"SQ", length) + items + end

    def _item(self, depth: int) -> bytes:
        inside = self.data_set(depth + 1)
        length = self._lie(len(inside))
        return data_set_item(inside, length) + (ITEM_END if length == UNDEFINED else b"")

    def _lie(self, length: int) -> int:
        lies = [UNDEFINED, length - 8, length - 2, length + 2, length + 8, 8, 12, 16, length // 2]
        return length if self._random.random() < 0.9 else max(0, self._random.choice(lies))

    def _header(self, group: int, number: int, vr: bytes, length: int) -> bytes:
        tag = struct.pack("<HH", group, number)
        if self._is_implicit:
            return tag + struct.pack("<I", length)
        return tag + vr + (struct.pack("<2xI", length) if vr == b"SQ" else struct.pack("<H", length))


def _depth_by_dcmtk(data: bytes, option: str, path: Path) -> int:
    """How many levels of items DCMTK's reader goes down, whatever it thinks of the rest."""
    path.write_bytes(data)
    command = ["dcmdump", "-f", option, "-q", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False).stdout
    indents = [len(match[1]) for match in re.finditer(r"^( *)\(fffe,e000\) na", shown, re.MULTILINE)]
    return max(((indent - 2) // 4 + 1 for indent in indents), default=0)


def _is_sound(data: bytes, transfer_syntax_uid: str, depth_max: int) -> bool:
    scan = scan_for(transfer_syntax_uid, LimitSet(sequence_depth_max=depth_max))
    try:
        scan.feed(data)
        scan.finish()
    except ViolationError:
        return False
    return True


@pytest.mark.fault(61)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("syntax", "option"), [(IMPLICIT, "-ti"), (EXPLICIT, "-te")], ids=["implicit", "explicit"])
def test_scan_sees_no_less_nesting_than_dcmtk(tmp_path: Path, syntax: str, option: str, seed: int) -> None:
    generator = Generator(seed, is_implicit=syntax == IMPLICIT)
    deepest = 0
    for number in range(CASE_COUNT):
        data = generator.data_set()
        depth = _depth_by_dcmtk(data, option, tmp_path / "data")
        deepest = max(deepest, depth)
        assert not depth or not _is_sound(data, syntax, depth - 1), f"seed {seed}, case {number}: {data.hex()}"
    assert deepest >= 3, "the generator no longer nests"
