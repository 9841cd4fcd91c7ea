"""The Vagrantfile: read by Vagrant itself where it is installed, by Ruby where only that is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="no Vagrant on this machine (Debian 13 has none)")
def test_vagrant_accepts_the_file(tmp_path: Path) -> None:
    done = validate(tmp_path, TOP / "Vagrantfile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "validated successfully" in done.stdout


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="no Vagrant on this machine (Debian 13 has none)")
def test_vagrant_refuses_a_mistyped_setting(tmp_path: Path) -> None:
    text = (TOP / "Vagrantfile").read_text(encoding="utf-8").replace("vm.hostname", "vm.hostnaem", 1)
    (tmp_path / "Vagrantfile").write_text(text, encoding="utf-8")
    assert validate(tmp_path, tmp_path / "Vagrantfile").returncode != 0


@pytest.mark.skipif(shutil.which("ruby") is None, reason="no Ruby on this machine")
def test_ruby_can_read_the_file() -> None:
    assert subprocess.run(["ruby", "-wc", str(TOP / "Vagrantfile")], capture_output=True, check=False).returncode == 0


def validate(tmp_path: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """Without a provider: none is needed to read the file."""
    home = {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot")}
    return subprocess.run(
        ["vagrant", "validate", "--ignore-provider", "--no-color"],
        cwd=file.parent,
        env={**os.environ, **home, "VAGRANT_CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
