"""Files into parts and back, in memory as far as the interfaces allow."""

from __future__ import annotations

import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sync.wire.effort import FAST, Effort
from sync.wire.encode import Encoded, encode
from sync.wire.limits import WireLimits
from sync.wire.rebuild import rebuild

LIMITS = WireLimits()


@dataclass(frozen=True, slots=True)
class Parts:
    """What ``encode`` said, and the bytes of the pixel part (None without one)."""

    encoded: Encoded
    pixels: bytes | None


def in_parts(data: bytes, effort: Effort = FAST, limits: WireLimits = LIMITS) -> Parts:
    """Encode a file of these bytes."""
    with tempfile.TemporaryDirectory(prefix="qafila-wire-") as folder:
        path, out = Path(folder) / "file", Path(folder) / "pixels"
        path.write_bytes(data)
        encoded = encode(path, out, effort, limits)
        assert out.exists() is (encoded.pixels_bytes > 0)
        return Parts(encoded, out.read_bytes() if out.exists() else None)


def rebuilt(skeleton: bytes, pixels: bytes | None, limits: WireLimits = LIMITS) -> bytes:
    """The file of these parts; its digest is compared with what ``rebuild`` says."""
    out = io.BytesIO()
    digest = rebuild(skeleton, None if pixels is None else io.BytesIO(pixels), out, limits)
    assert digest == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def assert_comes_back(data: bytes, effort: Effort = FAST, limits: WireLimits = LIMITS) -> Parts:
    """Encode, check every word of the answer, rebuild, compare."""
    parts = in_parts(data, effort, limits)
    encoded = parts.encoded
    assert (encoded.sha256, encoded.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    if parts.pixels is None:
        assert (encoded.pixels_sha256, encoded.restores_sha256, encoded.restores_bytes) == ("", "", 0)
    else:
        assert encoded.pixels_sha256 == hashlib.sha256(parts.pixels).hexdigest()
        assert encoded.pixels_bytes == len(parts.pixels)
        assert 0 < encoded.restores_bytes <= len(data)
    assert len(encoded.skeleton) <= limits.skeleton_bytes_max
    assert rebuilt(encoded.skeleton, parts.pixels, limits) == data
    return parts
