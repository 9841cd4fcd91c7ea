"""The child process that reads pictures and runs the checks: one JSON question a line in, one JSON answer a line out.

It bounds its own memory and may be killed at any moment. Started by ``checking`` only, through ``BoundedChild``.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from appliance.config import QualityTable
from appliance.dicom.child_loop import serve, take_every_value
from appliance.dicom.structure import TornFile
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import Order, View


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``{"findings": [...]}``; any failure becomes ``{"error": [code, reason]}``."""
    try:
        with Path(str(question["path"])).open("rb") as file:
            return {"findings": msgspec.to_builtins(_check(file, question))}
    except FileNotFoundError:
        return {"error": ["missing", "there is no such file"]}
    except OSError as error:
        # pydicom raises it too, without a number, on bytes that it cannot read.
        return {"error": ["io-error", os.strerror(error.errno)] if error.errno else ["unreadable", "OSError"]}
    except MemoryError:
        return {"error": ["memory", "the file needs more memory than it may have"]}
    except Exception as error:
        # The text of a parser's error may quote values of the data set, hence patient identity: only its type goes out.
        return {"error": ["unreadable", type(error).__name__]}


def _check(file: Any, question: dict[str, Any]) -> tuple[Finding, ...]:
    from appliance.quality.frames import look
    from appliance.quality.reading import header_view, open_file
    from appliance.quality.registry import run_checks

    try:
        opened = open_file(file)
    except TornFile:
        return (Finding(CheckCode.FILE_DAMAGED, Severity.ALARM),)
    header = header_view(opened.dataset)
    frames = look(opened, header, int(question["sample_count_max"]))
    order = question.get("order")
    return run_checks(
        View(
            header=header,
            frames=frames,
            bands=msgspec.convert(question["bands"], QualityTable),
            received_at=datetime.fromisoformat(question["received_at"]),
            is_clock_doubted=bool(question.get("is_clock_doubted")),
            order=msgspec.convert(order, Order) if order else None,
            damage=opened.damage,
        )
    )


def main(memory_bytes_max: int, idle_s_max: float) -> None:
    """As ``child_loop.serve``."""
    take_every_value()
    serve(answer, memory_bytes_max, idle_s_max)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
