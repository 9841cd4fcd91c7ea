"""``qafila central enrol | units | revoke | studies | new-epoch``, beside a running gateway."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.main import main
from sync.wire import messages as m
from tests.gateway.rig import Gateway, Pacs, Unit, picture_in_parts
from tests.support.world import wait_for


def run(gateway: Gateway, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, output and error text of one command."""
    capsys.readouterr()
    code = main(["central", *words, "--config", str(gateway.toml)])
    said = capsys.readouterr()
    return code, said.out, said.err


def run_json(gateway: Gateway, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    _, out, _ = run(gateway, capsys, *words, "--json")
    shown: dict[str, Any] = json.loads(out)
    return shown


def test_code_is_printed_once_and_takes_the_unit_in(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(gateway, capsys, "enrol", "cli-van")
    assert code == 0
    shown, sentence = out.splitlines()
    assert re.fullmatch(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", shown)
    assert "within 24 hours" in sentence
    with Unit(gateway.url, "cli-van") as unit:
        from sync.wire.proofs import plain_code

        assert unit.enrol(plain_code(shown.lower())).status_code == 200
    code, _, err = run(gateway, capsys, "enrol", "cli-van")
    assert code == 2
    assert "There is a unit cli-van already. Nothing was changed." in err


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "../x", "a\nb"])
def test_name_that_is_none_is_refused(gateway: Gateway, capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, _, err = run(gateway, capsys, "enrol", name)
    assert code == 2
    assert "Nothing was changed" in err


def test_units_are_listed_with_their_alarms(gateway: Gateway, unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    unit.inbox()
    shown = {one["name"]: one for one in run_json(gateway, capsys, "units")["units"]}[unit.name]
    assert (shown["unit_id"], shown["revoked_at"], shown["alarms"]) == (unit.unit_id, "", [])
    assert shown["session_count"] == 1
    unit.lineage = "another past"
    assert unit.open_session().status_code == 403
    code, out, _ = run(gateway, capsys, "units")
    assert code == 1, "somebody has to look"
    assert "there are two copies of it" in out
    assert run(gateway, capsys, "revoke", unit.name)[0] == 0
    assert "revoked" in next(line for line in run(gateway, capsys, "units")[1].splitlines() if unit.name in line)


def test_unit_that_says_it_is_in_trouble_is_named_with_what_to_do(
    gateway: Gateway, unit: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"at": "2020-01-01T00:00:00.000Z", "disk_level": "alarm", "disk_free_bytes": 2_000_000_000}
    assert unit.http.post("/v1/status", json=said, headers=unit.auth).status_code == 200
    code, out, _ = run(gateway, capsys, "units")
    assert code == 1
    assert "  ALARM Its disk is filling up, 2.0 GB are free." in out and "  ALARM Its clock is not right" in out
    shown = {one["name"]: one for one in run_json(gateway, capsys, "units")["units"]}[unit.name]["standing"]
    assert (shown["alarms"], shown["report"]["disk_free_bytes"]) == (["disk", "clock"], 2_000_000_000)
    assert shown["silent_s"] < 3600 and shown["clock_ahead_s"] < -1e8
    assert run(gateway, capsys, "revoke", unit.name)[0] == 0
    assert {one["name"]: one for one in run_json(gateway, capsys, "units")["units"]}[unit.name]["standing"] is None


def test_revoking_an_unknown_unit_is_a_sentence(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(gateway, capsys, "revoke", "nobody", "--json")
    assert code == 4
    assert json.loads(out)["code"] == "no-such-unit"
    assert "Nothing was changed" in err


def test_studies_show_the_first_look_and_when_all_is_proved(
    gateway: Gateway, unit: Unit, pacs: Pacs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = picture_in_parts(tmp_path, 60_000, 800)

    def study() -> dict[str, Any]:
        (found,) = run_json(gateway, capsys, "studies", picture.study_uid)["studies"]
        return dict(found)

    info = m.StudyInfo(patient_name="DOE^JANE", study_date="20260101", modality="DX")
    unit.announce(picture, priority="stat", study=info)
    found = study()
    assert (found["unit_name"], found["priority"], found["patient_name"]) == (unit.name, "stat", "DOE^JANE")
    assert (found["first_look_at"], found["all_verified_at"], found["verified_count"]) == ("", "", 0)
    unit.send_part(picture.preview)
    found = study()
    assert found["announced_at"] <= found["first_look_at"] == found["instances"][0]["preview_at"]
    assert unit.append(picture.instance.pixels, picture.pixels[:10_000]).status_code == 204
    parts = {part["kind"]: part for part in study()["instances"][0]["parts"]}
    assert (parts["pixels"]["offset_bytes"], parts["pixels"]["complete"]) == (10_000, False)
    assert (parts["preview"]["complete"], parts["header"]["offset_bytes"]) == (True, 0)
    unit.send(picture)
    unit.wait_for_entries(1)
    found = study()
    (instance,) = found["instances"]
    assert instance["state"] == "verified"
    assert instance["complete_at"] <= instance["rebuilt_at"] <= instance["verified_at"] == found["all_verified_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", instance["verified_at"])
    _, out, _ = run(gateway, capsys, "studies", picture.study_uid)
    assert "all verified" in out
    assert "JANE" in out


def test_study_with_a_missing_instance_is_not_all_verified(
    gateway: Gateway, unit: Unit, pacs: Pacs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, refused = (picture_in_parts(tmp_path / str(i), 5_000, 810 + i) for i in range(2))
    import dataclasses

    refused = dataclasses.replace(refused, study_uid=picture.study_uid)
    unit.announce(picture, refused)
    for content in [*picture.contents.values(), *refused.contents.values()]:
        unit.send_part(content)
    unit.wait_for_entries(2)
    (found,) = run_json(gateway, capsys, "studies", picture.study_uid)["studies"]
    assert (found["verified_count"], found["refused_count"], found["all_verified_at"]) == (1, 1, "")
    assert "1 of 2 verified, 1 refused" in run(gateway, capsys, "studies", picture.study_uid)[1]


def test_unknown_study_and_empty_centre_are_sentences(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No unit has announced such a study." in run(gateway, capsys, "studies", "9.9.9")[1]
    assert run_json(gateway, capsys, "studies", "9.9.9") == {"studies": []}


@pytest.mark.parametrize("action", ["units", "studies", "new-epoch"])
def test_database_that_cannot_be_opened_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    toml = tmp_path / "central.toml"
    toml.write_text(f'[centre]\ndata_dir = "{tmp_path}"\n')
    (tmp_path / "gateway.db").write_bytes(b"this is no database, whatever its name says" * 100)
    assert main(["central", action, "--config", str(toml)]) == 3
    said = capsys.readouterr().err
    assert "the gateway's database cannot be used" in said
    assert "Nothing was changed" in said


def test_commands_do_not_disturb_a_running_gateway(
    gateway: Gateway, unit: Unit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit.send(picture_in_parts(tmp_path, 5_000, 820))
    for _ in range(5):
        run(gateway, capsys, "studies")
        run(gateway, capsys, "units")
    wait_for(lambda: unit.inbox().head == 1, "its receipt")
