"""The raw results as tables in Markdown: every goal with what was measured, and every contender. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

OURS = "Qafila"
STOCK = "Orthanc modality"
STOCK_CONGESTION = "cubic"
"""What Debian's kernels do when nobody has chosen; "stock" is that."""
_NO_DICOM = "rsync"
_TUNED = "tuned"


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table of goals on one link.

    Attributes:
        at_most: Whether smaller is better.
        measured: ``None`` when it was not measured; infinity when the other never finished.
    """

    link: str
    what: str
    bound: float
    unit: str
    measured: float | None
    at_most: bool

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = self.measured <= self.bound if self.at_most else self.measured >= self.bound
        return "met" if met else "**missed**"


def goals(raw: dict[str, Any]) -> list[Goal]:
    """Every goal of issue 3 that is a matter of links."""
    found = []
    for link, bound in (("A", 1.10), ("B", 1.12), ("C", 1.15), ("D", 1.15), ("E", 1.30)):
        limit = "limit / share up" if link == "D" else "limit"
        found.append(Goal(link, f"all verified in the PACS, × {limit}", bound, "×", _times_limit(raw, link, "S"), True))
    for link, bound in (("A", 3.0), ("B", 8.0), ("C", 4.0), ("D", 3.0)):
        found.append(Goal(link, "first look at a STAT radiograph behind 200 MB", bound, "s", _look_s(raw, link), True))
    for link, bound in (("A", 1.03), ("B", 1.05), ("C", 1.35), ("D", 1.03), ("E", 2.0)):
        found.append(Goal(link, "faster than the best DICOM peer", bound, "×", _faster(raw, link, _is_dicom), False))
    found.append(Goal("D", "faster than the best untuned DICOM peer", 1.9, "×", _faster(raw, "D", _is_untuned), False))
    found.append(Goal("D", "payload L, × limit / share up", 1.15, "×", _times_limit(raw, "D", "L"), True))
    never = _finished(raw, "D", "L", _is_dicom)
    found.append(Goal("D", "DICOM peers that finish payload L", 0, "", None if never is None else len(never), True))
    for link, bound in (("A", 2.6), ("B", 7.0), ("C", 3.0), ("D", math.inf), ("E", math.inf)):
        found.append(
            Goal(link, "faster than stock Orthanc forwarding", bound, "×", _faster(raw, link, _is_stock), False)
        )
    resent = _resent_a_cut(raw)
    found.append(Goal("D, E", "bytes sent again a cut", 256 * 1024, "bytes", resent, True))
    return found


def markdown(raw: dict[str, Any]) -> str:
    """The whole report."""
    links = {load["link"] for load in raw["loads"]}
    lines = [
        f"Began {raw['began_at']}, commit {raw['commit']}, {raw['machine']}.",
        *([f"Results of peers that were not run again: {raw['kept_from']}."] if raw.get("kept_from") else []),
        "",
        f"    {raw['command']}",
        "",
        "| link | goal | bound | measured | |",
        "|---|---|---|---|---|",
    ]
    for goal in goals(raw):
        if set(goal.link.split(", ")) & links:
            sign = "≤" if goal.at_most else "≥"
            bound, measured = _number(goal.bound, goal.unit), _number(goal.measured, goal.unit)
            lines.append(f"| {goal.link} | {goal.what} | {sign} {bound} | {measured} | {goal.verdict} |")
    for load in raw["loads"]:
        lines += ["", *_contenders(raw, load)]
    if raw.get("stat"):
        lines += ["", *_stat(raw["stat"])]
    return "\n".join(lines) + "\n"


def ranked(raw: dict[str, Any], load: dict[str, Any]) -> list[dict[str, Any]]:
    """Results on one load, the fastest first, unfinished ones last."""
    results = _results(raw, load["link"], _family(load["payload"]))
    return sorted(results, key=lambda r: (r["finished_s"] is None, r["finished_s"] or 0.0, -len(r["arrived_s"])))


def _contenders(raw: dict[str, Any], load: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Link {load['link']}, payload {load['payload']}: {load['payload_bytes'] / 1e6:.1f} MB, limit "
        f"{load['limit_bytes'] / 1e6:.2f} MB or {load['limit_s']:.1f} s."
    )
    yield ""
    yield "| contender | TCP | verified after | × limit | first look | up, MB | down, MB |"
    yield "|---|---|---|---|---|---|---|"
    for result in ranked(raw, load):
        up, down = (_carried_mb(result, side) for side in ("up", "down"))
        time = result["finished_s"]
        if time is None:
            after, times = f"not in {result['deadline_s']:.0f} s ({len(result['arrived_s'])} arrived)", "–"
        else:
            after = f"{time:.1f} s{'' if result['equal'] else ', **not equal**'}"
            times = f"{time / load['limit_s']:.2f}"
        look = "–" if result["first_look_s"] is None else f"{result['first_look_s']:.1f} s"
        yield f"| {result['contender']} | {result['congestion']} | {after} | {times} | {look} | {up} | {down} |"


def _stat(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "A STAT radiograph behind a queue of 200 MB, from the end of its C-STORE:"
    yield ""
    yield "| link | its preview at the centre, film by film | of the queue still waiting |"
    yield "|---|---|---|"
    for row in rows:
        looks = ", ".join("not seen" if look is None else f"{look:.1f} s" for look in row["look_s"])
        yield f"| {row['link']} | {looks} | {row['waiting_count']} of {row['queue_count']} |"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if math.isinf(value):
        return "never seen" if unit == "s" else "never finishes"
    if unit == "bytes":
        return f"{value / 1024:.0f} KiB"
    return f"{value:.2f} ×" if unit == "×" else f"{value:g} {unit}".strip()


def _results(raw: dict[str, Any], link: str, family: str) -> list[dict[str, Any]]:
    return [r for r in raw["results"] if r["link"] == link and _family(r["payload"]) == family]


def _family(payload: str) -> str:
    """S- (without its larger film) is what payload S is on link B."""
    return payload.rstrip("-")


def _limit_s(raw: dict[str, Any], link: str, family: str) -> float:
    return next(float(x["limit_s"]) for x in raw["loads"] if x["link"] == link and _family(x["payload"]) == family)


def _ours(raw: dict[str, Any], link: str, family: str) -> float | None:
    """Seconds; infinity when it ran and did not finish with equal pixels."""
    for result in _results(raw, link, family):
        if result["contender"] == OURS:
            return float(result["finished_s"]) if result["finished_s"] is not None and result["equal"] else math.inf
    return None


def _times_limit(raw: dict[str, Any], link: str, family: str) -> float | None:
    ours = _ours(raw, link, family)
    return None if ours is None else ours / _limit_s(raw, link, family)


def _finished(
    raw: dict[str, Any], link: str, family: str, chosen: Callable[[dict[str, Any]], bool]
) -> list[float] | None:
    peers = [r for r in _results(raw, link, family) if r["contender"] != OURS and chosen(r)]
    return [float(r["finished_s"]) for r in peers if r["finished_s"] is not None and r["equal"]] if peers else None


def _faster(raw: dict[str, Any], link: str, chosen: Callable[[dict[str, Any]], bool]) -> float | None:
    """How many times as long the best of the chosen peers takes; infinity when none of them finishes."""
    ours, theirs = _ours(raw, link, "S"), _finished(raw, link, "S", chosen)
    if ours is None or theirs is None:
        return None
    return 0.0 if math.isinf(ours) else min(theirs, default=math.inf) / ours


def _look_s(raw: dict[str, Any], link: str) -> float | None:
    """The slowest of the films; infinity when one was not seen at all."""
    for row in raw.get("stat", []):
        if row["link"] == link:
            return max((math.inf if look is None else float(look) for look in row["look_s"]), default=None)
    return None


def _resent_a_cut(raw: dict[str, Any]) -> float | None:
    """What the unit said over TCP beyond the parts, less what it says beside them on link A, by outages and kills."""
    calm = [r["notes"] for r in _results(raw, "A", "S") if r["contender"] == OURS]
    shares = []
    for result in raw["results"]:
        notes = result["notes"]
        cut_count = result["kill_count"] + notes.get("outage_count", 0)
        if result["contender"] == OURS and calm and cut_count:
            beside_bytes = calm[0]["beside_parts_bytes"] * notes["part_bytes"] / max(1, calm[0]["part_bytes"])
            shares.append((notes["beside_parts_bytes"] - beside_bytes) / cut_count)
    return max(shares, default=None)


def _is_dicom(result: dict[str, Any]) -> bool:
    return _NO_DICOM not in result["contender"]


def _is_untuned(result: dict[str, Any]) -> bool:
    return _is_dicom(result) and _TUNED not in result["contender"]


def _is_stock(result: dict[str, Any]) -> bool:
    return bool(result["contender"] == STOCK and result["congestion"] == STOCK_CONGESTION)


def _carried_mb(result: dict[str, Any], side: str) -> str:
    return f"{result['link_report'][side]['carried_bytes'] / 1e6:.2f}" if result["link_report"] else "–"
