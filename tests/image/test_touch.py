"""The image on a touch panel, in QEMU: a finger on the key bar opens a form, and its keyboard types into it."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.image.enrolled import CREDENTIALS, wait_until_good
from tests.image.machine import WORK, Machine, images, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
    pytest.mark.timeout(3600),
]
KEYBOARD_PX = 250
GREY_MAX = 0x20
"""The keyboard's ground is darker than the terminal's."""


def test_keyboard_on_the_glass_is_there_while_there_is_something_to_type(tmp_path: Path) -> None:
    machine = Machine.fresh(images()[-1], tmp_path, CREDENTIALS)
    machine.extra = ("-device", "virtio-multitouch-pci")
    with machine.surroundings():
        machine.start()
        wait_until_good(machine)
        machine.wait_for(lambda: "wvkbd" in machine.run("ps ax"), 300, "the keyboard is ready")
        machine.wait_for(lambda: "qafila tui" in machine.run("ps ax"), 300, "the screen runs")
        machine.wait_for(lambda: len(np.unique(picture(machine))) > 20, 300, "something is drawn")
        assert not is_keyboard_there(machine)
        (WORK / "touch-list.png").write_bytes(machine.screen("touch").read_bytes())
        press(machine, "f9")
        machine.wait_for(lambda: is_keyboard_there(machine), 300, "the keyboard is shown beside the form")
        before = picture(machine)[:-KEYBOARD_PX]
        height = len(picture(machine))
        for column in (0.05, 0.25, 0.45):
            touch(machine, column, 1 - KEYBOARD_PX / height * 3.5 / 6)
        machine.wait_for(lambda: bool((picture(machine)[:-KEYBOARD_PX] != before).any()), 300, "a finger types")
        (WORK / "touch-form.png").write_bytes(machine.screen("touch").read_bytes())
        press(machine, "esc")
        machine.wait_for(lambda: not is_keyboard_there(machine), 300, "the keyboard goes with the form")


def picture(machine: Machine) -> NDArray[np.uint8]:
    """The guest's screen, grey."""
    pixels = imagecodecs.png_decode(machine.screen("touch").read_bytes())
    return np.asarray(pixels[:, :, :3].mean(axis=2), np.uint8)


def is_keyboard_there(machine: Machine) -> bool:
    """Between its keys its ground can be seen from side to side."""
    rows = picture(machine)[-KEYBOARD_PX:]
    return bool(((rows < GREY_MAX).all(axis=1)).sum() >= 5)


def press(machine: Machine, key: str) -> None:
    """A key of a keyboard of keys."""
    machine.qmp("send-key", keys=[{"type": "qcode", "data": key}])


def touch(machine: Machine, column: float, row: float) -> None:
    """A finger at a place, as shares of the screen, and away again."""
    place = [
        {"type": "mtt", "data": {"type": "data", "slot": 0, "tracking-id": 1, "axis": axis, "value": int(at * 0x7FFF)}}
        for axis, at in (("x", column), ("y", row))
    ]
    begin = {"type": "mtt", "data": {"type": "begin", "slot": 0, "tracking-id": 1, "axis": "x", "value": 0}}
    end = {"type": "mtt", "data": {"type": "end", "slot": 0, "tracking-id": -1, "axis": "x", "value": 0}}
    button = {"type": "btn", "data": {"down": True, "button": "touch"}}
    machine.qmp("input-send-event", events=[begin, *place, button])
    machine.qmp("input-send-event", events=[{"type": "btn", "data": {"down": False, "button": "touch"}}, end])
