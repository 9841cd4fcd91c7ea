"""``qafila demo``: the whole way of a study on one machine, from simulated modalities to a proof at the centre."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the ``demo`` command."""
    demo = subparsers.add_parser("demo", help="run centre, unit and two simulated modalities on this machine")
    demo.add_argument("--headless", action="store_true", help="no screen: print progress, one JSON line last")
    demo.add_argument(
        "--send",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="DICOM files or folders to send instead of the demo's pictures",
    )
    demo.add_argument("--folder", type=Path, help="keep all files there (default: a temporary folder, removed)")
    demo.add_argument("--orthanc", default="Orthanc", help="program to run as Orthanc (default: Orthanc)")
    demo.set_defaults(handler=_handle)


def _handle(arguments: argparse.Namespace) -> int:
    from appliance.cli.demo.play import Play
    from appliance.cli.demo.stage import DemoError

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    missing = [program for program in (arguments.orthanc, "storescu", "dcmsend") if shutil.which(program) is None]
    if missing:
        print(f"qafila demo: {', '.join(missing)} is not installed; 'make setup' installs it", file=sys.stderr)
        return 3
    folder = arguments.folder.resolve() if arguments.folder else Path(tempfile.mkdtemp(prefix="qafila-demo-"))
    headless = arguments.headless or not sys.stdout.isatty()
    kept = arguments.folder is not None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        code = Play(folder, arguments.orthanc, headless=headless, send=arguments.send).run()
        kept = kept or code not in (0, 4)
        return code
    except DemoError as error:
        kept = True
        print(f"qafila demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("qafila demo: stopped; nothing is left running", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"qafila demo: {error.filename or folder}: {error.strerror}. Nothing was sent or lost", file=sys.stderr)
        return 3
    finally:
        if kept:
            print(f"The demo's files and logs are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _as_ctrl_c(number: int, frame: object) -> None:
    """End as after Ctrl-C, so that everything started is stopped; a second signal no longer interrupts that."""
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
