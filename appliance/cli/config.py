"""``qafila config``: check a configuration, show it with its defaults, or print a commented sample."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from appliance.cli.common import CLOCK, DEFAULT_CONFIG, Subparsers, add_options, print_json
from appliance.cli.exits import FINE, NEEDS_PERSON
from appliance.config import UnitConfig, load, load_unit
from appliance.health.check import Result


def add(subparsers: Subparsers) -> None:
    """Register ``config check``, ``config show`` and ``config sample``."""
    config = subparsers.add_parser("config", help="check, show or print a configuration")
    actions = config.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", help="say what is wrong with a configuration, or that it is fine")
    show = actions.add_parser("show", help="print the effective configuration, defaults included, as TOML")
    for parser, handler in ((check, _check), (show, _show)):
        parser.add_argument("file", nargs="?", type=Path, help=f"unit.toml (default: as --config, {DEFAULT_CONFIG})")
        add_options(parser)
        parser.set_defaults(handler=handler)
    sample = actions.add_parser("sample", help="print a commented sample")
    sample.add_argument("which", choices=("unit", "central"))
    sample.set_defaults(handler=_sample)


def _check(arguments: argparse.Namespace) -> int:
    """Exit code 0 fine, 1 with doubts; a configuration that cannot be used at all ends as an error (3)."""
    path = arguments.file or arguments.config
    doubts = _doubts(path)
    if arguments.json:
        print_json({"fine": not doubts, "doubts": doubts})
    elif not doubts:
        print(f"{path}: fine")
    else:
        for doubt in doubts:
            print(f"{path}: {doubt.sentence} {doubt.hint}")
    return NEEDS_PERSON if doubts else FINE


def _doubts(path: Path) -> tuple[Result, ...]:
    """What may be wrong with a unit's or a centre's configuration; a centre's own tables tell which it is."""
    from appliance.health.settings import doubts_about, doubts_about_secret

    tree = load(path, dict)
    if not {"centre", "pacs", "gateway", "handover"} & tree.keys():
        return tuple(doubts_about(load_unit(path), CLOCK))
    from central.config import load_central

    config = load_central(path)
    secrets = {"pacs.password_file": config.pacs.password_file, "gateway.key_file": config.gateway.key_file}
    return tuple(doubt for key, name in secrets.items() for doubt in doubts_about_secret(key, name))


def _show(arguments: argparse.Namespace) -> int:
    config = load_unit(arguments.file or arguments.config)
    if arguments.json:
        print_json(config)
    else:
        print(to_toml(config), end="")
    return FINE


def _sample(arguments: argparse.Namespace) -> int:
    print((files("appliance") / "samples" / f"{arguments.which}.toml").read_text(encoding="utf-8"), end="")
    return FINE


def to_toml(config: UnitConfig) -> str:
    """The configuration as TOML that ``load_unit`` reads back to the same value; secrets are file names only."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    arrays = {key: value for key, value in tree.items() if isinstance(value, list | tuple)}
    parts = [f"[{name}]\n{_lines(table)}" for name, table in tables.items()]
    parts += [f"[[{name}]]\n{_lines(table)}" for name, rows in arrays.items() for table in rows]
    return "\n".join(parts)


def _lines(table: dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: object) -> str:
    """TOML's form of a value; JSON's form of a text is a TOML basic string, and of a list a TOML array."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    return msgspec.json.encode(value).decode("utf-8")
