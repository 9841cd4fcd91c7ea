"""The child process that makes corrected copies and rejection notes: one JSON question a line, one JSON answer a line.

Started by ``reviser.Reviser`` only; it may be killed at any moment, and leaves at most a partial file behind.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.dicom.child_loop import serve, take_every_value
from appliance.lean import leave_out

leave_out("numpy")

from appliance.dicom.rejection_note import write_note  # noqa: E402 - numpy must be out first
from appliance.dicom.revise import ReviseError, digested, revise  # noqa: E402 - likewise
from appliance.dicom.wanted import Change, Note  # noqa: E402 - likewise


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question; any failure becomes ``{"error": [code, reason]}``."""
    target = Path(str(question["target"]))
    try:
        with Path(str(question["source"])).open("rb") as source, target.open("x+b") as made:
            if "note" in question:
                write_note(source, made, Note(**question["note"]))
                return asdict(digested(made, {}))
            return asdict(revise(source, made, Change(**question["change"])))
    except FileNotFoundError:
        return {"error": ["missing", "there is no such file"]}
    except OSError as error:
        if error.errno is None:  # not the disk: pydicom raises it where a sequence is cut off
            return {"error": ["unreadable", "it ends inside a sequence"]}
        return {"error": ["io-error", os.strerror(error.errno)]}
    except ReviseError as error:
        return {"error": [error.code, error.reason]}
    except Exception as error:
        # The text of a parser's error may quote values of the data set, hence patient identity: only its type goes out.
        return {"error": ["unreadable", type(error).__name__]}


def main(memory_bytes_max: int, idle_s_max: float) -> None:
    """As ``child_loop.serve``."""
    take_every_value()
    serve(answer, memory_bytes_max, idle_s_max)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
