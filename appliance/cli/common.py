"""What commands share: their two options, the unit they speak of, output as JSON, and finding a study by its UID."""

from __future__ import annotations

import argparse
import codecs
import json
import sys
from datetime import tzinfo
from typing import Any

import msgspec

from appliance.cli.exits import NOT_FOUND, CliError
from appliance.cli.options import DEFAULT_CONFIG, Subparsers, add_options
from appliance.clock import SystemClock, local_zone
from appliance.config import UnitConfig, load_unit
from appliance.domain.display import safe_text
from appliance.domain.wording import Wording
from appliance.picture import UnitReader
from appliance.store.connect import Store
from appliance.store.study_uids import study_uids_like

__all__ = [
    "CLOCK",
    "DEFAULT_CONFIG",
    "Subparsers",
    "add_options",
    "config_of",
    "find_study",
    "print_json",
    "reader_of",
    "zone_now",
]
MATCH_COUNT_MAX = 10

CLOCK = SystemClock()


def config_of(arguments: argparse.Namespace) -> UnitConfig:
    """The unit's configuration; raises ``ConfigError``."""
    return load_unit(arguments.config)


def reader_of(arguments: argparse.Namespace) -> UnitReader:
    """The unit's state, read-only."""
    return UnitReader(config_of(arguments), CLOCK)


def zone_now() -> tzinfo:
    """For showing times."""
    return local_zone(CLOCK.wall_s())


def print_json(value: Any) -> None:
    """Dataclasses become objects with their field names; text stays text in any script, and whole in any encoding."""
    knows_every_script = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    print(json.dumps(msgspec.to_builtins(value, enc_hook=as_text), ensure_ascii=not knows_every_script, indent=2))


def as_text(value: object) -> str:
    """``enc_hook`` of msgspec, which knows no kinds of ``str``."""
    if isinstance(value, Wording):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


def find_study(db: Store, wanted: str) -> str:
    """The one Study Instance UID that is, or begins or ends with, ``wanted``.

    Raises:
        CliError: None or several are; the sentence names the nearest or the candidates.
    """
    found = study_uids_like(db, wanted, MATCH_COUNT_MAX + 1)
    if wanted in found:
        return wanted
    if len(found) == 1:
        return found[0]
    shown = safe_text(wanted) or "(nothing)"
    if not found:
        raise CliError(
            f"There is no study {shown} on this unit. Nothing was changed. 'qafila studies' lists what is here; "
            "the beginning or the end of a UID is enough.",
            NOT_FOUND,
            "no-such-study",
        )
    names = ", ".join(found[:MATCH_COUNT_MAX]) + (", ..." if len(found) > MATCH_COUNT_MAX else "")
    raise CliError(
        f"{shown} means more than one study: {names}. Nothing was changed. Give more of the UID.",
        NOT_FOUND,
        "ambiguous-study",
    )
