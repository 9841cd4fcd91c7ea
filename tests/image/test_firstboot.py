"""First boot: what is asked, and the files that follow from the answers are ones that their readers accept."""

from __future__ import annotations

import configparser
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import handed
from appliance.cli.main import main
from appliance.config import load_unit
from appliance.firstboot import disk
from appliance.firstboot.answers import AnswersError, checked, files, read_answers
from appliance.firstboot.dialogue import Terminal, ask_all, show_recovery_key

EXTRA = Path(__file__).resolve().parents[2] / "image" / "mkosi.extra"
FIREWALL = EXTRA / "etc" / "nftables.conf"
TEXT = """
name = "unit-07"
passphrase = "correct horse battery"
modality_interface = "enp2s0"
modalities = ["XRAY", "SONO"]
report_ports = [104]
centre_host = "gateway.example"
centre_code = "ABCD-EFGH-JKMN-PQRS"
language = "ar"
time_servers = ["time.example"]
wifi_name = "Café; the \\u0645"
wifi_password = "back\\\\slash and more"
sim_apn = "internet"
tpm_pin = "864209"
supervisor = " Amina  Benali "
supervisor_pin = "730164"
"""
HAS_CRYPTSETUP = shutil.which("cryptsetup", path="/usr/sbin:/sbin") is not None
CHEAP = ("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000")


def test_configuration_of_a_new_unit_is_one_that_the_unit_accepts(tmp_path: Path) -> None:
    (tmp_path / "unit.toml").write_text(files(read_answers(TEXT))["etc/unit.toml"], encoding="utf-8")
    config = load_unit(tmp_path / "unit.toml")
    assert config.unit.name == "unit-07"
    assert [modality.ae_title for modality in config.modality] == ["XRAY", "SONO"]
    assert [destination.name for destination in config.destination] == ["centre"]
    assert config.screen.language == "ar"


def test_code_of_the_centre_waits_for_the_first_contact() -> None:
    name = "unit/handed/enrol-code"
    assert files(read_answers(TEXT))[name] == "ABCD-EFGH-JKMN-PQRS\n"
    assert name not in files(msgspec.structs.replace(read_answers(TEXT), centre_code=""))


def test_unit_finds_what_the_first_boot_hands_over_where_it_looks(tmp_path: Path) -> None:
    made = files(read_answers(TEXT))
    (tmp_path / "unit.toml").write_text(made["etc/unit.toml"], encoding="utf-8")
    folder = load_unit(tmp_path / "unit.toml").handed_dir
    assert {f"/data/{name}" for name in made if "handed" in name} == {
        str(folder / handed.CODE),
        str(folder / handed.SUPERVISOR),
    }


@pytest.mark.parametrize(
    ("subsystem", "needed"), [(disk.UNFINISHED, True), (disk.MADE, False), ("(no subsystem)", False)]
)
def test_disk_is_made_once_and_again_only_when_that_was_cut(subsystem: str, needed: bool) -> None:
    assert disk.is_needed(f"LUKS header information\nVersion:\t2\nSubsystem:\t{subsystem}\n") is needed


@pytest.mark.skipif(not HAS_CRYPTSETUP, reason="no cryptsetup here")
def test_disk_that_is_not_locked_yet_is_made_and_one_with_a_damaged_head_is_not(tmp_path: Path) -> None:
    partition = tmp_path / "partition"
    partition.write_bytes(bytes(16 * 1024**2))
    assert disk.is_needed(disk.dump(partition))
    partition.write_bytes(b"LUKS\xba\xbe" + bytes(16 * 1024**2))
    with pytest.raises(disk.DiskError, match="damaged"):
        disk.dump(partition)


def test_passphrase_and_pins_are_in_no_file() -> None:
    answers = read_answers(TEXT)
    for secret in (answers.passphrase, answers.tpm_pin, answers.supervisor_pin):
        assert not [name for name, text in files(answers).items() if secret in text]


