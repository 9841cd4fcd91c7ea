"""``central.toml`` and what is rendered for Orthanc from it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from appliance.config import ConfigError
from central import pacs
from central.config import CentralConfig, load_central


def _load(tmp_path: Path, text: str) -> CentralConfig:
    path = tmp_path / "central.toml"
    path.write_text(text, encoding="utf-8")
    return load_central(path)


def test_empty_file_is_a_centre_with_defaults(tmp_path: Path) -> None:
    config = _load(tmp_path, "")
    assert (config.pacs.ae_title, config.pacs.http_port, config.pacs.remote_access) == ("CENTRAL", 8043, False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[pacs]\nhttp_prot = 1\n", "unknown key 'http_prot'"),
        ("[pacs]\nhttp_port = 0\n", ">= 1"),
        ("[pacs]\nhttp_port = 4000\ndicom_port = 4000\n", "both 4000"),
        ("[pacs]\nremote_access = true\n", "needs pacs.username"),
        ('[pacs]\nusername = "unit"\n', "go together"),
        ('[pacs]\npassword_file = "/x"\n', "go together"),
        (2 * '[[peer]]\nae_title = "A"\nhost = "h"\nport = 1\n', "two peers are called 'A'"),
    ],
)
def test_mistake_in_the_file_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _load(tmp_path, text)
    assert str(tmp_path / "central.toml") in str(refused.value)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_login_without_a_password_is_refused(tmp_path: Path, content: str | None) -> None:
    password_file = tmp_path / "password"
    if content is not None:
        password_file.write_text(content, encoding="utf-8")
    config = _load(tmp_path, f'[pacs]\nusername = "unit"\npassword_file = "{password_file}"\n')
    with pytest.raises(ConfigError, match=r"pacs\.password_file"):
        pacs.credentials(config)


def test_rendered_options_keep_everything_and_open_nothing(tmp_path: Path) -> None:
    options = pacs.render(_load(tmp_path, '[[peer]]\nae_title = "UNIT"\nhost = "10.0.0.9"\nport = 104\n'), None)
    assert options["OverwriteInstances"] is False
    assert (options["MaximumStorageSize"], options["MaximumPatientCount"]) == (0, 0)
    assert options["RemoteAccessAllowed"] is False
    assert options["DicomAlwaysAllowStore"] is False
    assert options["DicomModalities"]["UNIT"]["AllowStorageCommitment"] is True
    assert not any(options[key] for key in ("WebDavEnabled", "ExecuteLuaEnabled", "RestApiWriteToFileSystemEnabled"))


def test_written_options_are_readable_by_the_owner_alone(tmp_path: Path) -> None:
    config = _load(tmp_path, f'[centre]\ndata_dir = "{tmp_path}"\n')
    for _ in range(2):  # a second start replaces the first one's file
        path = pacs.write(config, ("unit", "secret"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert '"secret"' in path.read_text(encoding="utf-8")
