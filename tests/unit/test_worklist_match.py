"""One key against one value, as PS3.4 section C.2.2.2 has it."""

from __future__ import annotations

import pytest

from appliance.orthanc.worklist_match import QueryError, is_kept_by_orthanc, name_test, schedule_test, text_test


@pytest.mark.parametrize("key", ["", "*"])
def test_universal_key_matches_everything(key: str) -> None:
    assert text_test(key)("") and text_test(key)("any")
    assert name_test(key)("") and name_test(key)("A^B=ع")
    assert schedule_test(key, key)("20261122", "093000")


@pytest.mark.parametrize(
    ("key", "value", "matches"),
    [
        ("U1-7", "U1-7", True),
        ("U1-7", "U1-70", False),
        ("u1-7", "U1-7", False),
        ("U1-*", "U1-70", True),
        ("*-7", "U1-7", True),
        ("*-7", "U1-70", False),
        ("U?-7", "U1-7", True),
        ("U?-7", "U-7", False),
        ("U*1*7", "U-1-7-7", True),
        ("U*1*7", "U-7-1", False),
        ("a.c", "abc", False),
        ("[ab]*", "a", False),
        ("1.2\\1.3", "1.3", True),
        ("1.2\\1.3", "1.4", False),
        ("1.*\\1.3", "1.2", False),
    ],
)
def test_text_key(key: str, value: str, matches: bool) -> None:
    assert text_test(key)(value) is matches


@pytest.mark.parametrize(
    ("key", "name", "matches"),
    [
        ("benali^fatima", "BENALI^FATIMA", True),
        ("BENALI^FATIMA", "BENALI^FATIMA^^^", True),
        ("BENALI^FATIMA^^", "BENALI^FATIMA=بنعلي^فاطمة", True),
        ("BENALI", "BENALI^FATIMA", False),
        ("BEN*", "BENALI^FATIMA", True),
        ("*^FAT?MA", "BENALI^FATIMA", True),
        ("él*", "ÉLAN^JOË", True),
        ("بنعلي*", "BENALI^FATIMA=بنعلي^فاطمة", True),
        ("=بنعلي*", "BENALI^FATIMA=بنعلي^فاطمة", True),
        ("=بنعلي*", "BENALI^FATIMA", False),
        ("BEN*=*", "BENALI^FATIMA=بنعلي^فاطمة", True),
        ("BEN*=*", "BENALI^FATIMA", True),
        ("BEN*=X*", "BENALI^FATIMA=بنعلي^فاطمة", False),
        ("STRASSE*", "Straße^A", True),
    ],
)
def test_name_key(key: str, name: str, matches: bool) -> None:
    assert name_test(key)(name) is matches


def test_name_of_four_component_groups_is_refused() -> None:
    with pytest.raises(QueryError):
        name_test("a=b=c=d")


@pytest.mark.parametrize(
    ("date", "time", "matches"),
    [
        ("20261122", "", True),
        ("20261121", "", False),
        ("20261121-20261123", "", True),
        ("20261122-", "", True),
        ("-20261122", "", True),
        ("20261123-", "", False),
        ("-20261121", "", False),
        ("20261122", "093000", True),
        ("20261122", "0930", True),
        ("20261122", "09", True),
        ("20261122", "10", False),
        ("20261122", "0900-1000", True),
        ("20261122", "093000-", True),
        ("20261122", "-093000.000000", True),
        ("20261122", "-09", True),
        ("20261122", "093001-", False),
        ("", "08-09", True),
        ("20261122-20261122", "1000-1800", False),
        ("20261121-20261123", "1000-0800", True),
        ("20261122-20261123", "1000-0800", False),
        ("20261121-20261122", "1000-0900", False),
        ("20261121-", "1000-", True),
        ("-20261123", "-08", True),
        (" 20261121 - 20261123 ", "", True),
    ],
)
def test_entry_of_half_past_nine_on_22_november(date: str, time: str, matches: bool) -> None:
    assert schedule_test(date, time)("20261122", "093000") is matches


def test_entry_without_a_date_matches_no_key_of_date() -> None:
    assert schedule_test("", "")("", "")
    assert not schedule_test("-20261122", "")("", "")
    assert not schedule_test("-20261122", "-10")("", "")


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("2026-11-22", ""),
        ("22.11.2026", ""),
        ("2026112*", ""),
        ("20261122\\20261123", ""),
        ("-", ""),
        ("", "25"),
        ("", "9"),
        ("", "09:30"),
        ("", "0960"),
        ("٢٠٢٦١١٢٢", ""),
    ],
)
def test_date_or_time_that_is_none_is_refused(date: str, time: str) -> None:
    with pytest.raises(QueryError):
        schedule_test(date, time)


@pytest.mark.parametrize(
    ("key", "is_kept"),
    [
        ("", True),
        ("*", True),
        ("093000", True),
        ("0930", False),
        ("0900-1000", True),
        ("-09", False),
        ("1800-0600", False),
    ],
)
def test_orthanc_compares_a_time_as_text(key: str, is_kept: bool) -> None:
    assert is_kept_by_orthanc(key, "093000") is is_kept