@settings(deadline=None)
@given(name=st.text(max_size=32), password=st.text(max_size=63))
def test_no_wifi_name_or_password_can_write_a_line_of_its_own(name: str, password: str) -> None:
    lines = "name = 'u'\npassphrase = 'correct horse battery'\nmodality_interface = 'eth0'\n"
    base = read_answers(lines)
    try:
        answers = checked(msgspec.structs.replace(base, wifi_name=name, wifi_password=password))
    except AnswersError:
        return
    made = files(answers).get("network/wifi.nmconnection")
    if made is None:
        return
    parsed = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True)
    parsed.read_string(made)
    assert set(parsed.sections()) <= {"connection", "wifi", "wifi-security", "ipv4", "ipv6"}
    assert bytes(int(part) for part in parsed["wifi"]["ssid"].split(";") if part).decode() == name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("modality_address = '8.8.8.8/24'", "no private address"),
        ("modality_address = '192.168.1.1'", "no private address"),
        ("modality_interface = 'a; drop'", "modality_interface"),
        ("passphrase = 'short'", "passphrase"),
        ("passphrase = 'phrase secrète'", "without accents"),
        ("tpm_pin = '12345'", "tpm_pin"),
        ("tpm_pin = '123456'", "tpm_pin"),
        ("tpm_pin = 'abcdef'", "tpm_pin"),
        ("supervisor = 'Amina'", "go together"),
        ("supervisor_pin = '730164'", "go together"),
        ("supervisor_pin = '1111'", "supervisor_pin"),
        ("keyboard = 'xx'", "keyboard"),
        ("wifi_password = 'short'", "8 characters"),
        ("sim_apn = 'a\\nb'", "sim_apn"),
        ("centre_host = 'a b'", "centre_host"),
        ("centre_code = 'a;b'", "centre_code"),
        ("centre_code = 'ABCD'", "no name of that centre"),
        ("language = 'xx'", "language"),
        ("colour = 'red'", "colour"),
    ],
)
def test_answer_that_cannot_be_used_is_named(line: str, said: str) -> None:
    key = line.split(" ")[0]
    others = {
        "name": "name = 'u'",
        "passphrase": "passphrase = 'correct horse battery'",
        "modality_interface": "modality_interface = 'eth0'",
        key: line.replace("'", '"'),
    }
    with pytest.raises(AnswersError, match=said):
        read_answers("\n".join(others.values()))


@pytest.mark.skipif(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="no nft here")
def test_firewall_takes_the_elements_of_this_unit(tmp_path: Path) -> None:
    rules = (
        FIREWALL.read_text(encoding="utf-8").replace("skuid qafila", "skuid 900").replace("skuid _chrony", "skuid 901")
    )
    (tmp_path / "all.nft").write_text(rules + files(read_answers(TEXT))["etc/network.nft"], encoding="utf-8")
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") or ""
    done = subprocess.run([nft, "-c", "-f", str(tmp_path / "all.nft")], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "cache initialization failed" in done.stderr:
        pytest.skip("nft may not ask this kernel")
    assert done.returncode == 0, done.stderr


def test_people_are_asked_again_until_the_answers_can_be_used() -> None:
    spoken, keymaps = list[str](), list[str]()
    first = [
        "xx",
        "",
        "fr",
        "Unit 7",
        "unit-7",
        "",
        "8.8.8.8/24",
        "10.0.0.1/16",
        "",
        "XRAY, SONO",
        "",
        "Café",
        "",
        "",
        "n",
    ]
    second = ["us", "en", "", "", "", "", "XRAY", "", "-", "", "Amina", "o"]
    secrets = ["wifi password", *["long enough secret"] * 2]
    secrets += ["1111", "730164", "730165", *["730164"] * 2, "short", "long enough secret", "something else 12"]
    secrets += ["long enough secret"] * 2
    typed, hidden = iter([*first, *second]), iter(secrets)
    terminal = Terminal(lambda text: next(typed), lambda text: next(hidden), spoken.append, keymaps.append)
    answers = ask_all(terminal, ("enp1s0", "enp2s0"))
    assert (answers.name, answers.language, answers.keyboard) == ("unit-7", "en", "us")
    assert answers.modality_interface == "enp1s0"
    assert answers.modality_address == "10.0.0.1/16"
    assert answers.modalities == ("XRAY",)
    assert answers.wifi_name == answers.wifi_password == answers.tpm_pin == ""
    assert (answers.supervisor, answers.supervisor_pin) == ("Amina", "730164")
    assert keymaps == ["fr-latin9", "us"]
    unusable = [line for line in spoken if "cannot be used" in line]
    assert [line.split(" : ")[1].split(":")[0] for line in unusable] == [
        "keyboard",
        "name",
        "modality_address '8.8.8.8/24' is no private address with its /8 to /30",
        "supervisor_pin",
        "passphrase",
    ]
    assert sum("Not the same" in line for line in spoken) == 2
    assert next(typed, None) is next(hidden, None) is None


def test_pin_of_the_disk_is_asked_for_where_there_is_a_tpm() -> None:
    typed = iter(["", "", "unit-7", *[""] * 8, "y"])
    hidden = iter([*["long enough secret"] * 2, "12345", "864209", "864209"])
    terminal = Terminal(lambda text: next(typed), lambda text: next(hidden), lambda text: None)
    answers = ask_all(terminal, ("enp1s0",), has_tpm=True)
    assert answers.tpm_pin == "864209"
    assert next(typed, None) is next(hidden, None) is None


def test_recovery_key_is_shown_until_it_was_written_down() -> None:
    key, spoken = disk.recovery_key(), list[str]()
    typed = iter(["", "wrong", key[-5:].upper()])
    show_recovery_key(Terminal(lambda text: next(typed), lambda text: "", spoken.append), key)
    assert sum(key in line for line in spoken) == 1
    assert next(typed, None) is None


def test_recovery_keys_are_long_and_never_the_same() -> None:
    keys = {disk.recovery_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key.replace("-", "")) == 40 and key.replace("-", "").isalpha() for key in keys)


