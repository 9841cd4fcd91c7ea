"""The script that copies a release from a stick, run as it is: what the unit's own account may plant there in the
middle of it leads root nowhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "image/mkosi.extra/usr/lib/qafila/stick"
NAMES = ("release.json", "release.sig", "qafila_7.efi.zst")


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    """Where the script copies to, beside a stick with a release."""
    for name in ("incoming", "mounted", "shims"):
        (tmp_path / name).mkdir()
    for name in NAMES:
        (tmp_path / "mounted" / name).write_text(f"new {name}", encoding="utf-8")
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.count("/data/update/incoming") == 1
    (tmp_path / "stick").write_text(text.replace("/data/update/incoming", str(tmp_path / "incoming")), encoding="utf-8")
    shim(tmp_path, "mount")
    return tmp_path / "incoming"


def shim(folder: Path, program: str) -> None:
    """A program that does nothing, in place of the machine's."""
    path = folder / "shims" / program
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)


def copied(folder: Path) -> int:
    """The exit code of the script."""
    environment = {
        "PATH": f"{folder / 'shims'}:{os.environ['PATH']}",
        "RUNTIME_DIRECTORY": str(folder / "mounted"),
    }
    return subprocess.run(["sh", str(folder / "stick"), "sda1"], env=environment, check=False).returncode


def test_release_is_copied_and_an_earlier_one_is_gone(incoming: Path) -> None:
    (incoming / "qafila_6.efi.zst").write_text("old", encoding="utf-8")
    assert copied(incoming.parent) == 0
    assert {path.name for path in incoming.iterdir()} == {*NAMES, "complete"}
    assert (incoming / NAMES[0]).read_text(encoding="utf-8") == f"new {NAMES[0]}"


def test_release_that_waits_is_left_alone(incoming: Path) -> None:
    (incoming / "complete").touch()
    assert copied(incoming.parent) != 0
    assert [path.name for path in incoming.iterdir()] == ["complete"]


def test_link_in_place_of_a_file_is_replaced_and_not_followed(incoming: Path) -> None:
    shim(incoming.parent, "find")  # what is planted comes after the folder was emptied
    victim = incoming.parent / "victim"
    victim.write_text("root's", encoding="utf-8")
    (incoming / NAMES[0]).symlink_to(victim)
    assert copied(incoming.parent) == 0
    assert victim.read_text(encoding="utf-8") == "root's"
    assert not (incoming / NAMES[0]).is_symlink()


def test_link_in_place_of_the_sign_makes_no_file_elsewhere(incoming: Path) -> None:
    shim(incoming.parent, "find")
    (incoming / "complete").symlink_to(incoming.parent / "elsewhere")
    assert copied(incoming.parent) != 0
    assert not (incoming.parent / "elsewhere").exists()
