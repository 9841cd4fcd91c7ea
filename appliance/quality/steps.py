"""What the quality process does beside each other: matching, checks, the watched folder.

A step is ``module:function``; the function takes configuration and clock and gives a context manager over a ``Worker``
(``appliance.orthanc.background``) with database handles of its own. Each step runs in its own thread, and after any
error everything of it is opened anew, so a step that fails never stops another. Names, so that a process loads only
what it runs: a step imports pydicom, numpy or a decoder in a child of its own, never here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.orthanc.background import Worker

OpenStep = Callable[[UnitConfig, Clock], AbstractContextManager[Worker]]

STEPS: tuple[str, ...] = (
    "appliance.corrections.step:open_matching",
    "appliance.quality.checking:open_checking",
    "appliance.imports.watch:open_import_folder",
    "appliance.services.completing:open_completing",
)


def open_steps(config: UnitConfig, clock: Clock) -> dict[str, Callable[[], AbstractContextManager[Worker]]]:
    """How to open each step, by its function's name without ``open_``."""
    found: dict[str, Callable[[], AbstractContextManager[Worker]]] = {}
    for name in STEPS:
        module, function = name.split(":")
        open_step: OpenStep = getattr(importlib.import_module(module), function)
        found[function.removeprefix("open_")] = partial(open_step, config, clock)
    return found
