"""What a release travels as: signed, and without the empty end of its slot."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.update.release import read_release, unpack

TOP = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ROOT_HASH = "0123456789abcdef" * 4
BLOCK = 4096


@pytest.fixture(scope="module")
def packing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_release", TOP / "image" / "release.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What mkosi leaves: a root of three blocks, the last of them zero, in a slot of eight."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "qafila_7.root.raw").write_bytes(b"r" * 2 * BLOCK + bytes(6 * BLOCK))
    head = struct.pack("<8sII16s32sIIQ", b"verity\0\0", 1, 1, bytes(16), b"sha256".ljust(32, b"\0"), BLOCK, BLOCK, 3)
    (out / "qafila_7.verity.raw").write_bytes(head.ljust(BLOCK, b"\0"))
    (out / "qafila_7.efi").write_bytes(b"MZ root=x roothash=" + ROOT_HASH.encode() + b"\0")
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return out


def test_release_holds_the_file_system_and_not_the_empty_end_of_its_slot(packing: ModuleType, built: Path) -> None:
    packing.main(built, "7", "qafila", built.parent / "key.pem")
    release = read_release(built / "release-7", (KEY.public_key(),))
    unpack(release, built / "release-7", built / "verified")
    sizes = {path.name: path.stat().st_size for path in (built / "verified").iterdir()}
    assert sizes == {
        "qafila_7_01234567-89ab-cdef-0123-456789abcdef.root.raw": 3 * BLOCK,
        "qafila_7_01234567-89ab-cdef-0123-456789abcdef.verity.raw": BLOCK,
        "qafila_7.efi": (built / "qafila_7.efi").stat().st_size,
    }


def test_file_that_is_no_hash_tree_makes_no_release(packing: ModuleType, built: Path) -> None:
    (built / "qafila_7.verity.raw").write_bytes(bytes(BLOCK))
    with pytest.raises(SystemExit, match="no hash tree"):
        packing.main(built, "7", "qafila", built.parent / "key.pem")
