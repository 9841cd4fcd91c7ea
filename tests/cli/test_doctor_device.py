"""``qafila doctor device`` where nothing runs: what it says, keeps and refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.running import Qafila


def test_every_device_is_looked_at_and_kept_on_record(bare: Qafila) -> None:
    said = bare("doctor", "device")
    assert said.code == 1
    assert "XRAY" in said.out and "The gatekeeper is silent" in said.out
    first, second = (bare("doctor", "device", "--json").facts["devices"][0] for _ in range(2))
    assert first == second, "a second look begins nothing new"
    assert {row["step"]: row["outcome"] for row in first["steps"]}["store"] == "waiting"
    assert bare("worklist", "--json").facts["registrations"][0]["station_ae_title"] == "XRAY"


def test_again_takes_the_exam_before_off_the_list(bare: Qafila) -> None:
    before = bare("doctor", "device", "XRAY", "--no-wait", "--json").facts["devices"][0]["accession_number"]
    after = bare("doctor", "device", "XRAY", "--no-wait", "--again", "--modality", "us", "--json").facts["devices"][0]
    listed = bare("worklist", "--json").facts["registrations"]
    assert [(row["accession_number"], row["modality"]) for row in listed] == [(after["accession_number"], "US")]
    assert before != after["accession_number"]
    assert (
        len({row["patient_id"] for row in bare("worklist", "--state", "cancelled", "--json").facts["registrations"]})
        == 1
    )


def test_device_that_lacks_much_is_waived_and_stays_so(bare: Qafila) -> None:
    bare("doctor", "device", "XRAY", "--no-wait", "--without", "mpps,commitment")
    (device,) = bare("doctor", "device", "XRAY", "--no-wait", "--json").facts["devices"]
    assert [row["step"] for row in device["steps"] if row["outcome"] == "waived"] == ["mpps", "commitment"]


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("device", "XRAI"), 4, "Did you mean XRAY?"),
        (("device", "--without", "store"), 2, "A device may lack"),
        (("--again",), 2, "belong to 'qafila doctor device'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(bare: Qafila, words: tuple[str, ...], code: int, hint: str) -> None:
    said = bare("doctor", *words)
    assert (said.code, hint in said.err) == (code, True), said.err


def test_doctor_notices_devices_that_were_never_tried_out_and_calls_nobody_for_it(bare: Qafila) -> None:
    (devices,) = (row for row in bare("doctor", "--json").facts["checks"] if row["check"] == "devices")
    assert devices["level"] == "notice"
    assert "XRAY" in devices["sentence"]


def test_next_day_gets_an_exam_of_its_own_in_the_same_record(bare: Qafila, tmp_path: Path) -> None:
    """A console asks for today."""
    before = bare("doctor", "device", "--json").facts["devices"][0]
    with closing(sqlite3.connect(tmp_path / "data" / "unit.db")) as db, db:
        db.execute("UPDATE registration SET scheduled_at = '2026-01-05T08:00:00.000Z'")
    after = bare("doctor", "device", "--json").facts["devices"][0]
    assert before["began_at"] == after["began_at"]
    assert [row["accession_number"] for row in bare("worklist", "--json").facts["registrations"]] == [
        after["accession_number"]
    ]
    assert before["accession_number"] != after["accession_number"]
