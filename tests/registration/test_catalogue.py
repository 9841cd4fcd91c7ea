"""The exams that ship, and what is wrong with a file of one's own."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from appliance.config import ConfigError
from appliance.domain.registration import Laterality
from appliance.registration.catalogue import load_catalogue
from appliance.registration.folding import is_arabic, plain_latin

SHIPPED = (files("appliance") / "samples" / "catalogue.toml").read_text(encoding="utf-8")


def test_shipped_catalogue_has_what_a_mobile_unit_does() -> None:
    catalogue = load_catalogue("")
    asked = {(exam.modality, exam.body_part) for exam in catalogue.exam}
    xray = ("CHEST", "ABDOMEN", "CSPINE", "TSPINE", "LSPINE", "PELVIS", "SKULL", "HAND", "KNEE", "FOOT")
    ultrasound = ("UTERUS", "ABDOMEN", "PELVIS", "KIDNEY", "THYROID", "EXTREMITY", "CHEST")
    assert {("DX", part) for part in xray} | {("US", part) for part in ultrasound} <= asked
    assert {"PA", "AP", "LL/RL"} <= {
        view for exam in catalogue.exam if exam.body_part == "CHEST" for view in exam.views
    }
    assert all(exam.views for exam in catalogue.exam if exam.modality == "DX")


def test_shipped_catalogue_speaks_three_languages_and_prepares_everybody() -> None:
    catalogue = load_catalogue("")
    for exam in catalogue.exam:
        told = catalogue.preparation[exam.preparation]
        assert is_arabic(exam.name.ar) and is_arabic(told.ar)
        assert not is_arabic(exam.name.fr + exam.name.en + told.fr + told.en)
    assert {exam.preparation for exam in catalogue.exam} == set(catalogue.preparation)


def test_every_description_fits_its_dicom_value_in_every_character_set() -> None:
    for exam in load_catalogue("").exam:
        for language in ("fr", "en"):
            for side in Laterality:
                text = exam.description(language, side)
                assert len(text) <= 64 and plain_latin(text).isascii() and len(plain_latin(text)) <= 64


def test_description_names_the_side() -> None:
    hand = load_catalogue("").by_code["XR-HAND"]
    sides = {hand.description(language, Laterality.RIGHT) for language in ("fr", "en", "ar")}
    assert len(sides) == 3
    assert hand.description("fr", Laterality.RIGHT).endswith("côté droit")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("body_part =", "bodypart =", r"unknown key 'bodypart' in exam\[0\]; did you mean 'body_part'\?"),
        (
            "emergency_exam =",
            "emergency_exm =",
            "unknown key 'emergency_exm' in the top level; did you mean 'emergency_exam'",
        ),
        ('fr = "Thorax de face (PA)"', 'fra = "Thorax de face (PA)"', r"unknown key 'fra' in exam\[0\]\.name"),
        ('code = "XR-CHEST-AP"', 'code = "XR-CHEST-PA"', "two exams have the code 'XR-CHEST-PA'"),
        ('emergency_exam = "XR-CHEST-AP"', 'emergency_exam = "XR-CHEST-APX"', "did you mean 'XR-CHEST-AP'"),
        ('emergency_exam = "XR-CHEST-AP"', 'emergency_exam = "XR-HAND"', "needs a side"),
        ('preparation = "chest"', 'preparation = "chst"', r"no \[preparation.chst\]; did you mean 'chest'"),
        ('views = ["PA"]', 'views = ["FRONT"]', "regex"),
        ('code = "XR-CHEST-PA"', 'code = "a long code in small letters"', "regex"),
        ('fr = "Thorax de face (PA)"', 'fr = "صدر"', "consoles cannot show"),
        ('fr = "Thorax de face (PA)"', f'fr = "{"x" * 49}"', "<= 48"),
        ("paired = true", 'paired = "yes"', "bool"),
    ],
)
def test_mistake_in_a_catalogue_is_named(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    path = tmp_path / "catalogue.toml"
    assert before in SHIPPED
    path.write_text(SHIPPED.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(str(path)) + ".*" + sentence):
        load_catalogue(str(path))


def test_mistyped_code_finds_the_nearest() -> None:
    assert load_catalogue("").nearest("xr-chest-pa")[0] == "XR-CHEST-PA"
