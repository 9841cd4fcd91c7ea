"""Signed, newer, whole: everything else is refused, and leaves nothing that could be installed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.cli.main import main
from appliance.update.release import (
    LIST,
    SIGNATURE,
    Release,
    ReleaseError,
    ReleaseFile,
    check_newer,
    read_os_release,
    read_release,
    unpack,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = (KEY.public_key(),)
BODY = b"root file system " * 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "release", KEY)


def make(folder: Path, key: Ed25519PrivateKey, version: int = 7, name: str = "qafila_7.efi") -> Path:
    folder.mkdir()
    file = ReleaseFile(name=name, sha256=hashlib.sha256(BODY).hexdigest(), size_bytes=len(BODY))
    text = msgspec.json.encode(Release(image="qafila", version=version, files=(file,)))
    (folder / LIST).write_bytes(text)
    (folder / SIGNATURE).write_bytes(key.sign(text))
    (folder / f"{file.name}.zst").write_bytes(zstandard.compress(BODY))
    return folder


def test_signed_release_is_unpacked_whole(folder: Path, tmp_path: Path) -> None:
    release = read_release(folder, KEYS)
    unpack(release, folder, tmp_path / "verified")
    assert [path.name for path in (tmp_path / "verified").iterdir()] == ["qafila_7.efi"]
    assert (tmp_path / "verified" / "qafila_7.efi").read_bytes() == BODY


def test_release_of_a_strange_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="not signed"):
        read_release(make(tmp_path / "release", OTHER), KEYS)


@pytest.mark.parametrize("name", [LIST, SIGNATURE])
def test_changed_bit_of_list_or_signature_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[5] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ReleaseError, match="not signed"):
        read_release(folder, KEYS)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:16] + bytes([data[16] ^ 0xFF]) + data[17:]


def longer(data: bytes) -> bytes:
    return zstandard.compress(BODY + b"x")


def bomb(data: bytes) -> bytes:
    return zstandard.compress(bytes(64 * 1024**2))


@pytest.mark.parametrize("damage", [cut, flipped, longer, bomb])
def test_damaged_file_is_refused_and_nothing_is_left(
    folder: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = folder / "qafila_7.efi.zst"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ReleaseError):
        unpack(read_release(folder, KEYS), folder, tmp_path / "verified")
    assert list((tmp_path / "verified").iterdir()) == []


def test_missing_file_is_refused_and_what_an_earlier_try_left_is_gone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "verified").mkdir()
    (tmp_path / "verified" / "qafila_6.efi").write_bytes(b"old")
    (folder / "qafila_7.efi.zst").unlink()
    with pytest.raises(ReleaseError, match="missing"):
        unpack(read_release(folder, KEYS), folder, tmp_path / "verified")
    assert list((tmp_path / "verified").iterdir()) == []


@pytest.mark.parametrize("name", ["../qafila_7.efi", "qafila_7/../../x", "other_7.efi", "/etc/passwd"])
def test_name_that_leads_elsewhere_is_refused_though_it_is_signed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    text = msgspec.json.encode(
        {"image": "qafila", "version": 7, "files": [{"name": name, "sha256": "0" * 64, "size_bytes": 1}]}
    )
    (folder / LIST).write_bytes(text)
    (folder / SIGNATURE).write_bytes(KEY.sign(text))
    with pytest.raises(ReleaseError, match="not well formed"):
        read_release(folder, KEYS)


@pytest.mark.parametrize(
    ("version", "installed", "floor", "ok"), [(8, 7, 0, True), (7, 7, 0, False), (6, 7, 0, False), (8, 7, 9, False)]
)
def test_downgrade_is_refused(version: int, installed: int, floor: int, ok: bool) -> None:
    release = Release(
        image="qafila", version=version, files=(ReleaseFile(name="qafila_1", sha256="0" * 64, size_bytes=1),)
    )
    if ok:
        check_newer(release, "qafila", installed, floor)
        with pytest.raises(ReleaseError, match="it is for qafila"):
            check_newer(release, "another", installed, floor)
    else:
        with pytest.raises(ReleaseError, match="has had"):
            check_newer(release, "qafila", installed, floor)


def test_release_that_runs_already_is_no_fault(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Power went after it was installed and before what had arrived was removed: it comes a second time."""
    (tmp_path / "os-release").write_text('IMAGE_ID="qafila"\nIMAGE_VERSION="7"\n', encoding="utf-8")
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "release.pem").write_bytes(KEY.public_key().public_bytes(*form))
    monkeypatch.setattr("appliance.cli.update.OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr("appliance.cli.update.KEYS", tmp_path)
    monkeypatch.setattr("appliance.cli.update.VERIFIED", tmp_path / "verified")
    assert main(["update", str(folder)]) == 0
    assert "what runs here" in capsys.readouterr().out
    assert not (tmp_path / "verified").exists()


def test_running_release_is_read_from_the_system() -> None:
    assert read_os_release('ID=debian\nIMAGE_ID="qafila"\nIMAGE_VERSION="20261125"\n') == ("qafila", 20261125)
    with pytest.raises(ReleaseError):
        read_os_release("ID=debian\n")
