"""The kind of object: retired, private and unknown kinds are kept and sent, and may not be shown at the centre."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import View

STANDARD_ROOT = "1.2.840.10008."


def check(view: View) -> Iterator[Finding]:
    """By SOP Class UID; the standard's own list comes with pydicom."""
    from pydicom._uid_dict import UID_dictionary

    uid = view.header.text("SOPClassUID")
    if not uid:
        return  # said by the check of required attributes
    if not uid.startswith(STANDARD_ROOT):
        yield Finding(CheckCode.CLASS_PRIVATE, Severity.NOTICE, {"sop_class_uid": uid})
        return
    entry = UID_dictionary.get(uid)
    if entry is None or entry[1] != "SOP Class":
        yield Finding(CheckCode.CLASS_UNKNOWN, Severity.NOTICE, {"sop_class_uid": uid})
    elif entry[3] == "Retired":
        name = entry[0].removesuffix(" (Retired)")
        yield Finding(CheckCode.CLASS_RETIRED, Severity.NOTICE, {"sop_class_uid": uid, "class_name": name})
