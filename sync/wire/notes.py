"""What a unit says of a study beside its images: what was asked for, and what its own checks found.

The whole of it is said again whenever something of it changes; ``revision`` tells the centre which is the newest,
whichever way it came. Findings travel as codes and values: the centre makes sentences of them in the reader's language,
and shows a code that its release does not know as it is.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from sync.wire.messages import Count, Text, Uid

NOTES_COUNT_MAX = 16
"""Studies in one request."""
NOTES_BYTES_MAX = 32 * 1024
"""Of one study, as JSON: a request is 1 KB, a finding 200 bytes; 16 of them and their frame make 0.5 MB a request."""
FOUND_COUNT_MAX = 100
"""Different findings of one study; what is found alike in many images is one."""
FOUND_IMAGE_COUNT_MAX = 20
"""Images that a finding names; the rest it counts."""
VALUE_COUNT_MAX = 32

Word = Annotated[str, msgspec.Meta(max_length=64)]
Number = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]
Value = Text | Number | float | Annotated[tuple[Word, ...], msgspec.Meta(max_length=VALUE_COUNT_MAX)]


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The registration that the study belongs to, as far as it matters to whoever reads."""

    exam: Text = ""
    referrer: Text = ""
    """Who asks."""
    reason: Text = ""
    """Why."""
    is_stat: bool = False
    pregnancy: Word = ""
    """``no``, ``possible``, ``yes``, ``unknown``; empty: not asked."""
    accession_number: Word = ""


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the unit's checks found, in one or several images; see ``docs/reference/quality.md``."""

    code: Word
    severity: Word = "notice"
    """``notice``, ``warning`` or ``alarm``."""
    values: Annotated[dict[Word, Value], msgspec.Meta(max_length=VALUE_COUNT_MAX)] = {}
    image_count: Count = 1
    images: Annotated[tuple[Uid, ...], msgspec.Meta(max_length=FOUND_IMAGE_COUNT_MAX)] = ()
    """SOP Instance UIDs of the first of them."""


class StudyNotes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the unit has to say of one study now."""

    study_instance_uid: Uid
    revision: Count
    """Grows; what comes with a lower one is older and changes nothing."""
    asked: Asked | None = None
    """``None``: the unit knows no request that this study would belong to."""
    checked_count: Count = 0
    """Images that the checks have looked at so far."""
    found: Annotated[tuple[Found, ...], msgspec.Meta(max_length=FOUND_COUNT_MAX)] = ()
    """What stands now, the gravest first; what was cleared is not here any more."""
    left_out_count: Count = 0
    """Findings that a bound left out; the least grave."""


class NotesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /v1/notes``: saying it twice has the effect of once."""

    items: Annotated[tuple[StudyNotes, ...], msgspec.Meta(max_length=NOTES_COUNT_MAX)]


class NotesAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The centre has all of them, or something newer."""

    epoch: Text


def bounded(notes: StudyNotes) -> StudyNotes:
    """As much of it as ``NOTES_BYTES_MAX`` takes: the least grave findings are counted instead."""
    while len(msgspec.json.encode(notes)) > NOTES_BYTES_MAX and notes.found:
        kept = notes.found[: len(notes.found) * 3 // 4]
        left_out = notes.left_out_count + len(notes.found) - len(kept)
        notes = msgspec.structs.replace(notes, found=kept, left_out_count=left_out)
    return notes
