"""What people are told, in one place: states, ages, sizes, estimates, and what is safe (``ux.md`` 5, 6, 7 and 15).

Pure functions of values; wall times come as the text that the store holds and are shown in the zone that the caller
names. English; every string passes through a translation catalogue later, which is why none is built elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from appliance.domain.snapshot import (
    DestinationProgress,
    FindingRow,
    LinkRow,
    PowerState,
    Snapshot,
    StudyRow,
    StudyState,
)
from appliance.domain.values import ItemState, JournalEntry, LinkState

STAT_MARK = "▲ STAT"
MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

_STATE_MARKS = {
    StudyState.CAPTURED: "●",
    StudyState.QUEUED: "·",
    StudyState.SENDING: "→",
    StudyState.SENT: "✓",
    StudyState.COMPLETE: "✓✓",
    StudyState.HELD: "=",
    StudyState.SET_ASIDE: "!",
}
_STATE_WORDS = {
    StudyState.CAPTURED: ("Captured", "Captured"),
    StudyState.QUEUED: ("Queued", "Queued"),
    StudyState.SENDING: ("Sending", "Sending"),
    StudyState.SENT: ("Sent, not proved yet", "Sent"),
    StudyState.COMPLETE: ("Complete at centre", "Complete"),
    StudyState.HELD: ("Held", "Held"),
    StudyState.SET_ASIDE: ("Set aside - needs you", "Set aside"),
}
WAITS_FOR_PERSON = (StudyState.HELD, StudyState.SET_ASIDE)
_ITEM_WORDS = {
    ItemState.PENDING: "waiting",
    ItemState.ENCODING: "being prepared",
    ItemState.READY: "ready to send",
    ItemState.SENDING: "sending",
    ItemState.SENT: "✓ sent, not proved yet",
    ItemState.CONFIRMED: "✓✓ at the centre",
    ItemState.HELD: "held",
    ItemState.REJECTED: "! refused, needs you",
}


_NOTHING_LOST = "The stored images are not touched by this."
_DATABASE_FAULTS = {
    "busy": "This unit's records are locked by another program.",
    "full": "The disk is full; nothing could be noted.",
    "read-only": "This unit's records cannot be written.",
    "io": "The disk reported an error.",
    "corrupt": "This unit's records are damaged.",
    "missing": "This unit has no records here yet.",
    "wrong-release": "This unit's records are of another release of this program.",
    "refused": "This was not noted: the unit does not allow it.",
}
_DATABASE_ADVICE = {
    "busy": "Wait a minute and try again.",
    "full": "Make room ('qafila evict --dry-run' says where), then try again.",
    "read-only": "Check who may write there, and the disk; 'qafila doctor' says more.",
    "io": "Call the service about the disk, and do not switch off meanwhile.",
    "corrupt": "Restart the unit: it sets the damaged file aside and builds a new one from the stored images.",
    "missing": "Start the unit with 'qafila unit run', or check unit.data_dir in its configuration.",
    "wrong-release": "Start the release that made them, or restart the unit to bring them up to date.",
    "refused": "Look at it again: it may have changed meanwhile.",
}


def state_mark(state: StudyState) -> str:
    """The shape that goes with a state; two check marks only with a verified receipt for everything."""
    return _STATE_MARKS[state]


def study_state(study: StudyRow, *, short: bool = False) -> str:
    """``→ Sending 62 %``: the mark, then the word; ``short`` for narrow screens."""
    words = _STATE_WORDS[study.state][1 if short else 0]
    if study.state is StudyState.SENDING:
        words = f"{words} {study.percent} %"
    return f"{state_mark(study.state)} {words}"


def item_state(state: ItemState) -> str:
    """The state of one outbox item in words."""
    return _ITEM_WORDS[state]


def counted(count: int, one: str, many: str) -> str:
    """``1 study``, ``3 studies``."""
    return f"{count} {one if count == 1 else many}"


def studies(count: int) -> str:
    """``1 study``, ``3 studies``."""
    return counted(count, "study", "studies")


def size(size_bytes: int) -> str:
    """``15.3 MB``: decimal units, as disks and mobile contracts are sold."""
    value, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def seconds_of(at: str) -> float | None:
    """Seconds since the epoch of a stored time text; ``None`` when it is empty or no time."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def clock_time(at: str, zone: tzinfo, now_s: float) -> str:
    """``09:12``, with the ISO date before it when it is not today; ``-`` when there is no such time."""
    seconds = seconds_of(at)
    if seconds is None:
        return "-"
    moment = datetime.fromtimestamp(seconds, zone)
    same_day = moment.date() == datetime.fromtimestamp(now_s, zone).date()
    return moment.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M")


