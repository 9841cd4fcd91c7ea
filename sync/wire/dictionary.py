"""Value representations of the DICOM dictionary (PS3.6), from pydicom's table but without importing pydicom.

Importing the package takes numpy with it, together some 60 MB, for a process whose goal is to stay small; the table
alone takes two.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def _tables() -> tuple[dict[int, str], list[tuple[int, int, str]]]:
    """VR by tag, and (mask, tag, VR) of the repeating groups; an ``x`` in a repeater stands for any digit."""
    module = _table_module()
    by_tag = {tag: vr for tag, (vr, *_) in module.DicomDictionary.items()}
    repeaters = []
    for pattern, (vr, *_) in module.RepeatersDictionary.items():
        mask = int("".join("0" if digit == "x" else "f" for digit in pattern), 16)
        repeaters.append((mask, int(pattern.replace("x", "0"), 16), vr))
    return by_tag, repeaters


def dictionary_vr(tag: int) -> str:
    """The VR of a standard tag, as written in the dictionary (``US or SS``); empty for private and unknown tags."""
    if tag >> 16 & 1:
        return ""
    by_tag, repeaters = _tables()
    if tag in by_tag:
        return by_tag[tag]
    return next((vr for mask, pattern, vr in repeaters if tag & mask == pattern), "")


def _table_module() -> ModuleType:
    package = importlib.util.find_spec("pydicom")
    if package is None or not package.submodule_search_locations:
        raise ImportError("pydicom is not installed")
    path = Path(package.submodule_search_locations[0]) / "_dicom_dict.py"
    spec = importlib.util.spec_from_file_location("qafila_dicom_dictionary", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
