"""A preview or a reason, whatever the file: nothing else comes out of ``preview_or_reason``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.wire.limits import WireLimits
from sync.wire.preview import Preview, preview_or_reason
from tests.support.wire_files import BASELINE, BIG_ENDIAN, EXPLICIT, Image, Made, jpeg, real_frame, smooth, words

LIMITS = WireLimits(preview_samples_max=1 << 22)
MADE = {
    "grey": Made(EXPLICIT, Image(30, 20, words(smooth(30, 20, 4095), 16), stored=12)),
    "big": Made(BIG_ENDIAN, Image(30, 20, words(smooth(30, 20, 255), 8), allocated=8, stored=8)),
    "jpeg": Made(BASELINE, Image(64, 48, b"", 3, 8, 8, photometric="YBR_FULL_422"), [jpeg()]),
    "j2k": Made("1.2.840.10008.1.2.4.90", Image(40, 36, b""), [real_frame("1.2.840.10008.1.2.4.90") or b""]),
}


@pytest.mark.parametrize("name", sorted(MADE))
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_a_preview_or_a_reason(name: str, data: st.DataObject) -> None:
    raw = bytearray(MADE[name].data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(132, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw)))) :]
    with tempfile.TemporaryDirectory(prefix="qafila-wire-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(raw)
        found = preview_or_reason(path, LIMITS)
    assert isinstance(found, (Preview, str))
    if isinstance(found, Preview):
        assert len(found.data) <= LIMITS.preview_still_bytes_max
    else:
        assert found
        assert "PHANTOM" not in found