def age(at: str, now_s: float) -> str:
    """``8 min ago``; empty when there is no such time, or when a clock step makes it lie in the future."""
    seconds = seconds_of(at)
    if seconds is None or seconds > now_s + MINUTE_S:
        return ""
    passed_s = now_s - seconds
    if passed_s < MINUTE_S:
        return "just now"
    if passed_s < HOUR_S:
        return f"{passed_s // MINUTE_S:.0f} min ago"
    if passed_s < 2 * DAY_S:
        return f"{passed_s // HOUR_S:.0f} h ago"
    return f"{passed_s // DAY_S:.0f} days ago"


def duration_range(seconds: float) -> str:
    """A rounded range around an estimate, ``40-70 min``: a single number would promise what nobody knows."""
    if seconds * 1.25 <= MINUTE_S:
        return "under 1 min"
    if seconds < 10 * MINUTE_S:
        step_s, unit_s, unit = MINUTE_S, MINUTE_S, "min"
    elif seconds < 90 * MINUTE_S:
        step_s, unit_s, unit = 10 * MINUTE_S, MINUTE_S, "min"
    elif seconds < 2 * DAY_S:
        step_s, unit_s, unit = HOUR_S, HOUR_S, "h"
    else:
        step_s, unit_s, unit = DAY_S, DAY_S, "days"
    low = math.floor(seconds * 0.8 / step_s) * step_s // unit_s
    high = math.ceil(seconds * 1.25 / step_s) * step_s // unit_s
    return f"{low}-{high} {unit}" if low > 0 else f"under {high} {unit}"


def eta(snapshot: Snapshot) -> str:
    """When all will be safe, from measured goodput: ``40-60 min`` or ``unknown - link down``.

    Cautious with several destinations: as if each were owed everything, so that the slowest decides.
    """
    if snapshot.unsafe_study_count == 0:
        return "nothing waits"
    if not snapshot.links:
        return "unknown - no contact yet"
    if _any_down(snapshot.links):
        return "unknown - link down"
    if all(study.state in WAITS_FOR_PERSON for study in unsent(snapshot.studies)):
        return "unknown - waits for a person"
    slowest_bytes_per_s = min(link.rate_bytes_per_s for link in snapshot.links)
    if slowest_bytes_per_s <= 0:
        return "unknown - nothing measured yet"
    return duration_range(snapshot.unsafe_bytes / slowest_bytes_per_s)


def unsent(rows: Sequence[StudyRow]) -> tuple[StudyRow, ...]:
    """Those not complete at every destination, in the order they will go: STAT first, then the oldest; last those that
    wait for a person."""
    waiting = [row for row in rows if row.state is not StudyState.COMPLETE]
    return tuple(sorted(waiting, key=lambda row: (row.state in WAITS_FOR_PERSON, not row.stat, row.first_received_at)))


def safety(snapshot: Snapshot) -> str:
    """How many studies are not yet safe at the centre."""
    if snapshot.unsafe_study_count:
        return f"{studies(snapshot.unsafe_study_count)} not yet safe at the centre"
    if snapshot.study_count:
        return "✓✓ every study is safe at the centre"
    return "no studies on this unit yet"


