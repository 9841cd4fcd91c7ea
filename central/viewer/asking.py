"""Which requests of the viewer go on to the PACS, and in which words: pure, and nothing that is not listed here goes.

Only reading (QIDO-RS and WADO-RS, PS3.18), only below a study that this browser may see; a search over studies is
asked anew in our own words, for exactly those studies.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_UID = r"[0-9][0-9.]{0,63}"
_FRAMES = r"frames/[0-9]{1,6}(?:,[0-9]{1,6}){0,99}(?:/rendered)?"
_BULK = r"bulk(?:data)?(?:/[0-9A-Fa-f]{1,8}){1,20}"
_ONE = rf"(?:/(?:metadata|rendered|thumbnail|{_FRAMES}|{_BULK}))?"
_PATH = re.compile(
    rf"studies/(?P<study>{_UID})"
    rf"(?:/(?:metadata|thumbnail|instances|series(?:/{_UID}(?:/(?:metadata|thumbnail|rendered|instances(?:/{_UID}{_ONE})?))?)?))?"
)
_WORD = re.compile(r"[0-9A-Za-z.,/=*-]{1,2000}")
_PASSED = frozenset({"includefield", "limit", "offset", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "viewport"})
_STUDY_KEYS = ("StudyInstanceUID", "0020000D")
_JSON_ENDS = ("studies", "series", "instances", "metadata")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may go on."""

    path: str
    """Below the PACS's root, without a leading slash."""
    params: tuple[tuple[str, str], ...]
    is_json: bool
    """Its answer is a list of data sets, in which addresses of the PACS are ours to change."""
    study_uids: tuple[str, ...]
    """Whose data its answer holds."""


def understand(path: str, params: Sequence[tuple[str, str]], visible: Collection[str]) -> Asked | None:
    """What of a request goes on; ``None``: nothing, for it is no reading of what this browser may see.

    Args:
        path: Below our own root, percent-decoded, without a leading slash.
        params: Query parameters, decoded.
        visible: Study Instance UIDs.
    """
    if path == "studies":
        return _search(params, visible)
    found = _PATH.fullmatch(path)
    if found is None or found["study"] not in visible:
        return None
    passed = tuple((key, value) for key, value in params if key in _PASSED and _WORD.fullmatch(value))
    return Asked(path, passed, path.rsplit("/", 1)[-1] in _JSON_ENDS or path.count("/") == 1, (found["study"],))


def _search(params: Sequence[tuple[str, str]], visible: Collection[str]) -> Asked:
    """Whatever was asked, no more than the visible studies are looked for, and by nothing but their UIDs."""
    named = {uid for key, value in params if key in _STUDY_KEYS for uid in re.split(r"[,\\]", value)}
    uids = tuple(sorted(set(visible) & named if named else visible))
    fields = [(key, value) for key, value in params if key == "includefield" and _WORD.fullmatch(value)]
    return Asked("studies", (("StudyInstanceUID", ",".join(uids)), *fields), True, uids)


_STUDY_UID, _RETRIEVE_URL = "0020000D", "00081190"
_SPACINGS = frozenset({"00280030", "00181164", "00182010"})
"""Pixel Spacing, Imager Pixel Spacing, Nominal Scanned Pixel Spacing."""


def rewritten(found: object, root: str, visible: Collection[str]) -> object:
    """An answer of the PACS (DICOM JSON) with its addresses replaced by ours, and without what may not be seen.

    Args:
        found: Decoded JSON.
        root: Of our DICOMweb, for instance ``http://viewer:8090/dicom-web``.
        visible: Study Instance UIDs.
    """
    if not isinstance(found, list):
        return []
    return [_data_set(one, root) for one in found if isinstance(one, dict) and _may_be_seen(one, visible)]


def _may_be_seen(data_set: dict[str, object], visible: Collection[str]) -> bool:
    """A data set that says no study is part of an answer to a path that named one."""
    said = data_set.get(_STUDY_UID)
    values = said.get("Value") if isinstance(said, dict) else None
    return not values or (isinstance(values, list) and all(value in visible for value in values))


def _data_set(data_set: dict[str, object], root: str) -> dict[str, object]:
    return {
        tag: _element(value, root)
        for tag, value in data_set.items()
        if tag != _RETRIEVE_URL and not (tag in _SPACINGS and _is_no_spacing(value))
    }


def _is_no_spacing(element: object) -> bool:
    """Some devices write 0: OHIF would draw an image without extent, so black. Without it OHIF measures in pixels."""
    values = element.get("Value") if isinstance(element, dict) else None
    return isinstance(values, list) and not all(isinstance(one, int | float) and one > 0 for one in values)


def _element(element: object, root: str) -> object:
    if not isinstance(element, dict):
        return element
    if "BulkDataURI" in element:
        below = str(element["BulkDataURI"]).rpartition("/studies/")[2]
        rest = {key: value for key, value in element.items() if key != "BulkDataURI"}
        return {**rest, "BulkDataURI": f"{root}/studies/{below}"} if _PATH.fullmatch(f"studies/{below}") else rest
    values = element.get("Value")
    if isinstance(values, list) and any(isinstance(value, dict) for value in values):
        return {**element, "Value": [_data_set(v, root) if _is_item(v) else v for v in values]}
    return element


def _is_item(value: object) -> bool:
    """A sequence's item; a person's name is a dictionary as well, and has no tags."""
    return isinstance(value, dict) and not value.keys() & {"Alphabetic", "Ideographic", "Phonetic"}
