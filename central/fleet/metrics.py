"""The picture in Prometheus' text format: counts, sizes and ages of units, and nothing of a patient.

Written by hand: it is one line a value, and a client library would bring a registry of global state with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from central.fleet.judging import Alarm, Standing
from central.fleet.picture import Picture

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def exposition(now: Picture, studies: Mapping[str, int], files: Mapping[str, int], version: str) -> str:
    """The answer to a scrape."""
    units = [(unit, {"unit": unit.row.name}) for unit in now.units]
    reported = [(unit.row.report, labels) for unit, labels in units if unit.row.report is not None]
    times = [(unit, now.deliveries[unit.row.unit_id]) for unit, _ in units if unit.row.unit_id in now.deliveries]
    quantiles = [
        ({"unit": unit.row.name, "quantile": share}, value)
        for unit, took in times
        for share, value in (("0.5", took.median_s), ("0.95", took.p95_s))
        if value is not None
    ]
    probes = [({"what": what}, _number(ok)) for what, ok in _probes(now) if ok is not None]
    share, in_time = now.service.available_share, now.all_deliveries.in_time_share
    families: tuple[tuple[str, str, Iterable[Sample]], ...] = (
        ("build_info", "Release of the centre.", [({"version": version}, 1)]),
        ("studies", "Studies on the review list.", [({"state": state}, n) for state, n in sorted(studies.items())]),
        ("instances", "Instances that units announced.", [({"state": s}, n) for s, n in sorted(files.items())]),
        ("service_up", "Whether units could deliver at the last look.", probes),
        ("available_ratio", "Minutes in which units could deliver.", [] if share is None else [({}, share)]),
        ("delivered_in_time_ratio", "Studies within the service level.", [] if in_time is None else [({}, in_time)]),
        ("delivery_seconds", "From made to readable at the centre.", quantiles),
        (
            "unit_silent_seconds",
            "Since a unit was last heard of.",
            [(labels, unit.silent_s) for unit, labels in units if unit.silent_s is not None],
        ),
        ("unit_oldest_unsent_seconds", "Age of the oldest unsent.", [(at, unit.oldest_unsent_s) for unit, at in units]),
        ("unit_unsent_studies", "Studies not yet safe.", [(at, one.unsent_study_count) for one, at in reported]),
        ("unit_unsent_bytes", "Bytes not yet safe.", [(at, one.unsent_bytes) for one, at in reported]),
        ("unit_disk_free_bytes", "Free on a unit's disk.", [(at, one.disk_free_bytes) for one, at in reported]),
        ("unit_disk_total_bytes", "Size of a unit's disk.", [(at, one.disk_total_bytes) for one, at in reported]),
        ("unit_findings", "What waits for a person at a unit.", [(at, one.finding_count) for one, at in reported]),
        ("unit_link_bytes_per_second", "Measured goodput.", [(at, one.rate_bytes_per_s) for one, at in reported]),
        (
            "unit_clock_ahead_seconds",
            "By how much a unit's clock is ahead of the centre's.",
            [(labels, unit.clock_ahead_s) for unit, labels in units if unit.clock_ahead_s is not None],
        ),
        ("unit_alarm", "1 while somebody has to look.", [one for unit, _ in units for one in _alarms(unit)]),
    )
    return "".join(_family(f"qafila_{name}", words, samples) for name, words, samples in families)


def _probes(now: Picture) -> tuple[tuple[str, bool | None], ...]:
    return ("gateway", now.service.gateway_ok), ("pacs", now.service.pacs_ok)


def _alarms(unit: Standing) -> list[Sample]:
    return [({"unit": unit.row.name, "kind": kind.value}, _number(kind in unit.alarms)) for kind in Alarm]


def _number(is_so: bool | None) -> float:
    return 1 if is_so else 0


def _family(name: str, words: str, samples: Iterable[Sample]) -> str:
    lines = [f"{name}{_labels(labels)} {value:.15g}\n" for labels, value in samples]
    return f"# HELP {name} {words}\n# TYPE {name} gauge\n{''.join(lines)}" if lines else ""


def _labels(labels: Labels) -> str:
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{said}}}" if said else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
