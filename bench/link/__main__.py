"""``python -m bench.link [--link A | --rate 1M --delay 75ms ...] [-- COMMAND...]``: a link to play with by hand.

With a command, it runs in the unit's namespace, and the link ends with it; else the link stays until Ctrl-C. Inside,
``$QAFILA_UNIT`` and ``$QAFILA_CENTRE`` hold the two addresses; ``ip netns exec NAMESPACE`` runs more on either side.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from bench.link import Direction, Link, LinkError, LinkSpec, Report, words
from bench.link.named import LINKS


def main(argv: list[str]) -> int:
    """The command's own exit code, 0 after Ctrl-C, 2 for a mistake, 3 when there is no link to be had."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        spec = _spec(arguments)
        with Link(spec, arguments.seed, congestion=arguments.congestion) as link:
            _say(f"unit   {link.unit.name} {link.unit.address}")
            _say(f"centre {link.centre.name} {link.centre.address}")
            code = _run(link, arguments.command)
            report = link.report()
        _say(_summary(report))
        if arguments.json:
            arguments.json.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
        return code
    except ValueError as error:
        parser.error(str(error))
    except LinkError as error:
        _say(f"bench.link: {error}")
        return 3
    except KeyboardInterrupt:
        return 0


def _run(link: Link, command: list[str]) -> int:
    if not command:
        _say("running until Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        return 0
    environment = {**os.environ, "QAFILA_UNIT": link.unit.address, "QAFILA_CENTRE": link.centre.address}
    process = subprocess.Popen(link.unit.command(*command), env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command had it too, and says itself when it has ended
            continue


def _spec(arguments: argparse.Namespace) -> LinkSpec:
    spec = LINKS[arguments.link] if arguments.link else LinkSpec()
    up = _direction(spec.up, arguments, "")
    down = _direction(_direction(spec.down, arguments, ""), arguments, "down_")
    return LinkSpec(up, down, arguments.outage or spec.outage)


def _direction(base: Direction, arguments: argparse.Namespace, prefix: str) -> Direction:
    given = {
        field.name: getattr(arguments, prefix + field.name)
        for field in dataclasses.fields(Direction)
        if getattr(arguments, prefix + field.name, None) is not None
    }
    direction = dataclasses.replace(base, **given)
    queue_s = getattr(arguments, f"{prefix}queue_s")
    if queue_s is not None and math.isfinite(direction.rate_bps):
        direction = dataclasses.replace(direction, queue_bytes=round(direction.rate_bps * queue_s / 8))
    return direction


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.link", description=__doc__)
    parser.add_argument(
        "--link", choices=sorted(LINKS), help="one of the benchmark's links; the options below change it"
    )
    for prefix, what in (("", "both directions"), ("down-", "to the unit only")):
        _add(parser, f"--{prefix}rate", f"{prefix}rate_bps", words.rate_bps, f"1M, 200k; on IP packets; {what}")
        _add(parser, f"--{prefix}delay", f"{prefix}delay_s", words.seconds, f"75ms: one way; {what}")
        _add(
            parser, f"--{prefix}jitter", f"{prefix}jitter_s", words.seconds, f"10ms at most, added to the delay; {what}"
        )
        _add(parser, f"--{prefix}loss", f"{prefix}loss", words.share, f"0.5%%; {what}")
        _add(parser, f"--{prefix}queue", f"{prefix}queue_s", words.seconds, f"300ms at the rate; {what}")
        parser.add_argument(f"--{prefix}reorder", action="store_true", default=None, help=f"jitter may reorder; {what}")
    _add(parser, "--outage", "outage", words.outage, "START+DURATION[/EVERY][:silent|forget|reset], 40s+20s/60s:forget")
    parser.add_argument("--seed", type=int, default=0, help="losses and jitter follow from it (default 0)")
    parser.add_argument("--congestion", help="TCP congestion control at both ends: cubic, bbr, reno")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counters there at the end")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="runs in the unit's namespace; after --")
    return parser


def _add(parser: argparse.ArgumentParser, flag: str, target: str, read: Callable[[str], Any], text: str) -> None:
    def checked(word: str) -> Any:
        try:
            return read(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument(flag, dest=target.replace("-", "_"), type=checked, metavar="X", help=text)


def _summary(report: Report) -> str:
    duration_s = report.now_mono_s - report.start_mono_s
    lines = [f"after {duration_s:.1f} s (late by {report.late_s_max * 1e3:.1f} ms at most)"]
    for name, counters in (("up", report.up), ("down", report.down)):
        parts = [f"{field.name} {getattr(counters, field.name).packet_count}" for field in dataclasses.fields(counters)]
        rate = counters.carried_bytes * 8 / duration_s if duration_s else 0.0
        lines.append(
            f"{name:<5}packets: {', '.join(parts)}; carried {counters.carried_bytes} bytes, {rate / 1e3:.0f} kbit/s"
        )
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
