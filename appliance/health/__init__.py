"""Is the unit well? One file a check; ``examine`` runs them all, and none can stop another."""

from __future__ import annotations

from importlib import import_module

from appliance.health.check import Level, Result, Subject

CHECKS = (
    "settings",
    "disk",
    "wall_clock",
    "databases",
    "processes",
    "orthanc",
    "feed",
    "devices",
    "links",
    "limits",
    "spool",
    "findings",
)
"""Modules of this package, each with ``check(subject)``, in the order a person wants to read them."""


def examine(subject: Subject) -> tuple[Result, ...]:
    """Every check's answers; a check that fails itself answers ``unknown``."""
    return tuple(result for name in CHECKS for result in examine_one(name, subject))


def examine_one(name: str, subject: Subject) -> tuple[Result, ...]:
    """The answers of one check of ``CHECKS``, as ``examine``."""
    try:
        return tuple(import_module(f"{__name__}.{name}").check(subject))
    except Exception as error:
        sentence = f"This could not be looked at: {error or type(error).__name__}"
        return (Result(name, Level.UNKNOWN, sentence, "The other answers still hold."),)
