"""Signed, newer, whole: everything else is refused, and leaves nothing that could be installed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.cli.exits import NEEDS_PERSON
from appliance.cli.main import main
from appliance.update.release import (
    LIST,
    SIGNATURE,
    Release,
    ReleaseError,
    ReleaseFile,
    Why,
    check_newer,
    read_release,
    read_running,
    unpack,
)
from appliance.update.sentences import status_line
from appliance.update.status import State, Status, read_floor, read_status

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
    text = msgspec.json.encode(Release(image="qafila-vm", version=version, files=(file,)))
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


@pytest.fixture
def appliance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that runs release 7 and knows ``KEY``; the folder of its updates."""
    (tmp_path / "os-release").write_text('IMAGE_ID="qafila"\nIMAGE_VERSION="7"\n', encoding="utf-8")
    (tmp_path / "board").write_text("vm\n", encoding="utf-8")
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "release.pem").write_bytes(KEY.public_key().public_bytes(*form))
    updates = tmp_path / "update"
    updates.mkdir()
    monkeypatch.setattr("appliance.cli.update.OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr("appliance.cli.update.BOARD", tmp_path / "board")
    monkeypatch.setattr("appliance.cli.update.KEYS", tmp_path)
    monkeypatch.setattr("appliance.cli.update.FOLDER", updates)
    monkeypatch.setattr("appliance.cli.update.VERIFIED", updates / "verified")
    return updates


def test_release_that_runs_already_is_no_fault(
    folder: Path, appliance: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Power went after it was installed and before what had arrived was removed: it comes a second time."""
    assert main(["update", str(folder)]) == 0
    assert "what runs here" in capsys.readouterr().out
    assert list(appliance.iterdir()) == []


def installer(tmp_path: Path, exit_code: int) -> str:
    """Stands for systemd-sysupdate, which this machine has no slots for: keeps the order it got."""
    script = tmp_path / "sysupdate"
    script.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/order"\nexit {exit_code}\n', encoding="utf-8")
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize(
    ("installer_code", "exit_code", "state", "words"),
    [
        (0, 0, State.INSTALLED, "Release 8 is installed and starts at the next power-on."),
        (1, 3, State.FAILED, "Release 8 could not be installed; release 7 goes on."),
    ],
)
def test_what_became_of_a_release_is_written_for_the_unit_to_read(
    tmp_path: Path,
    appliance: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    installer_code: int,
    exit_code: int,
    state: State,
    words: str,
) -> None:
    monkeypatch.setattr("appliance.cli.update.SYSUPDATE", installer(tmp_path, installer_code))
    folder = make(tmp_path / "release", KEY, version=8)
    assert main(["update", str(folder)]) == exit_code
    assert (tmp_path / "order").read_text(encoding="utf-8") == "update 8\n"
    status = read_status(appliance)
    assert status is not None
    assert (status.state, status.version) == (state, 8)
    assert status.list_sha256 == hashlib.sha256((folder / LIST).read_bytes()).hexdigest()
    assert (appliance / "status.json").stat().st_mode & 0o777 == 0o644
    capsys.readouterr()
    assert main(["update"]) == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "key", "why", "words"),
    [
        (6, KEY, Why.NOT_NEWER, "Release 6 is refused: it is not newer than what this unit has had."),
        (8, OTHER, Why.NOT_SIGNED, "The release that came is refused: it is not signed by a key that this unit knows."),
    ],
)
def test_refusal_is_written_with_its_reason(
    tmp_path: Path,
    appliance: Path,
    capsys: pytest.CaptureFixture[str],
    version: int,
    key: Ed25519PrivateKey,
    why: Why,
    words: str,
) -> None:
    assert main(["update", str(make(tmp_path / "release", key, version=version))]) == 1
    status = read_status(appliance)
    assert status is not None
    assert (status.state, status.why) == (State.REFUSED, why)
    capsys.readouterr()
    assert main(["update"]) == 0
    assert words in capsys.readouterr().out


def test_floor_is_raised_by_a_good_release_and_can_be_read_by_everybody(appliance: Path) -> None:
    assert main(["update", "--good"]) == 0
    assert read_floor(appliance) == 7
    assert (appliance / "floor").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", [LIST, SIGNATURE, "qafila_7.efi.zst"])
def test_link_or_pipe_in_place_of_a_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    """The unit's own account may write in the folder, and who reads it is root."""
    path, kept = folder / name, tmp_path / "elsewhere"
    path.rename(kept)
    puts: tuple[Callable[[], None], ...] = (lambda: path.symlink_to(kept), lambda: os.mkfifo(path))
    for put in puts:
        put()
        with pytest.raises(ReleaseError) as refused:
            unpack(read_release(folder, KEYS), folder, tmp_path / "verified")
        assert refused.value.why is Why.NOT_WHOLE
        path.unlink()


@pytest.mark.parametrize(
    ("status", "boot_id", "words"),
    [
        (Status(state=State.INSTALLED, version=8, boot_id="b"), "b", "installed and starts at the next power-on"),
        (Status(state=State.INSTALLED, version=8, boot_id="a"), "b", "did not work on this unit; release 7 goes on"),
        (Status(state=State.INSTALLED, version=7, boot_id="a"), "b", None),
        (Status(state=State.INSTALLING, version=8, boot_id="b"), "b", "is being installed"),
        (Status(state=State.INSTALLING, version=8, boot_id="a"), "b", "could not be installed"),
        (Status(state=State.REFUSED, version=6, why="not-newer", boot_id="b"), "b", "it is not newer"),
        (Status(state=State.REFUSED, version=6, why="not-newer", boot_id="a"), "b", None),
        (Status(state=State.REFUSED, version=8, why="of a later release", boot_id="a"), "b", "it cannot be used"),
        (None, "b", None),
    ],
)
def test_words_for_what_became_of_it(status: Status | None, boot_id: str, words: str | None) -> None:
    line = status_line(status, 7, boot_id)
    assert (line is None) if words is None else (line is not None and words in line)


def test_running_release_is_read_from_the_system() -> None:
    text = 'ID=debian\nIMAGE_ID="qafila"\nIMAGE_VERSION="20261125"\n'
    assert read_running(text, "mini-pc\n") == ("qafila-mini-pc", 20261125)
    for os_release, board in (("ID=debian\n", "vm"), (text, "")):
        with pytest.raises(ReleaseError):
            read_running(os_release, board)


def test_release_for_another_board_is_refused_and_said_so(folder: Path, appliance: Path) -> None:
    """Both are signed with the same key; a kernel for another processor would cost three starts and a road."""
    (appliance.parent / "board").write_text("vm-arm64\n", encoding="utf-8")
    assert main(["update", str(folder)]) == NEEDS_PERSON
    status = read_status(appliance)
    assert status is not None
    assert (status.state, status.why) == (State.REFUSED, Why.OTHER_IMAGE)
