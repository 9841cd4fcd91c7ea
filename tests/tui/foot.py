"""A real foot in a headless Wayland compositor (sway), typed into with wtype and photographed with grim."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tests.support.world import wait_for

TOP = Path(__file__).resolve().parents[2]
FOOT_INI = TOP / "image" / "mkosi.extra" / "usr" / "lib" / "qafila" / "foot.ini"
"""Of the appliance."""
PROGRAMS = ("sway", "foot", "grim", "wtype")
SIZE_PX = (1280, 800)
SWAY = f"xwayland disable\noutput HEADLESS-1 resolution {SIZE_PX[0]}x{SIZE_PX[1]}\ndefault_border none\n"
WAIT_S_MAX = 120.0
HELD_MS = 3_600_000

Shot = NDArray[np.uint8]
"""Rows of pixels of RGB."""


def missing() -> list[str]:
    """What "make screen-pixels" would install."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@dataclass
class Foot:
    """The terminal on its screen."""

    folder: Path
    environment: dict[str, str]

    def shot(self) -> Shot:
        """The screen as it is now."""
        path = self.folder / "shot.png"
        subprocess.run(["grim", str(path)], env=self.environment, check=True, capture_output=True, timeout=30)
        picture: Any = imagecodecs.png_decode(path.read_bytes())
        return np.asarray(picture[:, :, :3], np.uint8)

    def press(self, key: str) -> None:
        """A key by its XKB name."""
        subprocess.run(["wtype", "-k", key], env=self.environment, check=True, timeout=30)

    def wait_for_shot(self, condition: Callable[[Shot], bool], what: str) -> Shot:
        """Look again and again until ``condition`` holds."""
        shots: list[Shot] = []

        def holds() -> bool:
            shots[:] = [self.shot()]
            return condition(shots[0])

        wait_for(holds, what, WAIT_S_MAX)
        return shots[0]


@contextmanager
def foot(folder: Path, *command: str) -> Iterator[Foot]:
    """Runs ``command`` in foot with the appliance's own settings, over the whole screen."""
    foreign = {"WAYLAND_DISPLAY", "DISPLAY", "SSH_CONNECTION", "SSH_TTY"}
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    with ExitStack() as stack:
        log = stack.enter_context((folder / "foot.log").open("wb"))
        runtime = Path(stack.enter_context(TemporaryDirectory(prefix="qafila-foot-")))  # below /tmp: nobody reaches it
        (runtime / "sway.conf").write_text(SWAY, encoding="utf-8")
        environment |= {"XDG_RUNTIME_DIR": str(runtime), "COLORTERM": "truecolor"}
        headless = {"WLR_BACKENDS": "headless", "WLR_LIBINPUT_NO_DEVICES": "1", "WLR_RENDERER": "pixman"}
        argv = ["sway", "--config", str(runtime / "sway.conf")]
        _start(stack, [*_as_nobody(runtime), *argv], {**environment, **headless}, log)
        wait_for(lambda: any(runtime.glob("wayland-?")), "sway to listen", WAIT_S_MAX)
        environment["WAYLAND_DISPLAY"] = next(runtime.glob("wayland-?")).name
        # A seat gets its keyboard with the first virtual one, and keys come before foot has heard of it: one stays.
        _start(stack, ["wtype", "-s", str(HELD_MS)], environment, log)
        _start(stack, ["foot", f"--config={FOOT_INI}", "--fullscreen", *command], environment, log)
        yield Foot(folder, environment)


def tui_command(toml: Path, *options: str) -> list[str]:
    """``qafila tui`` of a unit."""
    return [sys.executable, "-m", "appliance.cli.main", "tui", "--config", str(toml), *options]


def _as_nobody(runtime: Path) -> list[str]:
    """Sway refuses to run as root, who may still use its socket."""
    if os.getuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    os.chown(runtime, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def _start(stack: ExitStack, argv: list[str], environment: dict[str, str], log: Any) -> None:
    process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)
