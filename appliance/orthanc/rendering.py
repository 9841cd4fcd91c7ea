"""Previews of stored pictures, drawn by our own Orthanc at the size in which they are shown; implements ``Previews``.

Orthanc renders and shrinks, and answers in a format that needs no decoder. That it is down, restarting or does not know
a picture yet is a sentence, never an error: a screen goes on without the preview.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from appliance.domain.rendered import Preview, read_pam
from appliance.domain.wording import Wording, told
from appliance.orthanc.rest import OrthancDown, OrthancRefused, OrthancRest

DOWN = told("No preview now: the store of pictures does not answer. The pictures are kept; nothing is lost.")
NOT_YET = told("No preview yet: the picture is kept and not filed yet.")
OTHER_KIND = told("This kind of object cannot be shown here. It is kept and sent like any other.")
MIDDLE, LAST = 0, -1
"""Frames that are named before it is known how many there are."""


class OrthancPreviews:
    """Any thread may call."""

    def __init__(self, access_file: Path) -> None:
        self._rest = OrthancRest(access_file)
        self._frame_count = lru_cache(maxsize=1024)(self._rest.frame_count)

    def preview(self, sop_instance_uid: str, frame_number: int, width_px: int, height_px: int) -> Preview:
        """As the protocol says."""
        try:
            orthanc_id = self._rest.orthanc_id(sop_instance_uid)
            if not orthanc_id:
                return _nothing(NOT_YET)
            count = self._frame_count(orthanc_id)
            if count < 1:
                return _nothing(OTHER_KIND)
            named = {MIDDLE: (count + 1) // 2, LAST: count}.get(frame_number, frame_number)
            number = min(max(named, 1), count)
            rendered = read_pam(self._rest.rendered(orthanc_id, number, width_px, height_px))
        except OrthancDown:
            return _nothing(DOWN)
        except (OrthancRefused, ValueError, TypeError, AttributeError, KeyError):
            return _nothing(OTHER_KIND)
        return Preview(rendered, number, count)


def _nothing(sentence: Wording) -> Preview:
    return Preview(None, sentence=sentence)
