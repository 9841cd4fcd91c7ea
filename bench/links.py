"""``python -m bench.links``: ours and its peers on emulated bad links, at the same work in the same run (root).

Peers run side by side, each on a link of its own; then ours alone, link by link; then STAT films behind a queue. It
writes raw JSON, and beside it the tables (``.md``) and the plot (``.svg``, ``.png``). No time is judged, only reported.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from appliance.clock import SystemClock
from bench.link.named import LINKS
from bench.link.namespaces import remove_leftovers
from bench.peers import plot, report
from bench.peers.plan import PEERS
from bench.peers.session import Choice, Session

TOP = Path(__file__).resolve().parents[1]
CACHE = TOP / ".cache" / "bench-links"
CLOCK = SystemClock()
PARTS = ("peers", "ours", "stat")


def main(argv: Sequence[str]) -> int:
    """0 when all ran (whatever the times), 1 when something could not, 2: a mistake, 3: not root, 130: interrupted."""
    arguments = _parser().parse_args(argv)
    if os.geteuid() != 0:
        print("bench.links: the link emulator needs root (TUN devices, network namespaces)", file=sys.stderr)
        return 3
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _setting(stop))
    kept = json.loads(arguments.keep.read_text(encoding="utf-8")) if arguments.keep else {}
    with _place(arguments.files) as place:
        session = Session(_choice(arguments), place, stop)
        raw = _with_kept(_run(session, arguments.parts), kept)
    remove_leftovers()
    if stop.is_set():
        print("bench.links: stopped; nothing is left running and nothing was written", file=sys.stderr)
        return 130
    for path in _write(raw, arguments.out):
        print(path)
    return 1 if session.failure_count else 0


@contextlib.contextmanager
def _place(kept: Path | None) -> Iterator[Path]:
    """A folder on a real disk, never on tmpfs; removed at the end unless it was asked for."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="qafila-links-", dir="/var/tmp") as place:
        yield Path(place)


def _run(session: Session, parts: Sequence[str]) -> dict[str, Any]:
    began_at = datetime.datetime.fromtimestamp(CLOCK.wall_s(), datetime.UTC)
    loads = session.loads()
    return {
        "began_at": began_at.isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "bench.links", *sys.argv[1:]]),
        "commit": _commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "loads": [load.to_json() for load in loads],
        "results": [
            *(session.peers(loads) if "peers" in parts else ()),
            *(session.ours(loads) if "ours" in parts else ()),
        ],
        "stat": session.stat() if "stat" in parts else [],
    }


def _with_kept(raw: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """The new results, and of the kept ones those that were not measured anew."""

    def merged(name: str, key: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
        new = {key(row) for row in raw[name]}
        return [*(row for row in kept.get(name, []) if key(row) not in new), *raw[name]]

    if not kept:
        return raw
    return {
        **raw,
        "kept_from": f"{kept['began_at']}, commit {kept['commit']}",
        "loads": merged("loads", lambda row: (row["link"], row["payload"])),
        "results": merged("results", lambda row: (row["contender"], row["congestion"], row["link"], row["payload"])),
        "stat": merged("stat", lambda row: row["link"]),
    }


def _write(raw: dict[str, Any], out: Path) -> list[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    tables = out.with_suffix(".md")
    tables.write_text(report.markdown(raw), encoding="utf-8")
    return [out, tables, *plot.write(raw, out.with_suffix(".svg"))]


def _choice(arguments: argparse.Namespace) -> Choice:
    return Choice(
        links=arguments.links,
        payloads=arguments.payloads,
        peers=arguments.peers,
        congestion=arguments.congestion,
        seed=arguments.seed,
        side_by_side=arguments.side_by_side,
        orthanc=arguments.orthanc,
        cache=CACHE,
        keeps_files=arguments.files is not None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.links", description=__doc__)
    parser.add_argument("--links", type=_words_of(LINKS), default=list(LINKS), help="A,B,C,D,E (default: all)")
    parser.add_argument("--payloads", type=_words_of("SL"), default=["S", "L"], help="S,L; L is for link D only")
    parser.add_argument("--parts", type=_words_of(PARTS), default=list(PARTS), help=f"{','.join(PARTS)} (default: all)")
    parser.add_argument("--peers", type=_words_of(PEERS), default=list(PEERS), help=f"of {','.join(PEERS)}")
    parser.add_argument(
        "--congestion",
        type=_words_of(("cubic", "bbr", "reno")),
        default=["cubic", "bbr"],
        help="TCP of the peers' machines; each runs under each (default cubic,bbr), payload L under the last",
    )
    parser.add_argument("--seed", type=int, default=1, help="losses follow from it (default 1)")
    parser.add_argument("--side-by-side", type=int, default=40, metavar="N", help="peers at the same time (default 40)")
    parser.add_argument("--orthanc", default="Orthanc", help="program to run as Orthanc (default: Orthanc)")
    parser.add_argument("--out", type=Path, default=CACHE / "raw.json", metavar="FILE", help="raw results")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep configurations, databases and logs there")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="earlier raw results; what is not run anew is taken over"
    )
    return parser


def _words_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"there is no {word!r}; there are {', '.join(known)}")
        return words

    return read


def _setting(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    def set_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    return set_stop


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, cwd=TOP)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
