"""What people are told, in one place: states, ages, sizes, estimates, and what is safe (``ux.md`` 5, 6, 7 and 15).

Pure functions of values; wall times come as the text that the store holds and are shown in the zone that the caller
names. Each text is a ``Wording``: English, and ready to be said in the language of the screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from appliance.domain.power import Battery, Leaving
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
from appliance.domain.wording import Wording, joined, stored, told
from appliance.domain.wording import counted as counted

STAT_MARK = "▲ STAT"
MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S

_STATE_MARKS = {
    StudyState.REGISTERED: "○",
    StudyState.CAPTURED: "●",
    StudyState.QUEUED: "·",
    StudyState.SENDING: "→",
    StudyState.SENT: "✓",
    StudyState.COMPLETE: "✓✓",
    StudyState.HELD: "=",
    StudyState.SET_ASIDE: "!",
}
_STATE_WORDS = {
    StudyState.REGISTERED: (told("Registered"), told("Registered")),
    StudyState.CAPTURED: (told("Captured"), told("Captured")),
    StudyState.QUEUED: (told("Queued"), told("Queued")),
    StudyState.SENDING: (told("Sending"), told("Sending")),
    StudyState.SENT: (told("Sent, not proved yet"), told("Sent")),
    StudyState.COMPLETE: (told("Complete at centre"), told("Complete")),
    StudyState.HELD: (told("Held"), told("Held")),
    StudyState.SET_ASIDE: (told("Set aside - needs you"), told("Set aside")),
}
_SEVERITY_WORDS = {"notice": told("NOTICE"), "warning": told("WARNING"), "alarm": told("ALARM")}
WAITS_FOR_PERSON = (StudyState.HELD, StudyState.SET_ASIDE)
_ITEM_WORDS = {
    ItemState.PENDING: told("waiting"),
    ItemState.ENCODING: told("being prepared"),
    ItemState.READY: told("ready to send"),
    ItemState.SENDING: told("sending"),
    ItemState.SENT: told("✓ sent, not proved yet"),
    ItemState.CONFIRMED: told("✓✓ at the centre"),
    ItemState.HELD: told("held"),
    ItemState.REJECTED: told("! refused, needs you"),
}


_NOTHING_LOST = told("The stored images are not touched by this.")
_DATABASE_FAULTS = {
    "busy": told("This unit's records are locked by another program."),
    "full": told("The disk is full; nothing could be noted."),
    "read-only": told("This unit's records cannot be written."),
    "io": told("The disk reported an error."),
    "corrupt": told("This unit's records are damaged."),
    "missing": told("This unit has no records here yet."),
    "wrong-release": told("This unit's records are of another release of this program."),
    "refused": told("This was not noted: the unit does not allow it."),
}
_DATABASE_ADVICE = {
    "busy": told("Wait a minute and try again."),
    "full": told("Make room ('qafila evict --dry-run' says where), then try again."),
    "read-only": told("Check who may write there, and the disk; 'qafila doctor' says more."),
    "io": told("Call the service about the disk, and do not switch off meanwhile."),
    "corrupt": told("Restart the unit: it sets the damaged file aside and builds a new one from the stored images."),
    "missing": told("Start the unit with 'qafila unit run', or check unit.data_dir in its configuration."),
    "wrong-release": told("Start the release that made them, or restart the unit to bring them up to date."),
    "refused": told("Look at it again: it may have changed meanwhile."),
}


def state_mark(state: StudyState) -> str:
    """The shape that goes with a state; two check marks only with a verified receipt for everything."""
    return _STATE_MARKS[state]


def study_state(study: StudyRow, *, short: bool = False) -> Wording:
    """``→ Sending 62 %``: the mark, then the word; ``short`` for narrow screens."""
    parts: list[str] = [state_mark(study.state), _STATE_WORDS[study.state][1 if short else 0]]
    if study.state is StudyState.SENDING:
        parts.append(f"{study.percent} %")
    return joined(" ", parts)


def item_state(state: ItemState) -> Wording:
    """The state of one outbox item in words."""
    return _ITEM_WORDS[state]


def studies(count: int) -> Wording:
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


def age(at: str, now_s: float) -> Wording:
    """``8 min ago``; empty when there is no such time, or when a clock step makes it lie in the future."""
    seconds = seconds_of(at)
    if seconds is None or seconds > now_s + MINUTE_S:
        return stored("")
    passed_s = now_s - seconds
    if passed_s < MINUTE_S:
        return told("just now")
    if passed_s < HOUR_S:
        return told("{count} min ago", count=int(passed_s // MINUTE_S))
    if passed_s < 2 * DAY_S:
        return told("{count} h ago", count=int(passed_s // HOUR_S))
    return told("{count} days ago", count=int(passed_s // DAY_S))


def duration_range(seconds: float) -> Wording:
    """A rounded range around an estimate, ``40-70 min``: a single number would promise what nobody knows."""
    if seconds * 1.25 <= MINUTE_S:
        return told("under {count} {unit}", count=1, unit=told("min"))
    if seconds < 10 * MINUTE_S:
        step_s, unit_s, unit = MINUTE_S, MINUTE_S, told("min")
    elif seconds < 90 * MINUTE_S:
        step_s, unit_s, unit = 10 * MINUTE_S, MINUTE_S, told("min")
    elif seconds < 2 * DAY_S:
        step_s, unit_s, unit = HOUR_S, HOUR_S, told("h")
    else:
        step_s, unit_s, unit = DAY_S, DAY_S, told("days")
    low = math.floor(seconds * 0.8 / step_s) * step_s // unit_s
    high = math.ceil(seconds * 1.25 / step_s) * step_s // unit_s
    if low > 0:
        return told("{low}-{high} {unit}", low=low, high=high, unit=unit)
    return told("under {count} {unit}", count=high, unit=unit)


def eta(snapshot: Snapshot) -> Wording:
    """When all will be safe: ``40-60 min``, ``unknown - link down``."""
    if snapshot.unsafe_study_count == 0:
        return told("nothing waits")
    if snapshot.forecast is None:
        return told("unknown - no centre is told to take it yet")
    return snapshot.forecast.words


def study_eta(study: StudyRow) -> Wording:
    """The same of one study; empty when nothing of it waits."""
    return stored("") if study.forecast is None or study.state is StudyState.COMPLETE else study.forecast.words


def unsent(rows: Sequence[StudyRow]) -> tuple[StudyRow, ...]:
    """Those not complete at every destination, in the order they will go: STAT first, then the oldest; last those that
    wait for a person."""
    waiting = [row for row in rows if row.state is not StudyState.COMPLETE]
    return tuple(sorted(waiting, key=lambda row: (row.state in WAITS_FOR_PERSON, not row.stat, row.first_received_at)))


def safety(snapshot: Snapshot) -> Wording:
    """How many studies are not yet safe at the centre."""
    if snapshot.unsafe_study_count:
        return told("{studies} not yet safe at the centre", studies=studies(snapshot.unsafe_study_count))
    if snapshot.study_count:
        return told("✓✓ every study is safe at the centre")
    return told("no studies on this unit yet")


def status_segments(snapshot: Snapshot, now_s: float, zone: tzinfo, *, short: bool = False) -> tuple[Wording, ...]:
    """The always-visible line in parts, most important first; the screen joins as many as fit on a line.

    ``short`` says the same with fewer letters, for a screen of 40 cells.
    """
    unsafe = snapshot.unsafe_study_count
    parts = [told("{count} not yet safe", count=unsafe) if short and unsafe else safety(snapshot)]
    news = snapshot.news
    if news.critical_count:
        parts.insert(0, told("▲ {count} critical from the centre", count=news.critical_count))
    elif news.new_count:
        parts.append(told("{count} new from the centre", count=news.new_count))
    if snapshot.only_here_study_count:
        count = snapshot.only_here_study_count
        only_here = told("only on this unit: {studies}", studies=studies(count))
        parts.append(told("{count} only here", count=count) if short else only_here)
    parts.append(last_sync(snapshot.last_sync_at, now_s, zone, short=short))
    next_try = _first_next_try(snapshot.links)
    if next_try:
        at = clock_time(next_try, zone, now_s)
        parts.append(told("next {time}", time=at) if short else told("next try {time}", time=at))
    if snapshot.unsafe_study_count:
        parts.append(told("done in: {eta}", eta=eta(snapshot)))
    if snapshot.unsafe_study_count == 0 or not _any_down(snapshot.links):
        parts.append(link_summary(snapshot.links))
    free = size(snapshot.disk_free_bytes)
    parts.append(told("{size} free", size=free) if short else told("disk {size} free", size=free))
    if (battery := snapshot.battery) is not None:
        parts.insert(0 if battery.is_low else len(parts), battery_words(battery))
    return tuple(parts)


def last_sync(at: str, now_s: float, zone: tzinfo, *, short: bool = False) -> Wording:
    """``last sync 09:12 (8 min ago)``."""
    name = told("sync") if short else told("last sync")
    if seconds_of(at) is None:
        return told("{name}: never", name=name)
    ago = age(at, now_s) or told("the clock has changed")
    return told("{name} {time} ({ago})", name=name, time=clock_time(at, zone, now_s), ago=ago)


def link_summary(links: Sequence[LinkRow]) -> Wording:
    """All links in two or three words."""
    if not links:
        return told("link: no contact yet")
    down = [link.destination for link in links if link.state is LinkState.DOWN]
    if down:
        return told("link down") if len(links) == 1 else told("link down: {names}", names=", ".join(down))
    return told("link up") if all(link.state is LinkState.UP for link in links) else told("link: no contact yet")


def link_line(link: LinkRow, stored_study_count: int, now_s: float, zone: tzinfo, *, hint: str = "") -> Wording:
    """One destination: what happened, what is safe, what to do now.

    ``hint`` is added where trying at once is possible, for instance ``or press F5``.
    """
    name, here = link.destination, _stored_here(stored_study_count)
    if link.state is LinkState.UP:
        if link.rate_bytes_per_s > 0:
            rate = size(round(link.rate_bytes_per_s))
            return told("{name}: connected, about {rate} a second.", name=name, rate=rate)
        return told("{name}: connected.", name=name)
    if link.state is LinkState.UNKNOWN:
        return told("{name}: no contact yet. Nothing is lost: {stored}.", name=name, stored=here)
    todo = told("it is tried again by itself")
    if link.next_try_at:
        todo = told("next try {time}", time=clock_time(link.next_try_at, zone, now_s))
    return told(
        "{name}: {reason} Nothing is lost: {stored}. Keep working; {todo}.",
        name=name,
        reason=sentence_end(link.failure_sentence) or told("It is not reachable."),
        stored=here,
        todo=joined(", ", (todo, hint)) if hint else todo,
    )


_SAFE = {
    Leaving.NO: told("✓ Safe to power off"),
    Leaving.READY: told("✓ Safe to power off now"),
    Leaving.OFF: told("✓ Everything is written - switching off"),
}


def power_line(power: PowerState) -> Wording:
    """The one power line (``ux.md`` 7)."""
    if not power.known:
        return told("✖ Do not power off - the unit's programs do not answer")
    if power.safe:
        return _SAFE[power.leaving]
    doing: list[str] = []
    if power.receiving_count:
        doing.append(told("receiving from {devices}", devices=counted(power.receiving_count, "device", "devices")))
    if power.unindexed_count:
        doing.append(told("filing {images}", images=counted(power.unindexed_count, "image", "images")))
    what = joined(", ", doing or [told("writing")])
    if power.leaving is Leaving.OFF:
        return told("✖ Switching off - {doing}", doing=what)
    return told("✖ Do not power off - {doing}", doing=what)


def battery_words(battery: Battery) -> Wording:
    """``battery 62 %``; what is low says what to do."""
    percent = battery.percent
    if battery.is_empty:
        return told("▲ battery {percent} % - plug the unit in, or it switches off now", percent=percent)
    if battery.is_low:
        return told("▲ battery {percent} % - plug the unit in", percent=percent)
    if battery.is_in_use:
        return told("on battery, {percent} %", percent=percent)
    return told("battery {percent} %", percent=percent)


def why_waiting(study: StudyRow, links: Sequence[LinkRow], ahead_count: int) -> Wording:
    """Why a study is not complete, in one sentence; empty when it is.

    ``ahead_count`` is how many studies go before it.
    """
    if study.state is StudyState.COMPLETE:
        return stored("")
    if study.state is StudyState.SET_ASIDE:
        reason = sentence_end(_first_failure(study.progress)) or told("The centre refused a part of it.")
        return told("{reason} The other studies go on; retry it, or call the centre.", reason=reason)
    if study.state is StudyState.HELD:
        return told("Held by a person; it stays here until it is released.")
    if study.state is StudyState.SENDING:
        return _with_when(told("Going to the centre now."), study)
    if study.state is StudyState.REGISTERED:
        return told("On the consoles' list; no picture of it has come yet.")
    if study.state is StudyState.CAPTURED:
        return told("Kept here; no centre is told to take it yet.")
    down = _link_down(study, links)
    if down:
        return told("Waits for the link to {name}.", name=down)
    if study.state is StudyState.SENT:
        return told("The centre took it; waiting for its proof.")
    failure = sentence_end(_first_failure(study.progress))
    if failure:
        return told("{reason} It is tried again by itself.", reason=failure)
    behind = told("Waits behind {studies}.", studies=studies(ahead_count))
    return _with_when(behind if ahead_count else told("Next to go."), study)


def progress_line(progress: DestinationProgress) -> Wording:
    """``centre: 3 at the centre, 1 waiting (12.0 of 16.0 MB proved)``."""
    parts = [joined(" ", (str(count), item_state(state))) for state, count in progress.item_count_by_state if count]
    return told(
        "{name}: {parts} ({proved} of {total} proved)",
        name=progress.destination,
        parts=joined(", ", parts or [told("nothing queued")]),
        proved=size(progress.bytes_confirmed),
        total=size(progress.bytes_total),
    )


def finding_line(finding: FindingRow) -> Wording:
    """``ALARM: sentence``; the word carries the weight, not a colour."""
    return joined(": ", (_SEVERITY_WORDS.get(finding.severity, finding.severity.upper()), stored(finding.sentence)))


def database_unreadable(kind: str) -> Wording:
    """What happened, by the store's kind of fault, without file names."""
    return _DATABASE_FAULTS.get(kind, told("This unit's records cannot be read now."))


