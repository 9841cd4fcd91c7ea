"""The modality's clock against the unit's: a picture is not made after it came, and seldom long before.

When the unit's own clock is in doubt nothing is said against the modality's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from appliance.domain.quality import CheckCode, Finding, Severity, Value
from appliance.quality.view import HeaderView, View

FACTORY_YEARS = range(1900, 2001)
"""What clocks without a battery begin with: 1970, 1980, 2000; no digital picture of today is so old."""
_PAIRS = (("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"), ("StudyDate", "StudyTime"))


def check(view: View) -> Iterator[Finding]:
    """Made in the future, or long ago; the time of acquisition if it is given, else of content, else of the study."""
    made_at = _made_at(view.header, view.received_at)
    if made_at is None:
        return
    late_s = (view.received_at - made_at).total_seconds()
    is_ahead, is_behind = late_s < -view.bands.clock_ahead_s_max, late_s > view.bands.clock_behind_s_max
    if not is_ahead and not is_behind:
        return
    values: dict[str, Value] = {"made_at": made_at.strftime("%Y-%m-%d %H:%M"), "difference_s": round(abs(late_s))}
    if view.is_clock_doubted:
        yield Finding(CheckCode.CLOCK_NOT_COMPARED, Severity.NOTICE, values)
    elif is_ahead:
        yield Finding(CheckCode.CLOCK_AHEAD, Severity.WARNING, values)
    else:
        is_factory = made_at.year in FACTORY_YEARS
        yield Finding(CheckCode.CLOCK_BEHIND, Severity.WARNING if is_factory else Severity.NOTICE, values)


def _made_at(header: HeaderView, received_at: datetime) -> datetime | None:
    zone = _offset(header.text("TimezoneOffsetFromUTC")) or received_at.tzinfo or UTC
    whole = header.text("AcquisitionDateTime")
    if whole:
        own_zone = _offset(whole[-5:]) if whole[-5:-4] in "+-" and len(whole) > 5 else None
        found = _moment(whole[:8], whole[8:14], own_zone or zone, received_at)
        if found:
            return found
    for date_keyword, time_keyword in _PAIRS:
        found = _moment(header.text(date_keyword), header.text(time_keyword), zone, received_at)
        if found:
            return found
    return None


def _moment(date: str, time: str, zone: tzinfo, received_at: datetime) -> datetime | None:
    """A moment from DICOM DA and TM; of a date alone that moment of the day that is nearest to the reception."""
    date, digits = date.replace(".", ""), "".join(time.split(".")[0].split(":"))[:6]
    try:
        if len(date) != 8:
            return None
        if len(digits) >= 2:
            return datetime.strptime(date + digits.ljust(6, "0"), "%Y%m%d%H%M%S").replace(tzinfo=zone)
        day = datetime.strptime(date, "%Y%m%d").replace(tzinfo=zone)
        return min(max(day, received_at), day + timedelta(days=1, seconds=-1))
    except ValueError:
        return None


def _offset(text: str) -> timezone | None:
    """``+0100`` as a time zone."""
    if len(text) != 5 or text[0] not in "+-" or not text[1:].isdigit():
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes)) if minutes < 24 * 60 else None
