"""The conformance statement says what the code offers: no list on the page is longer or shorter than the real one."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from appliance.config import DicomTable, DimseDestination, OrthancTable, ServicesTable, UnitConfig
from appliance.dicom.worklist_item import CHARACTER_SETS, worklist_entry
from appliance.domain.limits import GIB, KIB, MIB, LimitSet
from appliance.domain.registration import Identifier, IdentifierKind, PatientDetails, Sex
from appliance.gatekeeper import pdu, violations
from appliance.gatekeeper.handshake import REJECTIONS
from appliance.imports import objects
from appliance.orthanc import door, worklist_query
from appliance.services import judging, server, step_rules
from sync.adapters import commitment, moving, storing
from tests.registration.made import AICHA, order, patient, registration

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """From a heading to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def uids(title: str) -> list[str]:
    """UIDs of a section's table, in order."""
    return re.findall(r"^\| [^|]+ \| `([\d.]+)` \|", section(title), re.MULTILINE)


def codes(title: str) -> set[int]:
    return {int(code, 16) for code in re.findall(r"^\| `0x([0-9A-F]{4})` \|", section(title), re.MULTILINE)}


def tags(title: str) -> list[str]:
    """Tags of a section's table, each beside the name that the dictionary has for it."""
    rows = re.findall(r"^\| ([^|]+) \| \(([0-9A-F]{4}),([0-9A-F]{4})\) \|", section(title), re.MULTILINE)
    for name, group, element in rows:
        assert name == dictionary_description(int(group + element, 16))
    return [group + element for _, group, element in rows]


def test_every_uid_has_the_name_that_the_standard_gives_it() -> None:
    rows = re.findall(r"^\| ([^|`]+) \| `(1\.2\.840[\d.]+)` \|", PAGE, re.MULTILINE)
    assert len(rows) > 100
    for name, uid in rows:
        if name == "application context":
            continue
        known = UID_dictionary[uid][0].replace(" (Retired)", "")
        retired = " (retired)" if UID_dictionary[uid][3] == "Retired" and " SOP Class" not in name else ""
        assert name in (known, known + retired), uid


def test_storage_lists_name_each_class_once_and_only_classes_of_storage() -> None:
    listed = [*uids("Storage SOP classes"), *uids("Not accepted")]
    assert len(listed) == len(set(listed)) > 50
    assert all("Storage" in UID_dictionary[uid][0] for uid in listed)


@pytest.mark.parametrize(
    ("title", "offered"),
    [
        ("Services transfer syntaxes", server.SYNTAXES),
        ("Sender fallback transfer syntaxes", storing.FALLBACKS),
        ("Sender commitment transfer syntaxes", [syntax for _, syntax in commitment.CONTEXTS]),
    ],
)
def test_transfer_syntaxes_are_those_that_are_offered(title: str, offered: list[str]) -> None:
    assert set(uids(title)) == set(map(str, offered))
    assert {syntax for _, syntax in moving.CONTEXTS} == {"1.2.840.10008.1.2"}
    assert "C-FIND and C-MOVE: Implicit VR Little Endian." in PAGE


def test_services_are_those_that_the_server_accepts() -> None:
    from appliance.gatekeeper.route import SERVICES, VERIFICATION

    assert set(uids("Services SOP classes")) == SERVICES | {VERIFICATION}


def test_objects_of_our_own_are_those_that_are_made() -> None:
    made = {str(row[0]) for row in objects._SERIES.values()}
    assert set(uids("Objects of our own")) == made | {str(KeyObjectSelectionDocumentStorage)}


def item() -> Dataset:
    """With everything that may stand in one."""
    known = PatientDetails(name=AICHA, sex=Sex.FEMALE, age_text="045Y", weight_kg=61.5)
    own, other = (Identifier("unit-01", value, IdentifierKind.UNIT) for value in ("U1-1", "U1-2"))
    who = replace(patient(known), identifiers=(own, other))
    at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    made = worklist_entry(who, registration(order()), own, at, "unit-01")
    return pydicom.dcmread(io.BytesIO(made.item_utf8))


