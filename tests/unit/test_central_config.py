"""``central.toml`` and what is rendered for Orthanc from it."""

from __future__ import annotations

import dataclasses
import re
import stat
from pathlib import Path

import pytest

from appliance.config import ConfigError, DicomwebDestination
from central import pacs
from central.config import CentralConfig, load_central
from central.limits import GatewayLimits


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
        ("[gateway]\nport = 8043\n", "gateway.port and pacs.http_port are both 8043"),
        ("[gateway]\nport = 4000\n[pacs]\ndicom_port = 4000\n", "gateway.port and pacs.dicom_port"),
        ('[gateway]\nbind = "0.0.0.0"\n', "needs gateway.certificate_file"),
        ('[gateway]\nbind = "gateway.example"\n', "needs gateway.certificate_file"),
        ('[gateway]\ncertificate_file = "/x"\n', "go together"),
        ('[gateway]\nkey_file = "/x"\n', "go together"),
        ("[gateway]\nparts_keep_days = -1.0\n", "must be 0 or more"),
        ("[gateway]\nbackup_horizon_days = inf\n", "must be 0 or more"),
        ("[gateway]\nenrol_code_hours = 0.0\n", "must be more than 0"),
        ("[gateway.limits]\nlane_count = 0\n", "gateway.limits.lane_count is 0"),
        ("[gateway.limits]\nflush_s_max = nan\n", "gateway.limits.flush_s_max is nan"),
        (
            "[gateway.limits]\nlanes_count = 3\n",
            "unknown key 'lanes_count' in gateway.limits; did you mean 'lane_count'?",
        ),
        ("[pacs]\nenabled = false\n", "needs a [handover] table"),
        ('[handover]\nkind = "gateway"\nname = "x"\nurl = "https://x.example"\n', "Invalid value"),
        (2 * '[[peer]]\nae_title = "A"\nhost = "h"\nport = 1\n', "two peers are called 'A'"),
    ],
)
def test_mistake_in_the_file_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _load(tmp_path, text)
    assert str(tmp_path / "central.toml") in str(refused.value)
    assert sentence in str(refused.value)


def test_gateway_listens_on_this_machine_only_and_hands_over_to_the_embedded_pacs(tmp_path: Path) -> None:
    config = _load(tmp_path, "[pacs]\nhttp_port = 9999\n")
    assert (config.gateway.enabled, config.gateway.bind, config.gateway.port) == (True, "127.0.0.1", 8070)
    destination = config.destination
    assert isinstance(destination, DicomwebDestination)
    assert destination.url == "http://127.0.0.1:9999/dicom-web"


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_certificate(tmp_path: Path, bind: str) -> None:
    assert _load(tmp_path, f'[gateway]\nbind = "{bind}"\n').gateway.bind == bind


def test_other_pacs_is_handed_over_to(tmp_path: Path) -> None:
    text = '[pacs]\nenabled = false\n[handover]\nkind = "dimse"\nname = "big"\nhost = "h"\nport = 104\n'
    config = _load(tmp_path, text + 'called_ae_title = "BIG"\n')
    assert config.destination == config.handover


def test_centre_without_a_gateway_needs_nothing_of_it(tmp_path: Path) -> None:
    text = '[gateway]\nenabled = false\nport = 8043\nbind = "0.0.0.0"\n[pacs]\nenabled = false\n'
    assert not _load(tmp_path, text).gateway.enabled


def test_limits_may_be_changed_one_by_one(tmp_path: Path) -> None:
    limits = _load(tmp_path, "[gateway.limits]\nlane_count = 3\nfree_bytes_floor = 0\n").gateway.limits
    assert (limits.lane_count, limits.free_bytes_floor, limits.worker_count) == (3, 0, GatewayLimits().worker_count)


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


def test_page_of_the_gateway_names_every_bound_with_its_default_and_no_other() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "gateway.md"
    rows = re.findall(r"^\| `(\w+)` \| ([0-9.]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {field.name: str(field.default) for field in dataclasses.fields(GatewayLimits)}
