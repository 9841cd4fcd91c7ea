"""Names whose bytes contradict their label are flagged; names that may be right are not."""

from __future__ import annotations

import pytest

from appliance.dicom.character_sets import suspect_encoding

ARABIC_NAME = "BENALI^FATIMA=بنعلي^فاطمة"


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (b"BENALI^FATIMA", ()),
        ("Buc^Jérôme".encode("latin-1"), ("ISO_IR 100",)),
        (ARABIC_NAME.encode(), ("ISO_IR 192",)),
        ("بنعلي^فاطمة".encode("iso8859-6"), ("ISO_IR 127",)),
        ("Люкceмбypг".encode("iso8859-5"), ("ISO_IR 144",)),
        ("山田^太郎".encode("iso2022_jp"), ("", "ISO 2022 IR 87")),
        ("王^小东".encode("gb18030"), ("GB18030",)),
    ],
)
def test_right_label_is_not_flagged(raw: bytes, labels: tuple[str, ...]) -> None:
    assert suspect_encoding(raw, labels) == ""


@pytest.mark.parametrize(
    ("raw", "labels", "looks_like"),
    [
        (ARABIC_NAME.encode(), ("ISO_IR 100",), "utf-8"),
        (ARABIC_NAME.encode(), (), "utf-8"),
        ("بنعلي^فاطمة".encode("cp1256"), ("ISO_IR 100",), "windows-1256"),
        ("بنعلي^فاطمة".encode("cp1256"), (), "windows-1256"),
        ("بنعلي^فاطمة".encode("cp1256"), ("ISO_IR 192",), "windows-1256"),
        ("D’Arc^Zoë".encode("cp1252"), ("ISO_IR 100",), "windows-1252"),
        ("Buc^Jérôme".encode("latin-1"), (), "windows-1252"),
        ("Buc^Jérôme".encode("latin-1"), ("ISO_IR 192",), "windows-1252"),
        (b"\x81\x8d\x8f", (), "windows-1256"),
    ],
)
def test_wrong_label_is_named(raw: bytes, labels: tuple[str, ...], looks_like: str) -> None:
    assert suspect_encoding(raw, labels) == looks_like