def test_worklist_attributes_are_those_of_an_answer() -> None:
    answer = item()
    assert sorted(tags("Worklist attributes")) == [f"{element.tag:08X}" for element in answer]
    (step,) = answer.ScheduledProcedureStepSequence
    assert sorted(tags("Worklist attributes of the scheduled step")) == [f"{element.tag:08X}" for element in step]


def test_mpps_attributes_are_those_that_are_looked_for() -> None:
    assert tags("MPPS attributes needed") == [f"{tag_for_keyword(keyword):08X}" for keyword in step_rules._CREATED]
    said = " ".join(section("MPPS attributes needed").split())
    for keywords in (step_rules._ENDED, step_rules._DOSE):
        assert ", ".join(dictionary_description(tag_for_keyword(keyword) or 0) for keyword in keywords) in said


def test_failure_reasons_and_statuses_are_those_that_are_answered() -> None:
    reasons = {judging.PROCESSING_FAILURE, judging.NO_SUCH_INSTANCE, judging.CLASS_INSTANCE_CONFLICT}
    assert codes("Commitment failure reasons") == reasons
    of_door = {value for name, value in vars(door).items() if name.startswith("STATUS_")}
    of_gatekeeper = {rule.status for rule in violations.RULES.values()}
    assert codes("Storage statuses") == of_door | of_gatekeeper


def test_rejections_are_those_of_the_gatekeeper() -> None:
    said = {tuple(map(int, triple)) for triple in re.findall(r"(\d), (\d), (\d)", section("Association policies"))}
    assert f"| application context | `{pdu.APPLICATION_CONTEXT}` |" in PAGE
    assert said == {(one.result, one.source, one.reason) for one in REJECTIONS.values()}


def test_character_sets_are_those_that_are_read_and_answered() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|$", section("Worklist character sets"), re.MULTILINE))
    assert {key: "" if value == "none" else value for key, value in rows.items()} == CHARACTER_SETS
    assert set(re.findall(r"`(ISO_IR \d+)`", section("Query character sets"))) >= set(worklist_query._CODECS)
    assert re.findall(r"^\| `(ISO_IR \d+)` \|$", PAGE, re.MULTILINE) == sorted(worklist_query._CODECS)


def test_ports_titles_and_bounds_are_the_defaults() -> None:
    limits, unit = LimitSet(), UnitConfig()
    rows = dict(re.findall(r"^\| `([\w.]+)`[^|]* \| (\d+) \|", section("Ports"), re.MULTILINE))
    destination = DimseDestination(name="pacs", host="h", port=104, called_ae_title="PACS")
    assert rows == {
        "dicom.port": str(DicomTable().port),
        "services.device_port": str(ServicesTable().device_port),
        "commitment_port": str(destination.commitment_port),
    }
    loopback = OrthancTable()
    for said in (
        f"`orthanc.dicom_port` {loopback.dicom_port}, `orthanc.http_port` {loopback.http_port}, `services.port` "
        f"{ServicesTable().port}",
        f"| {limits.connection_count_max}, of one address {limits.connection_count_per_peer_max} |",
        f"| maximum PDU offered | {limits.pdu_bytes_max} bytes; ",
        f"| idle | ended after {limits.idle_s_max:.0f} s |",
        f"| length | ended after {limits.association_s_max:.0f} s |",
        f"maximum PDU offered {server.PDU_BYTES_MAX} bytes",
        f"more\nthan {limits.service_data_set_bytes_max // MIB} MiB ends",
        f"At most {limits.commitment_reference_count_max:,} references",
        f"less than {limits.free_bytes_floor // MIB} MiB or {limits.free_inode_floor:,} inodes",
        f"An object beyond {limits.object_bytes_max // GIB} GiB",
        f"did not come within {late_s(limits) / 60:.1f} minutes",
        f"`calling_ae_title` of the destination, `{destination.calling_ae_title}` by default",
    ):
        assert said in PAGE, said
    assert limits.pdu_bytes_max == 128 * KIB
    assert unit.dicom.ae_title == "QAFILA"


def late_s(limits: LimitSet) -> float:
    """How long commitment waits for an image, in all."""
    return sum(limits.commitment_wait_s_first * 2.0**count for count in range(limits.commitment_wait_count_max))
