"""Each check by itself: what it finds, how grave, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.config import ConfigError, QualityTable, load_unit
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.checks import (
    charset,
    clipping,
    clock,
    exposure,
    loop,
    order,
    pixels,
    required,
    sop_class,
    spacing,
)
from appliance.quality.registry import CHECKS, run_checks
from appliance.quality.view import FrameFacts, FramesView, HeaderView, Order, View
from tests.support.unit_store import unit_toml

RECEIVED_AT = datetime(2026, 11, 22, 10, 0, tzinfo=timezone(timedelta(hours=1)))
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def header(**values: Any) -> HeaderView:
    """A header whose values are one text or several."""
    return HeaderView({k: (v,) if isinstance(v, str) else tuple(v) for k, v in values.items()})


def view(head: HeaderView | None = None, **more: Any) -> View:
    facts: dict[str, Any] = {
        "header": head or header(Modality="DX"),
        "frames": FramesView(is_there=True),
        "bands": QualityTable(),
        "received_at": RECEIVED_AT,
    }
    return View(**(facts | more))


def found(check: Any, of: View) -> list[tuple[str, str]]:
    return [(finding.code.value, finding.severity.value) for finding in check(of)]


# --- exposure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "findings"),
    [
        ("3.4", [("exposure-high", "warning")]),
        ("2.9", [("exposure-high", "notice")]),
        ("1.0", []),
        ("0", []),
        ("-1", []),
        ("-1.1", [("exposure-low", "notice")]),
        ("-3.5", [("exposure-low", "warning")]),
    ],
)
def test_exposure_is_told_in_the_bands_of_the_deviation_index(index: str, findings: list[tuple[str, str]]) -> None:
    assert found(exposure.check, view(header(Modality="DX", DeviationIndex=index))) == findings


def test_bands_of_exposure_can_be_set() -> None:
    bands = QualityTable(deviation_high_notice=4.0, deviation_high_warning=5.0)
    assert found(exposure.check, view(header(Modality="CR", DeviationIndex="3.4"), bands=bands)) == []


def test_deviation_index_is_computed_when_it_is_not_supplied() -> None:
    (finding,) = exposure.check(view(header(Modality="DX", ExposureIndex="800", TargetExposureIndex="400")))
    assert (finding.code, finding.severity) == (CheckCode.EXPOSURE_HIGH, Severity.WARNING)
    assert finding.values == {"deviation_index": 3.0}


@pytest.mark.parametrize(
    "values",
    [{}, {"ExposureIndex": "300"}, {"DeviationIndex": "none"}, {"ExposureIndex": "0", "TargetExposureIndex": "0"}],
)
def test_absent_exposure_is_never_fine(values: dict[str, str]) -> None:
    assert found(exposure.check, view(header(Modality="DX", **values))) == [("exposure-missing", "notice")]


def test_exposure_that_contradicts_itself_is_told() -> None:
    head = header(Modality="DX", DeviationIndex="0.1", ExposureIndex="800", TargetExposureIndex="400")
    assert found(exposure.check, view(head)) == [("exposure-contradicts", "notice")]


@pytest.mark.parametrize("head", [header(Modality="US"), header(Modality="DX", NumberOfFrames="30")])
def test_exposure_is_not_asked_of_other_pictures(head: HeaderView) -> None:
    assert found(exposure.check, view(head)) == []


def test_bands_that_do_not_rise_are_refused(tmp_path: Any) -> None:
    path = unit_toml(tmp_path, "[quality]\ndeviation_high_notice = 4.0\n")
    with pytest.raises(ConfigError, match="must rise"):
        load_unit(path)


def test_policy_with_an_unknown_code_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="frames-black"):
        load_unit(unit_toml(tmp_path, '[quality]\nhold = ["frames-black"]\n'))


# --- order -----------------------------------------------------------------------------------------------------------

ORDER = Order(
    modality="DX",
    body_part="KNEE",
    laterality="L",
    views="AP LL/RL",
    patient_ids=("UNIT-01-7", "123456"),
    names=("benali", "fatima", "بنعلي", "فاطمه"),
    birth_date="19840312",
    sex="F",
)
MATCHING = {
    "Modality": "DX",
    "PatientID": "UNIT-01-7",
    "PatientName": "BENALI^Fatima",
    "PatientBirthDate": "19840312",
    "PatientSex": "F",
    "BodyPartExamined": "KNEE",
    "ImageLaterality": "L",
    "ViewPosition": "AP",
}


def test_picture_that_fits_its_order_gives_nothing() -> None:
    assert found(order.check, view(header(**MATCHING), order=ORDER)) == []


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ({"PatientID": "999"}, [("identity-differs", "alarm")]),
        ({"PatientName": "OTHER^ONE"}, [("identity-differs", "alarm")]),
        ({"PatientName": "بنعلي^أحمد"}, []),
        ({"PatientName": "Fâtima^Benali"}, []),
        ({"PatientBirthDate": "19480312"}, [("identity-differs", "warning")]),
        ({"PatientSex": "M"}, [("identity-differs", "warning")]),
        ({"PatientBirthDate": ""}, []),
        ({"ImageLaterality": "R"}, [("laterality-differs", "alarm")]),
        ({"ImageLaterality": ""}, [("laterality-missing", "notice")]),
        ({"ImageLaterality": "U"}, [("laterality-missing", "notice")]),
        ({"ImageLaterality": "", "Laterality": "R"}, [("laterality-differs", "alarm")]),
        ({"ViewPosition": "PA"}, [("view-differs", "warning")]),
        ({"ViewPosition": "RL"}, []),
        ({"ViewPosition": ""}, [("view-missing", "notice")]),
        ({"Modality": "CR"}, []),
        ({"BodyPartExamined": "CHEST"}, [("body-part-differs", "warning")]),
        ({"BodyPartExamined": ""}, []),
        ({"BodyPartExamined": "LEFT KNEE"}, []),
    ],
)
def test_order_is_compared_with_what_the_picture_says(values: dict[str, str], findings: list[tuple[str, str]]) -> None:
    assert found(order.check, view(header(**(MATCHING | values)), order=ORDER)) == findings


def test_wrong_modality_is_told() -> None:
    head = header(**(MATCHING | {"Modality": "US"}))
    assert ("modality-differs", "warning") in found(order.check, view(head, order=ORDER))


def test_without_an_order_it_is_said_that_nothing_was_compared() -> None:
    assert found(order.check, view()) == [("order-unknown", "notice")]


def test_findings_name_attributes_and_never_who_it_is() -> None:
    strange = {"PatientID": "SECRET-1", "PatientName": "SECRET^NAME", "PatientBirthDate": "19990909"}
    for finding in order.check(view(header(**(MATCHING | strange)), order=ORDER)):
        text = msgspec.json.encode(finding.values).decode()
        assert not any(secret in text for secret in (*strange.values(), *ORDER.patient_ids, ORDER.birth_date))


# --- pixels ----------------------------------------------------------------------------------------------------------


def frames(blank: list[bool], **more: Any) -> FramesView:
    looked = tuple(FrameFacts(number, is_blank) for number, is_blank in enumerate(blank, 1))
    return FramesView(is_there=True, looked=looked, **more)


@pytest.mark.parametrize(
    ("of", "findings"),
    [
        (frames([True]), [("frames-blank", "alarm")]),
        (frames([True, False, False]), [("frames-blank", "notice")]),
        (frames([False]), []),
        (frames([], missing_bytes=4), [("pixels-truncated", "alarm")]),
        (frames([False], missing_frame_count=2), [("pixels-truncated", "alarm")]),
        (frames([], unreadable=(1,)), [("pixels-unreadable", "alarm")]),
        (frames([], not_looked_why="video"), [("pixels-not-looked-at", "notice")]),
        (FramesView(is_there=False), [("pixels-missing", "alarm")]),
    ],
)
def test_pixels(of: FramesView, findings: list[tuple[str, str]]) -> None:
    head = header(Modality="DX", Rows="10", Columns="10")
    assert found(pixels.check, view(head, frames=of)) == findings


def test_object_without_a_picture_lacks_none() -> None:
    assert found(pixels.check, view(header(Modality="SR"), frames=FramesView(is_there=False))) == []


@pytest.mark.parametrize(
    ("dark", "bright", "findings"),
    [
        (0.03, 0.0, [("clipped-dark", "warning")]),
        (0.01, 0.04, []),
        (0.0, 0.06, [("clipped-bright", "notice")]),
        (0.0, 0.2, [("clipped-bright", "warning")]),
    ],
)
def test_clipping_weighs_black_more_than_white(dark: float, bright: float, findings: list[tuple[str, str]]) -> None:
    of = FramesView(is_there=True, looked=(FrameFacts(1, False, dark, bright),))
    assert found(clipping.check, view(frames=of)) == findings


# --- loops, spacing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ({"FrameTime": "33.3"}, []),
        ({"CineRate": "30"}, []),
        ({"FrameTimeVector": ["0"] + ["40"] * 59}, []),
        ({}, [("frame-time-missing", "notice")]),
        ({"FrameTime": "0"}, [("frame-time-wrong", "warning")]),
        ({"FrameTime": "many"}, [("frame-time-wrong", "warning")]),
        ({"FrameTime": "60000"}, [("frame-time-wrong", "warning")]),
        ({"FrameTimeVector": ["0", "40"]}, [("frame-time-wrong", "warning")]),
        ({"FrameTime": "5"}, [("loop-short", "notice")]),
    ],
)
def test_loop_of_sixty_frames(values: dict[str, Any], findings: list[tuple[str, str]]) -> None:
    assert found(loop.check, view(header(Modality="US", NumberOfFrames="60", **values))) == findings


def test_still_picture_is_no_loop() -> None:
    assert found(loop.check, view(header(Modality="US"))) == []


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ({"ImagerPixelSpacing": ["0.14", "0.14"]}, []),
        ({"ImagerPixelSpacing": ["0.14", "0.14"], "PixelSpacing": ["0", "0"]}, [("spacing-wrong", "warning")]),
        ({"PixelSpacing": ["0.14"]}, [("spacing-wrong", "warning")]),
        ({"PixelSpacing": ["-1", "1"]}, [("spacing-wrong", "warning")]),
        ({"PixelSpacing": ["nan", "1"]}, [("spacing-wrong", "warning")]),
        ({}, [("spacing-missing", "notice")]),
    ],
)
def test_spacing_of_a_film(values: dict[str, Any], findings: list[tuple[str, str]]) -> None:
    assert found(spacing.check, view(header(Modality="CR", **values))) == findings


@pytest.mark.parametrize(
    ("delta", "units", "findings"),
    [("0.01", "3", []), ("-0.01", "3", []), ("0", "3", [("spacing-wrong", "warning")]), ("0", "4", [])],
)
def test_spacing_of_an_ultrasound_is_that_of_its_regions(
    delta: str, units: str, findings: list[tuple[str, str]]
) -> None:
    region = header(
        PhysicalUnitsXDirection=units, PhysicalUnitsYDirection=units, PhysicalDeltaX="0.01", PhysicalDeltaY=delta
    )
    head = HeaderView({"Modality": ("US",)}, {"SequenceOfUltrasoundRegions": (region,)})
    assert found(spacing.check, view(head)) == findings


# --- labels, clock, kinds --------------------------------------------------------------------------------------------


def test_text_under_a_wrong_label_is_told_once_with_its_attributes() -> None:
    head = HeaderView({"Modality": ("DX",)}, {}, {"PatientName": "utf-8", "StudyDescription": "utf-8"})
    (finding,) = charset.check(view(head))
    assert finding == Finding(
        CheckCode.CHARSET_WRONG,
        Severity.WARNING,
        {"attributes": ("PatientName", "StudyDescription"), "looks_like": "utf-8"},
    )


@pytest.mark.parametrize(
    ("labels", "findings"),
    [(["ISO_IR 192"], []), (["", "ISO 2022 IR 87"], []), (["UTF-8"], [("charset-unknown", "notice")])],
)
def test_character_sets_of_the_standard_are_known(labels: list[str], findings: list[tuple[str, str]]) -> None:
    assert found(charset.check, view(header(SpecificCharacterSet=labels))) == findings


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ({"AcquisitionDate": "20261122", "AcquisitionTime": "095500"}, []),
        ({"AcquisitionDate": "20261122", "AcquisitionTime": "100400.123"}, []),
        ({"AcquisitionDate": "20261122", "AcquisitionTime": "100600"}, [("clock-ahead", "warning")]),
        ({"AcquisitionDateTime": "20261122090000.5+0000"}, []),
        ({"AcquisitionDateTime": "20261122090000", "TimezoneOffsetFromUTC": "+0000"}, []),
        ({"AcquisitionDateTime": "20261122100000", "TimezoneOffsetFromUTC": "+0000"}, [("clock-ahead", "warning")]),
        ({"StudyDate": "20261120"}, [("clock-behind", "notice")]),
        ({"StudyDate": "20261121"}, []),
        ({"StudyDate": "19700101", "StudyTime": "0001"}, [("clock-behind", "warning")]),
        ({"StudyDate": "20261122"}, []),
        ({"StudyDate": "20261123"}, [("clock-ahead", "warning")]),
        ({"StudyDate": "00010101"}, [("clock-behind", "notice")]),
        ({"StudyDate": "99991231"}, [("clock-ahead", "warning")]),
        ({"StudyDate": "yesterday"}, []),
        ({}, []),
    ],
)
def test_clock_of_the_modality(values: dict[str, str], findings: list[tuple[str, str]]) -> None:
    assert found(clock.check, view(header(**values))) == findings


def test_doubtful_clock_of_the_unit_says_nothing_against_the_modality() -> None:
    head = header(StudyDate="20991231", StudyTime="120000")
    assert found(clock.check, view(head, is_clock_doubted=True)) == [("clock-not-compared", "notice")]


@pytest.mark.parametrize(
    ("uid", "findings"),
    [
        (DX, []),
        ("1.2.840.10008.5.1.4.1.1.6", [("class-retired", "notice")]),
        ("1.2.840.113619.4.30", [("class-private", "notice")]),
        ("1.2.840.10008.5.1.4.1.1.999", [("class-unknown", "notice")]),
        ("1.2.840.10008.1.2.1", [("class-unknown", "notice")]),
    ],
)
def test_kind_of_object(uid: str, findings: list[tuple[str, str]]) -> None:
    assert found(sop_class.check, view(header(SOPClassUID=uid))) == findings


def full_dx() -> dict[str, str]:
    return dict.fromkeys(required.required_of(DX), "1") | {"SOPClassUID": DX}


@pytest.mark.parametrize(
    ("missing", "findings"),
    [
        ("BurnedInAnnotation", [("required-missing", "notice")]),
        ("BitsStored", [("required-missing", "warning")]),
        ("", []),
    ],
)
def test_required_attributes(missing: str, findings: list[tuple[str, str]]) -> None:
    values = full_dx()
    values.pop(missing, None)
    assert found(required.check, view(header(**values))) == findings


def test_attribute_without_a_value_counts_as_missing() -> None:
    (finding,) = required.check(view(header(**full_dx() | {"Modality": ""})))
    assert finding.values["attributes"] == ("Modality",)


def test_table_of_required_attributes_names_what_the_dictionary_knows() -> None:
    from pydicom.datadict import tag_for_keyword

    classes, iods = required._table()
    assert set(classes.values()) == set(iods)
    assert [word for words in iods.values() for word in words if tag_for_keyword(word) is None] == []
    assert all(
        {"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"} <= set(words)
        for words in iods.values()
    )


# --- all together ----------------------------------------------------------------------------------------------------

_TEXT = (
    st.text(max_size=12) | st.from_regex(r"-?[0-9.e]{0,8}", fullmatch=True) | st.sampled_from(["US", "DX", "L", "0"])
)
_KEYWORDS = st.sampled_from(
    sorted(
        {
            "Modality",
            "DeviationIndex",
            "ExposureIndex",
            "TargetExposureIndex",
            "NumberOfFrames",
            "FrameTime",
            "FrameTimeVector",
            "CineRate",
            "PixelSpacing",
            "SpecificCharacterSet",
            "AcquisitionDateTime",
            "AcquisitionDate",
            "AcquisitionTime",
            "TimezoneOffsetFromUTC",
            "SOPClassUID",
            "PatientName",
            "PatientID",
            "ImageLaterality",
            "ViewPosition",
        }
    )
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw compiles what the alphabet excludes
@given(st.dictionaries(_KEYWORDS, st.lists(_TEXT, max_size=3).map(tuple)))
def test_no_header_defeats_a_check(values: dict[str, tuple[str, ...]]) -> None:
    findings = run_checks(view(HeaderView(values), order=ORDER))
    assert CheckCode.NOT_CHECKED not in {finding.code for finding in findings}
    msgspec.convert(msgspec.to_builtins(findings), tuple[Finding, ...])


def test_check_that_fails_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: View) -> Any:
        raise ValueError
        yield

    monkeypatch.setattr("appliance.quality.registry.CHECKS", (broken, *CHECKS))
    codes = {finding.code for finding in run_checks(view())}
    assert codes >= {CheckCode.NOT_CHECKED, CheckCode.EXPOSURE_MISSING}


def test_every_check_runs_on_an_empty_header() -> None:
    assert run_checks(replace(view(HeaderView()), frames=FramesView(is_there=False)))
