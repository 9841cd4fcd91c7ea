"""Only reading of what may be seen goes to the PACS, and its addresses do not come back."""

from __future__ import annotations

import pytest

from central.viewer.asking import rewritten, understand

SEEN = {"1.2.3", "1.2.4"}


@pytest.mark.parametrize(
    ("path", "is_json"),
    [
        ("studies/1.2.3", True),
        ("studies/1.2.3/series", True),
        ("studies/1.2.3/metadata", True),
        ("studies/1.2.3/series/4.5/metadata", True),
        ("studies/1.2.3/series/4.5/instances", True),
        ("studies/1.2.3/series/4.5/instances/6/frames/1", False),
        ("studies/1.2.3/series/4.5/instances/6/frames/1,2,3", False),
        ("studies/1.2.3/series/4.5/instances/6/rendered", False),
        ("studies/1.2.3/series/4.5/instances/6/bulk/00420011", False),
        ("studies/1.2.3/series/4.5/instances/6/bulk/52009230/1/00281050", False),
        ("studies/1.2.3/series/4.5/thumbnail", False),
    ],
)
def test_reading_of_an_opened_study_goes_on_as_it_is(path: str, is_json: bool) -> None:
    asked = understand(path, [("includefield", "00081030,00080060"), ("accept", "x")], SEEN)
    assert asked is not None
    assert (asked.path, asked.is_json, asked.study_uids) == (path, is_json, ("1.2.3",))
    assert asked.params == (("includefield", "00081030,00080060"),)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "series",
        "instances",
        "studies/9.9.9",
        "studies/9.9.9/series/4.5/instances/6/frames/1",
        "studies/1.2.3/../9.9.9",
        "studies/1.2.3/series/../../9.9.9/metadata",
        "studies/1.2.3/series/..",
        "studies/1.2.3/series/../instances/.",
        "studies/1.2.3/series/4.5/instances/6/frames/1/../../7",
        "studies/1.2.3/series/4.5/instances/6/file",
        "studies/1.2.3/archive",
        "studies/1.2.3?x=/series",
        "studies/1.2.3\n/series",
        "studies/1.2.3/",
        "../instances",
        "servers/other/get",
        "studies/1.2.3/series/" + "1" * 65 + "/metadata",
    ],
)
def test_everything_else_goes_nowhere(path: str) -> None:
    assert understand(path, [], SEEN) is None


@pytest.mark.parametrize(
    ("params", "uids"),
    [
        ([], "1.2.3,1.2.4"),
        ([("PatientID", "*")], "1.2.3,1.2.4"),
        ([("00100020", "somebody else")], "1.2.3,1.2.4"),
        ([("StudyInstanceUID", "1.2.4")], "1.2.4"),
        ([("0020000D", "1.2.3,9.9.9")], "1.2.3"),
        ([("StudyInstanceUID", "9.9.9")], ""),
        ([("StudyInstanceUID", "*")], ""),
    ],
)
def test_search_asks_for_visible_studies_and_for_no_others(params: list[tuple[str, str]], uids: str) -> None:
    asked = understand("studies", [*params, ("includefield", "00081030"), ("includefield", "a&b")], SEEN)
    assert asked is not None
    assert asked.params == (("StudyInstanceUID", uids), ("includefield", "00081030"))
    assert asked.study_uids == tuple(uids.split(",") if uids else ())


def test_answer_has_our_addresses_and_no_study_that_may_not_be_seen() -> None:
    name = {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    inner = {"00420011": {"vr": "OB", "BulkDataURI": "http://127.0.0.1:8043/dicom-web/studies/1.2.3/bulk"}}
    uri = "http://127.0.0.1:8043/dicom-web/studies/1.2.3/series/4/instances/5/bulk/00420011"
    seen = {
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "00081190": {"vr": "UR", "Value": ["http://127.0.0.1:8043/x"]},
        "00100010": name,
        "00420011": {"vr": "OB", "BulkDataURI": uri},
        "00089121": {"vr": "SQ", "Value": [inner]},
    }
    other = {**seen, "0020000D": {"vr": "UI", "Value": ["9.9.9"]}}
    found = rewritten([seen, other, "nonsense"], "https://v/dicom-web", SEEN)
    assert isinstance(found, list) and len(found) == 1
    found = found[0]
    assert found["00420011"]["BulkDataURI"] == "https://v/dicom-web/studies/1.2.3/series/4/instances/5/bulk/00420011"
    assert found["00100010"] == name
    assert found["00089121"]["Value"] == [{"00420011": {"vr": "OB"}}], "an address that could not be asked is left out"
    assert "127.0.0.1" not in str(found)
    assert rewritten({"not": "a list"}, "https://v", SEEN) == []


@pytest.mark.parametrize(
    ("values", "stays"), [([0, 0], False), ([0.15, 0], False), ([0.15, 0.15], True), ([None, None], False)]
)
def test_spacing_of_nothing_is_left_out_for_it_would_draw_nothing(values: list[float | None], stays: bool) -> None:
    found = rewritten([{"00280030": {"vr": "DS", "Value": values}, "00280010": {"vr": "US", "Value": [0]}}], "r", SEEN)
    assert isinstance(found, list)
    assert (("00280030" in found[0]), "00280010" in found[0]) == (stays, True)
