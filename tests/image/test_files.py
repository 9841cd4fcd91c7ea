"""What can be said of the image by reading its folder: sandboxes, partitions, firewall, what is on and what is not."""

from __future__ import annotations

import base64
import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "image"
EXTRA = IMAGE / "mkosi.extra"
UNITS = sorted(path for path in (EXTRA / "usr/lib/systemd/system").iterdir() if path.is_file())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
EXPOSURE_MAX = 2.5


def keys(path: Path) -> dict[str, dict[str, list[str]]]:
    """Sections of a systemd file; a key may stand in it more than once."""
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(section, {}).setdefault(name, []).append(value)
    return found


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_each_service_of_ours_is_locked_in(service: Path) -> None:
    done = analyze("security", "--offline=true", str(service))
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) < EXPOSURE_MAX, done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_a_service_without_a_sandbox_is_found(tmp_path: Path) -> None:
    (tmp_path / "open.service").write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    found = re.search(
        r"exposure level for .*: ([0-9.]+)",
        analyze("security", "--offline=true", str(tmp_path / "open.service")).stdout,
    )
    assert found and float(found[1]) > EXPOSURE_MAX


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_programs_that_services_start_are_in_the_image(service: Path) -> None:
    for line in keys(service)["Service"].get("ExecStart", []):
        program = line.split(" ")[0]
        ours = program.startswith("/usr/lib/qafila/") or program == "/usr/bin/qafila"
        assert not ours or (EXTRA / program[1:]).stat().st_mode & 0o111, program


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_what_a_unit_is_tied_to_exists(unit: Path) -> None:
    names = {each.name for each in UNITS}
    for section in ("Unit", "Install"):
        for key in ("Requires", "Wants", "After", "Before"):
            for value in keys(unit).get(section, {}).get(key, []):
                ours = [name for name in value.split() if name.startswith("qafila-")]
                assert set(ours) <= names, f"{key}={value}"


def test_no_file_is_a_link_that_a_copy_of_this_folder_lost() -> None:
    contents = {path: path.read_bytes() for path in EXTRA.rglob("*") if path.is_file()}
    lost = [path for path, content in contents.items() if path.is_symlink() or re.fullmatch(rb"/\S+", content)]
    assert lost == [], "links are made in mkosi.postinst.chroot"


def test_both_slots_are_of_one_size_and_hold_root_and_hashes() -> None:
    parts = {path.stem[3:]: keys(path)["Partition"] for path in sorted((IMAGE / "mkosi.repart").glob("*.conf"))}
    assert list(parts) == ["esp", "root-a", "root-a-verity", "root-b", "root-b-verity"]
    for kind in ("root", "root-verity"):
        a, b = (parts[kind.replace("root", f"root-{slot}", 1)] for slot in "ab")
        assert a["Type"] == b["Type"] == [kind]
        assert a["SizeMinBytes"] == a["SizeMaxBytes"] == b["SizeMinBytes"] == b["SizeMaxBytes"]
        assert b["Label"] == ["_empty"]
    assert parts["root-a"]["Verity"] == ["data"]


@pytest.mark.skipif(shutil.which("systemd-repart") is None, reason="no systemd-repart on this machine")
def test_partitions_fit_the_smallest_disk_and_leave_the_rest_to_data(tmp_path: Path) -> None:
    definitions = tmp_path / "repart.d"
    definitions.mkdir()
    for path in [*(IMAGE / "mkosi.repart").glob("*.conf"), *(EXTRA / "usr/lib/repart.d").glob("*.conf")]:
        kept = [
            line
            for line in path.read_text().splitlines()
            if not re.match(r"(Format|CopyFiles|Verity|Compress|Split)", line)
        ]
        (definitions / path.name).write_text("\n".join(kept).replace("qafila_%A", "qafila_1"), encoding="utf-8")
    disk = tmp_path / "disk.raw"
    done = subprocess.run(
        [
            "systemd-repart",
            "--empty=create",
            "--size=16G",
            "--dry-run=no",
            f"--definitions={definitions}",
            "--json=short",
            str(disk),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"type"') == 6, done.stdout
    assert disk.stat().st_blocks * 512 < 64 * 1024**2


def test_firewall_drops_what_no_line_allows_in_both_directions() -> None:
    rules = (EXTRA / "etc/nftables.conf").read_text(encoding="utf-8")
    assert re.findall(r"hook (\w+) priority filter; policy (\w+);", rules) == [
        ("input", "drop"),
        ("forward", "drop"),
        ("output", "drop"),
    ]
    forward = re.search(r"chain forward \{(.*?)\}", rules, re.DOTALL)
    assert forward and "accept" not in forward[1]


def test_nobody_can_come_in_by_ssh_and_nothing_but_the_preset_is_on() -> None:
    conf = (IMAGE / "mkosi.conf").read_text(encoding="utf-8")
    packages = {line.strip() for line in conf.split("Packages=")[1].split("\n[")[0].splitlines()}
    assert not [name for name in packages if "ssh" in name or "telnet" in name]
    preset = (EXTRA / "usr/lib/systemd/system-preset/00-qafila.preset").read_text(encoding="utf-8")
    assert preset.rstrip().endswith("disable *")
    assert not re.search(r"enable .*(getty|ssh)", preset)


def test_emergency_starts_the_machine_again_instead_of_asking() -> None:
    conf = (IMAGE / "mkosi.conf").read_text(encoding="utf-8")
    found = re.findall(r"systemd\.set_credential_binary=systemd\.unit-dropin\.emergency\.service:(\S+)", conf)
    lines = base64.b64decode(found[0]).decode("ascii").splitlines()
    assert lines == ["[Service]", "ExecStartPre=", "ExecStart=", "ExecStart=systemctl --force reboot"]


def test_nothing_from_a_stick_is_run_or_trusted() -> None:
    for name in ("data.mount", "var.mount", "var-log-journal.mount"):
        options = keys(EXTRA / "usr/lib/systemd/system" / name)["Mount"]["Options"][0].split(",")
        assert {"nodev", "nosuid", "noexec"} <= set(options), name
    usb = configparser.ConfigParser(delimiters=("=",), strict=True)
    usb.read_string("[usb]\n" + (EXTRA / "etc/usbguard/usbguard-daemon.conf").read_text(encoding="utf-8"))
    assert usb["usb"]["ImplicitPolicyTarget"] == "block"
    assert usb["usb"]["InsertedDevicePolicy"] == "apply-policy"


def test_updates_come_from_the_verified_folder_and_the_kernel_comes_last() -> None:
    transfers = sorted((EXTRA / "usr/lib/sysupdate.d").glob("*.transfer"))
    assert [path.stem[3:] for path in transfers] == ["root", "root-verity", "uki"]
    for path in transfers:
        assert keys(path)["Source"]["Path"] == ["/data/update/verified"]
        assert keys(path)["Transfer"]["ProtectVersion"] == ["%A"]
    assert keys(transfers[2])["Target"]["TriesLeft"] == ["3"]


@pytest.mark.parametrize(
    "script",
    [*sorted(IMAGE.glob("*.sh")), *sorted(IMAGE.glob("host/*.sh")), IMAGE / "mkosi.postinst.chroot"],
    ids=lambda p: p.name,
)
def test_scripts_are_plain_shell(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
