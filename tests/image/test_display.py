"""Which compositor a display gets, by what udev knows of its devices; the script is run as it is."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "image/mkosi.extra/usr/lib/qafila"


def started(folder: Path, devices: dict[str, str]) -> str:
    """What the script would run, with programs that only say their names."""
    for name in ("labwc", "cage"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    for name, known in devices.items():
        (folder / name).write_text(known, encoding="utf-8")
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", str(FOLDER / "display"), str(folder)], env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("devices", "wanted"),
    [
        ({}, "cage"),
        ({"c13:64": "I:1\nE:ID_INPUT=1\nE:ID_INPUT_KEYBOARD=1\n"}, "cage"),
        ({"c13:64": "E:ID_INPUT_KEYBOARD=1\n", "c13:65": "E:ID_INPUT=1\nE:ID_INPUT_TOUCHSCREEN=1\n"}, "labwc"),
        ({"c13:64": "E:ID_INPUT_TOUCHPAD=1\nE:NAME=ID_INPUT_TOUCHSCREEN=1\n"}, "cage"),
        ({"b8:0": "E:ID_INPUT_TOUCHSCREEN=1\n"}, "cage"),
    ],
)
def test_a_touch_panel_alone_gets_room_for_a_keyboard(tmp_path: Path, devices: dict[str, str], wanted: str) -> None:
    said = started(tmp_path, devices)
    assert said.split()[0] == wanted
    for path in [word for word in said.split() if word.startswith("/usr/lib/qafila/")]:
        assert (FOLDER / Path(path).name).exists(), path


def test_no_key_and_no_finger_opens_a_menu_or_a_program() -> None:
    root = ET.parse(FOLDER / "labwc" / "rc.xml").getroot()
    assert not list(root.iter("default")), "labwc's own bindings open a terminal and a menu"
    commands = [(each.get("name"), each.get("command")) for each in root.iter("action")]
    assert commands == [("Execute", "pkill -RTMIN -x wvkbd-mobintl"), ("Focus", None)]
    assert root.find("keyboard/keybind") is not None and root.find("mouse/context/mousebind") is not None
