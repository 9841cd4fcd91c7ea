"""``packages.sh`` in a mount namespace of its own: what it forbids, what it masks, what it puts back.

apt-get is a stand-in that asks the policy what a package's postinst would ask; the real thing is tried by
``make test-debian12`` and ``make test-debian13``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PACKAGES = TOP / "image" / "host" / "packages.sh"
SETUP = TOP / "image" / "host" / "setup.sh"

APT = """#!/bin/sh
echo "$*" >>"$LOG/apt"
case $* in *--simulate*) exit 0 ;; esac
for service in orthanc cron; do
    answer=0
    /usr/sbin/policy-rc.d --quiet $service start || answer=$?
    echo "$service $answer" >>"$LOG/policy"
done
exec sh -c "$APT_DOES"
"""

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")]


@dataclass
class Machine:
    """This machine with folders of the test's own in place of /usr/sbin and /etc/systemd."""

    folder: Path

    def run(self, *packages: str, apt_does: str = "true") -> subprocess.CompletedProcess[str]:
        for name in ("sbin", "systemd", "log", "bin"):
            (self.folder / name).mkdir(exist_ok=True)
        for name, text in {"apt-get": APT, "update-rc.d": "#!/bin/sh\n"}.items():
            (self.folder / "bin" / name).write_text(text, encoding="utf-8")
            (self.folder / "bin" / name).chmod(0o755)
        mounts = f"mount --bind {self.folder}/sbin /usr/sbin; mount --bind {self.folder}/systemd /etc/systemd"
        return subprocess.run(
            ["unshare", "--mount", "sh", "-ec", f'{mounts}; exec sh {PACKAGES} "$@"', "sh", *packages],
            env={
                "PATH": f"{self.folder}/bin:/usr/bin:/bin",
                "LOG": str(self.folder / "log"),
                "APT_DOES": apt_does,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def answers(self) -> list[str]:
        """What the policy said while packages were installed; 101 forbids."""
        return (self.folder / "log" / "policy").read_text(encoding="utf-8").splitlines()

    @property
    def policy(self) -> Path:
        return self.folder / "sbin" / "policy-rc.d"

    @property
    def unit(self) -> Path:
        return self.folder / "systemd" / "system" / "orthanc.service"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _put_policy(machine: Machine, answer: int) -> str:
    text = f"#!/bin/sh\nexit {answer}\n"
    machine.policy.parent.mkdir()
    machine.policy.write_text(text, encoding="utf-8")
    machine.policy.chmod(0o755)
    return text


def test_no_orthanc_service_may_start_while_packages_are_installed(machine: Machine) -> None:
    assert machine.run("orthanc", "dcmtk").returncode == 0
    assert machine.answers() == ["orthanc 101", "cron 0"]
    assert not machine.policy.exists()


def test_unit_of_a_new_orthanc_is_masked_and_said(machine: Machine) -> None:
    done = machine.run("orthanc")
    assert machine.unit.readlink() == Path("/dev/null")
    assert "systemctl unmask orthanc" in done.stdout


def test_orthanc_that_is_here_already_is_not_masked(machine: Machine) -> None:
    assert machine.run("orthanc-python").returncode == 0
    assert not os.path.lexists(machine.unit)
    assert machine.answers() == ["orthanc 101", "cron 0"]  # its restart by a plugin's trigger is forbidden too


def test_unit_of_the_administrator_is_left_alone(machine: Machine) -> None:
    machine.unit.parent.mkdir(parents=True)
    machine.unit.write_text("[Service]\n", encoding="utf-8")
    assert machine.run("orthanc").returncode == 0
    assert machine.unit.read_text(encoding="utf-8") == "[Service]\n"


@pytest.mark.parametrize(("apt_does", "exit_code"), [("true", 0), ("false", 1), ("kill -TERM $PPID", 143)])
def test_policy_of_the_administrator_is_asked_and_put_back(machine: Machine, apt_does: str, exit_code: int) -> None:
    text = _put_policy(machine, 42)
    assert machine.run("dcmtk", apt_does=apt_does).returncode == exit_code
    assert machine.answers()[:2] == ["orthanc 101", "cron 42"]
    assert machine.policy.read_text(encoding="utf-8") == text
    assert not (machine.folder / "sbin" / "policy-rc.d.qafila-saved").exists()


def test_policy_left_behind_by_a_killed_run_is_put_back_by_the_next(machine: Machine) -> None:
    text = _put_policy(machine, 42)
    assert machine.run("dcmtk", apt_does="kill -KILL $PPID").returncode == -signal.SIGKILL
    assert machine.policy.read_text(encoding="utf-8") != text
    assert machine.run("dcmtk").returncode == 0
    assert machine.policy.read_text(encoding="utf-8") == text


def test_old_package_lists_are_fetched_anew_when_an_install_fails(machine: Machine) -> None:
    assert machine.run("dcmtk", apt_does="false").returncode != 0
    calls = (machine.folder / "log" / "apt").read_text(encoding="utf-8").splitlines()
    assert [call.split()[-1] for call in calls] == ["dcmtk", "dcmtk", "update", "dcmtk"]


def test_set_up_without_root_or_sudo_says_what_is_missing(tmp_path: Path) -> None:
    tools = ("sh", "dirname", "grep", "cat", "printf")
    for tool in (*tools, "apt-get"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    for name, body in {"dpkg-query": "exit 1", "id": "echo 1000"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(SETUP), "run"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs root or sudo" in done.stderr
    assert "orthanc-dicomweb" in done.stderr