@pytest.mark.skipif(not HAS_CRYPTSETUP, reason="no cryptsetup here")
def test_recovery_key_opens_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_MEMORY", tmp_path)
    device, key = locked(tmp_path), disk.recovery_key()
    disk._add_key(PASSPHRASE, key.encode(), device)
    assert opens(device, key.encode())
    assert not opens(device, b"another secret")


@pytest.mark.skipif(not HAS_CRYPTSETUP, reason="no cryptsetup here")
def test_keymap_is_read_by_the_script_that_asks_while_the_disk_is_locked(tmp_path: Path) -> None:
    device = locked(tmp_path)
    disk.name_keymap("fr-latin9", device)
    script = (EXTRA / "usr/lib/qafila/console").read_text(encoding="utf-8")
    reads = script.split("keymap=$(")[1].split(") ||")[0].replace('"$disk"', str(device))
    done = subprocess.run(("sh", "-c", reads), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fr-latin9"
    assert opens(device, PASSPHRASE)


PASSPHRASE = b"long enough secret"


def locked(folder: Path) -> Path:
    """A small LUKS2 partition."""
    device = folder / "partition"
    device.write_bytes(bytes(32 * 1024**2))
    command = ("cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", *CHEAP, "--key-file=-", str(device))
    subprocess.run(command, input=PASSPHRASE, check=True)
    return device


def opens(device: Path, key: bytes) -> bool:
    """Whether a passphrase or recovery key opens it."""
    command = ("cryptsetup", "open", "--test-passphrase", "--key-file=-", str(device))
    return subprocess.run(command, input=key, check=False).returncode == 0


def test_secrets_of_networks_are_readable_by_root_alone(tmp_path: Path) -> None:
    made = files(read_answers(TEXT))
    disk.write_all(tmp_path, made)
    for name, text in made.items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == (0o600 if name.startswith("network/") else 0o644)


def test_unit_without_a_socket_for_modalities_is_not_enrolled() -> None:
    answers = read_answers("name = 'u'\npassphrase = 'correct horse battery'\n")
    with pytest.raises(AnswersError, match="no network socket"):
        files(answers)


def test_processor_without_aes_gets_adiantum() -> None:
    pi4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
    pi5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n"
    assert "adiantum" in disk.cipher_for(disk.cpu_flags(pi4))[0]
    assert disk.cipher_for(disk.cpu_flags(pi5))[0] == "--cipher=aes-xts-plain64"


def test_machine_that_is_no_appliance_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("appliance.cli.firstboot.DEVICE", tmp_path / "none")
    assert main(["firstboot"]) == 3
    assert "Nothing was changed" in capsys.readouterr().err
