"""``python -m bench.links``: ours and its peers on emulated bad links, at the same work in the same run (root).

Peers run side by side, each on a link of its own; ours runs alone afterwards. Results: raw JSON, a table and plots.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from appliance.clock import SystemClock
from bench.link import LinkError
from bench.link.named import LINKS
from bench.peers.contender import Contender, Course, Result, run
from bench.peers.limit import limit_of
from bench.peers.payloads import Payload, payload_l, payload_s
from bench.peers.plan import PEERS, Load

TOP = Path(__file__).resolve().parents[1]
CACHE = TOP / ".cache" / "bench-links"
CLOCK = SystemClock()


def main(argv: Sequence[str]) -> int:
    """0 when all ran (whatever the times), 2 for a mistake, 3 when there is no link to be had, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _setting(stop))
    try:
        with tempfile.TemporaryDirectory(prefix="qafila-links-", dir="/var/tmp") as place:
            raw = _measure(arguments, Path(place), stop)
    except LinkError as error:
        print(f"bench.links: {error}", file=sys.stderr)
        return 3
    if stop.is_set():
        print("bench.links: stopped; nothing is left running and nothing was written", file=sys.stderr)
        return 130
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    print(f"raw results: {arguments.out}")
    return 0


def _measure(arguments: argparse.Namespace, place: Path, stop: threading.Event) -> dict[str, Any]:
    begun_at = datetime.datetime.fromtimestamp(CLOCK.wall_s(), datetime.UTC)
    loads = _loads(arguments.links, arguments.payloads)
    for load in loads:
        print(
            f"limit of {load.payload.name} on {load.link}: {load.limit.all_bytes} bytes, {load.limit_s:.1f} s",
            flush=True,
        )
    pairs = [
        (PEERS[name](congestion, arguments.orthanc), load.course(arguments.seed))
        for load in loads
        for name in arguments.peers
        for congestion in (arguments.congestion if load.payload.name != "L" else arguments.congestion[-1:])
    ]
    results = _run_side_by_side(pairs, arguments.side_by_side, place, stop)
    return {
        "began_at": begun_at.isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "bench.links", *sys.argv[1:]]),
        "commit": _commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "seed": arguments.seed,
        "loads": [
            {
                "link": load.link,
                "payload": load.payload.name,
                "payload_bytes": load.payload.size_bytes,
                "limit_bytes": load.limit.all_bytes,
                "limit_s": load.limit_s,
                "spec": load.spec.to_json(),
            }
            for load in loads
        ],
        "results": [result.to_json() for result in results],
    }


def _loads(links: Sequence[str], payloads: Sequence[str]) -> list[Load]:
    made: list[tuple[str, Payload]] = []
    if "S" in payloads:
        small = payload_s(CACHE)
        made += [(link, small.without_largest() if link == "B" else small) for link in links]
    if "L" in payloads and "D" in links:
        made.append(("D", payload_l(CACHE)))
    return [Load(link, payload, limit_of(payload, CACHE)) for link, payload in made]


def _run_side_by_side(
    pairs: Sequence[tuple[Contender, Course]], worker_count: int, place: Path, stop: threading.Event
) -> list[Result]:
    """Each on a link of its own, the longest first; what fails to run at all is told and left out."""

    def one(number: int, contender: Contender, course: Course) -> Result:
        folder = place / f"{number:03}"
        try:
            return run(contender, course, folder, stop)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    pairs = sorted(pairs, key=lambda pair: -pair[1].deadline_s)
    results = []
    with concurrent.futures.ThreadPoolExecutor(worker_count) as workers:
        waiting = {workers.submit(one, number, *pair): pair for number, pair in enumerate(pairs)}
        for done in concurrent.futures.as_completed(waiting):
            contender, course = waiting[done]
            what = f"{course.link}/{course.payload.name} {contender.name} ({contender.congestion})"
            try:
                results.append(done.result())
                print(f"{what}: {_in_words(results[-1])}", flush=True)
            except Exception as error:  # one that breaks must not cost the results of the others
                print(f"{what}: could not run: {error!r}", file=sys.stderr, flush=True)
    return results


def _in_words(result: Result) -> str:
    if result.finished_s is None:
        return f"did not finish in {result.deadline_s:.0f} s, {len(result.arrived_s)} arrived"
    return f"{result.finished_s:.1f} s{'' if result.equal else ', but what arrived is NOT EQUAL'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.links", description=__doc__)
    parser.add_argument("--links", type=_words_of(LINKS), default=list(LINKS), help="A,B,C,D,E (default: all)")
    parser.add_argument("--payloads", type=_words_of(["S", "L"]), default=["S", "L"], help="S,L; L is for link D only")
    parser.add_argument(
        "--peers", type=_words_of(PEERS), default=list(PEERS), help=f"of {','.join(PEERS)}; empty: none"
    )
    parser.add_argument("--congestion", type=_words_of(["cubic", "bbr", "reno"]), default=["cubic", "bbr"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side-by-side", type=int, default=24, metavar="N", help="peers at the same time (default 24)")
    parser.add_argument("--orthanc", default="Orthanc", help="program to run as Orthanc (default: Orthanc)")
    parser.add_argument(
        "--out", type=Path, default=CACHE / "raw.json", help="raw results; table and plots go beside it"
    )
    return parser


def _words_of(known: Sequence[str] | Any) -> Any:
    def read(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        if unknown := [word for word in words if word not in known]:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; there are {', '.join(known)}")
        return words

    return read


def _setting(stop: threading.Event) -> Any:
    def set_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    return set_stop


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, cwd=TOP)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