def status_segments(snapshot: Snapshot, now_s: float, zone: tzinfo, *, short: bool = False) -> tuple[str, ...]:
    """The always-visible line in parts, most important first; the screen joins as many as fit on a line.

    ``short`` says the same with fewer letters, for a screen of 40 cells.
    """
    parts = [safety(snapshot)]
    if snapshot.only_here_study_count:
        count = snapshot.only_here_study_count
        parts.append(f"{count} only here" if short else f"only on this unit: {studies(count)}")
    if short and snapshot.unsafe_study_count:
        parts[0] = f"{snapshot.unsafe_study_count} not yet safe"
    parts.append(last_sync(snapshot.last_sync_at, now_s, zone, short=short))
    next_try = _first_next_try(snapshot.links)
    if next_try:
        parts.append(f"next {'' if short else 'try '}{clock_time(next_try, zone, now_s)}")
    if snapshot.unsafe_study_count:
        parts.append(f"done in: {eta(snapshot)}")
    if snapshot.unsafe_study_count == 0 or not _any_down(snapshot.links):
        parts.append(link_summary(snapshot.links))
    parts.append(f"{'' if short else 'disk '}{size(snapshot.disk_free_bytes)} free")
    return tuple(parts)


def last_sync(at: str, now_s: float, zone: tzinfo, *, short: bool = False) -> str:
    """``last sync 09:12 (8 min ago)``."""
    name = "sync" if short else "last sync"
    if seconds_of(at) is None:
        return f"{name}: never"
    return f"{name} {clock_time(at, zone, now_s)} ({age(at, now_s) or 'the clock has changed'})"


def link_summary(links: Sequence[LinkRow]) -> str:
    """All links in two or three words."""
    if not links:
        return "link: no contact yet"
    down = [link.destination for link in links if link.state is LinkState.DOWN]
    if down:
        return "link down" if len(links) == 1 else f"link down: {', '.join(down)}"
    return "link up" if all(link.state is LinkState.UP for link in links) else "link: no contact yet"


def link_line(link: LinkRow, stored_study_count: int, now_s: float, zone: tzinfo, *, hint: str = "") -> str:
    """One destination: what happened, what is safe, what to do now.

    ``hint`` is added where trying at once is possible, for instance ``or press F5``.
    """
    if link.state is LinkState.UP:
        rate = f", about {size(round(link.rate_bytes_per_s))} a second" if link.rate_bytes_per_s > 0 else ""
        return f"{link.destination}: connected{rate}."
    if link.state is LinkState.UNKNOWN:
        return f"{link.destination}: no contact yet. Nothing is lost: {_stored_here(stored_study_count)}."
    reason = sentence_end(link.failure_sentence) or "It is not reachable."
    todo = (
        f"next try {clock_time(link.next_try_at, zone, now_s)}" if link.next_try_at else "it is tried again by itself"
    )
    return (
        f"{link.destination}: {reason} Nothing is lost: {_stored_here(stored_study_count)}. "
        f"Keep working; {todo}{f', {hint}' if hint else ''}."
    )


def power_line(power: PowerState) -> str:
    """The one power line (``ux.md`` 7)."""
    if not power.known:
        return "✖ Do not power off - the unit's programs do not answer"
    if power.safe:
        return "✓ Safe to power off"
    doing: list[str] = []
    if power.receiving_count:
        doing.append(f"receiving from {counted(power.receiving_count, 'device', 'devices')}")
    if power.unindexed_count:
        doing.append(f"filing {counted(power.unindexed_count, 'image', 'images')}")
    return f"✖ Do not power off - {', '.join(doing) or 'writing'}"


