"""``qafila config``: what is wrong is said with what to write instead; what is shown reads back the same."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

import pytest

from appliance.cli.config import to_toml
from appliance.cli.main import main
from appliance.config import ConfigError, load_unit
from central.config import CentralConfig, load_central

FINE = """
[unit]
data_dir = "{folder}/data"
[dicom]
port = {ports[0]}
[orthanc]
command = "sh"
dicom_port = {ports[1]}
http_port = {ports[2]}
python_plugin = "{folder}/plugin.so"
dicomweb_plugin = "{folder}/plugin.so"
[[modality]]
ae_title = "XRAY"
[[destination]]
kind = "dicomweb"
name = "centre"
url = "https://pacs.example/dicom-web"
username = "u"
password_file = "{folder}/secret"
"""


@pytest.fixture
def fine(tmp_path: Path) -> str:
    (tmp_path / "plugin.so").touch()
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [each.getsockname()[1] for each in sockets]
    return FINE.format(folder=tmp_path, ports=ports)


def _check(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    path = tmp_path / "unit.toml"
    path.write_text(text, encoding="utf-8")
    code = main(["config", "check", str(path)])
    out, err = capsys.readouterr()
    return code, out + err


def test_check_says_fine(tmp_path: Path, fine: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _check(tmp_path, fine, capsys)
    assert (code, said) == (0, f"{tmp_path / 'unit.toml'}: fine\n")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('[[modality]]\nae_title = "XRAY"', "", "nobody may send"),
        ("[[modality]]", '[[modality]]\nae_title = "XRAY"\n[[modality]]', "listed more than once"),
        ("https://pacs", "http://pacs", "unencrypted"),
        ("https://pacs.example", "pacs.example", "is no web address"),
        ('username = "u"', "", "go together"),
        ('command = "sh"', 'command = "no-such-orthanc"', "Orthanc is not here"),
        ("plugin.so", "missing.so", "cannot be read: No such file"),
    ],
)
def test_check_names_each_doubt(
    tmp_path: Path, fine: str, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    assert old in fine
    code, said = _check(tmp_path, fine.replace(old, new), capsys)
    assert code == 1 and words in said


def test_check_warns_without_a_destination(tmp_path: Path, fine: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _check(tmp_path, fine.split("[[destination]]")[0], capsys)
    assert code == 1 and "studies stay on this unit" in said


def test_check_warns_of_a_secret_that_others_can_read(
    tmp_path: Path, fine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").chmod(0o644)
    code, said = _check(tmp_path, fine, capsys)
    assert code == 1 and "can be read by others" in said and "chmod 600" in said


def test_check_warns_of_a_relative_data_folder(tmp_path: Path, fine: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _check(tmp_path, fine.replace(f"{tmp_path}/data", "data"), capsys)
    assert code == 1 and "relative path" in said


def test_check_warns_of_a_port_in_use(tmp_path: Path, fine: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        lines = [f"port = {port}" if line.startswith("port =") else line for line in fine.splitlines()]
        code, said = _check(tmp_path, "\n".join(lines), capsys)
    assert code == 1 and f"port {port} on 0.0.0.0 cannot be used" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[unit]\nnmae = 'x'", "did you mean 'name'"),
        ("[unit", "is not TOML"),
        ("[dicom]\nport = 99999", "dicom"),
    ],
)
def test_check_of_a_file_that_cannot_be_used_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    code, said = _check(tmp_path, text, capsys)
    assert code == 3 and words in said and "Traceback" not in said


def test_show_reads_back_to_the_same_configuration(tmp_path: Path, fine: str) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(fine, encoding="utf-8")
    config = load_unit(path)
    path.write_text(to_toml(config), encoding="utf-8")
    assert load_unit(path) == config


def test_samples_are_valid_and_the_centre_s_is_all_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for which in ("unit", "central"):
        assert main(["config", "sample", which]) == 0
        (tmp_path / f"{which}.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_unit(tmp_path / "unit.toml").destination
    assert load_central(tmp_path / "central.toml") == CentralConfig()
    assert main(["config", "check", str(tmp_path / "central.toml")]) == 0


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("[limits]\nbackoff_s_first = 0.0", "limits.backoff_s_first"),
        ("[limits]\ntransfer_item_count_max = 0", "limits.transfer_item_count_max"),
        ("[limits]\nverify_poll_s_max = nan", "limits.verify_poll_s_max"),
        ("[limits]\nfree_bytes_floor = -1", "limits.free_bytes_floor"),
        ("[retention]\nkeep_days_min = -1", "retention.keep_days_min"),
        ("[retention]\nbackup_horizon_days = nan", "retention.backup_horizon_days"),
    ],
)
def test_bound_that_bounds_nothing_is_refused_with_its_key(tmp_path: Path, table: str, key: str) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(table)
    with pytest.raises(ConfigError, match=re.escape(key)):
        load_unit(path)


@pytest.mark.parametrize(
    "text", ['[unit]\ndata_dir = ""', '[unit]\nname = "a\\n"', '[dicom]\nae_title = "  "', "limits = 3"]
)
def test_value_that_no_process_could_use_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_unit(path)


def test_disk_floors_may_be_zero(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    path.write_text("[limits]\nfree_bytes_floor = 0\nfree_inode_floor = 0\n")
    assert load_unit(path).limits.free_bytes_floor == 0


@pytest.mark.parametrize(("proof", "lacking"), [("move", "commitment_port"), ("wado", "wado_url")])
def test_proof_that_lacks_what_it_needs_is_refused(tmp_path: Path, proof: str, lacking: str) -> None:
    toml = tmp_path / "unit.toml"
    peer = 'kind = "dimse"\nname = "pacs"\nhost = "127.0.0.1"\nport = 104\ncalled_ae_title = "PACS"'
    toml.write_text(f'[[destination]]\n{peer}\nproof = "{proof}"\n')
    with pytest.raises(ConfigError, match=lacking):
        load_unit(toml)
