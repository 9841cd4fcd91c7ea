"""The dictionary without pydicom says what pydicom's says."""

from __future__ import annotations

import pytest
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import dictionary_VR

from sync.wire.dictionary import dictionary_vr


def test_every_standard_tag_has_the_representation_pydicom_gives_it() -> None:
    assert {tag: dictionary_vr(tag) for tag in DicomDictionary} == {tag: dictionary_VR(tag) for tag in DicomDictionary}


@pytest.mark.parametrize("digit", ["0", "2", "e"])
def test_every_repeating_group_has_the_representation_pydicom_gives_it(digit: str) -> None:
    tags = [int(pattern.replace("x", digit), 16) for pattern in RepeatersDictionary]
    assert [dictionary_vr(tag) for tag in tags] == [dictionary_VR(tag) for tag in tags]


@pytest.mark.parametrize("tag", [0x00290010, 0x00291001, 0x00080003, 0x60011000, 0xFFFFFFFF])
def test_private_and_unknown_tags_have_none(tag: int) -> None:
    assert dictionary_vr(tag) == ""