def why_waiting(study: StudyRow, links: Sequence[LinkRow], ahead_count: int) -> str:
    """Why a study is not complete, in one sentence; empty when it is.

    ``ahead_count`` is how many studies go before it.
    """
    if study.state is StudyState.COMPLETE:
        return ""
    if study.state is StudyState.SET_ASIDE:
        reason = sentence_end(_first_failure(study.progress)) or "The centre refused a part of it."
        return f"{reason} The other studies go on; retry it, or call the centre."
    if study.state is StudyState.HELD:
        return "Held by a person; it stays here until it is released."
    if study.state is StudyState.SENDING:
        return "Going to the centre now."
    if study.state is StudyState.CAPTURED:
        return "Kept here; no centre is told to take it yet."
    down = _link_down(study, links)
    if down:
        return f"Waits for the link to {down}."
    if study.state is StudyState.SENT:
        return "The centre took it; waiting for its proof."
    failure = sentence_end(_first_failure(study.progress))
    if failure:
        return f"{failure} It is tried again by itself."
    return f"Waits behind {studies(ahead_count)}." if ahead_count else "Next to go."


def progress_line(progress: DestinationProgress) -> str:
    """``centre: 3 at the centre, 1 waiting (12.0 of 16.0 MB proved)``."""
    parts = [f"{count} {item_state(state)}" for state, count in progress.item_count_by_state if count]
    proved = f"{size(progress.bytes_confirmed)} of {size(progress.bytes_total)} proved"
    return f"{progress.destination}: {', '.join(parts) or 'nothing queued'} ({proved})"


def finding_line(finding: FindingRow) -> str:
    """``ALARM: sentence``; the word carries the weight, not a colour."""
    return f"{finding.severity.upper()}: {finding.sentence}"


def database_unreadable(kind: str) -> str:
    """What happened, by the store's kind of fault, without file names."""
    return _DATABASE_FAULTS.get(kind, "This unit's records cannot be read now.")


def database_trouble(kind: str) -> str:
    """What is safe and what to do now, by the store's kind of fault."""
    return f"{_NOTHING_LOST} {_DATABASE_ADVICE.get(kind, 'Call the service, and do not switch off meanwhile.')}"


def needs_person(snapshot: Snapshot) -> bool:
    """Whether somebody must decide something: a study set aside, or a warning or alarm that stands."""
    return any(study.state is StudyState.SET_ASIDE for study in snapshot.studies) or any(
        finding.severity != "notice" for finding in snapshot.findings
    )


def journal_move(entry: JournalEntry) -> str:
    """What happened and, where a state changed, from where to where: ``accepted sending → sent``."""
    if not entry.to_state:
        return entry.event
    return (
        f"{entry.event} {entry.from_state} → {entry.to_state}"
        if entry.from_state
        else f"{entry.event} → {entry.to_state}"
    )


def sentence_end(text: str) -> str:
    """``text`` with exactly one end mark, or empty."""
    stripped = text.strip()
    return stripped if not stripped or stripped[-1] in ".!?" else f"{stripped}."


def _stored_here(study_count: int) -> str:
    if study_count == 0:
        return "nothing waits"
    return f"{studies(study_count)} {'is' if study_count == 1 else 'are'} stored here"


def _any_down(links: Sequence[LinkRow]) -> bool:
    return any(link.state is LinkState.DOWN for link in links)


def _first_next_try(links: Sequence[LinkRow]) -> str:
    return min((link.next_try_at for link in links if link.state is not LinkState.UP and link.next_try_at), default="")


def _first_failure(progress: Sequence[DestinationProgress]) -> str:
    return next((one.failure_sentence for one in progress if one.failure_sentence), "")


def _link_down(study: StudyRow, links: Sequence[LinkRow]) -> str:
    """The first destination that is still owed this study and cannot be reached."""
    down = {link.destination for link in links if link.state is LinkState.DOWN}
    owing = (one.destination for one in study.progress if one.bytes_confirmed < one.bytes_total)
    return next((name for name in owing if name in down), "")