def database_trouble(kind: str) -> Wording:
    """What is safe and what to do now, by the store's kind of fault."""
    advice = _DATABASE_ADVICE.get(kind, told("Call the service, and do not switch off meanwhile."))
    return joined(" ", (_NOTHING_LOST, advice))


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


def sentence_end(text: str) -> Wording:
    """``text`` with exactly one end mark, or empty."""
    stripped = text if isinstance(text, Wording) else text.strip()
    if not stripped or stripped[-1] in ".!?":
        return stored(stripped)
    return joined("", (stored(stripped), "."))


def _stored_here(study_count: int) -> Wording:
    if study_count == 0:
        return told("nothing waits")
    if study_count == 1:
        return told("{studies} is stored here", studies=studies(study_count))
    return told("{studies} are stored here", studies=studies(study_count))


def _any_down(links: Sequence[LinkRow]) -> bool:
    return any(link.state is LinkState.DOWN for link in links)


def _first_next_try(links: Sequence[LinkRow]) -> str:
    return min((link.next_try_at for link in links if link.state is not LinkState.UP and link.next_try_at), default="")


def _with_when(sentence: Wording, study: StudyRow) -> Wording:
    if study.forecast is None:
        return sentence
    if study.forecast.eta is None:
        when = told("Nobody knows when: {why}.", why=stored(study.forecast.why))
    else:
        when = told("At the centre in {eta}.", eta=study.forecast.words)
    return joined(" ", (sentence, when))


def _first_failure(progress: Sequence[DestinationProgress]) -> str:
    return next((one.failure_sentence for one in progress if one.failure_sentence), "")


def _link_down(study: StudyRow, links: Sequence[LinkRow]) -> str:
    """The first destination that is still owed this study and cannot be reached."""
    down = {link.destination for link in links if link.state is LinkState.DOWN}
    owing = (one.destination for one in study.progress if one.bytes_confirmed < one.bytes_total)
    return next((name for name in owing if name in down), "")
