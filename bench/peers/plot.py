"""The results as bars, one panel a link: SVG written by hand, and PNG of it where ``rsvg-convert`` is installed."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.peers.report import OURS, ranked

_WIDTH, _LABEL, _RIGHT = 900, 250, 150
_BAR, _STEP, _HEAD, _GAP = 14, 20, 48, 26
_LINE, _LINE_CHARS = 15, 135
_INK, _OURS, _PEER, _FAINT, _LIMIT = "#222222", "#c1440e", "#7d8ca3", "#666666", "#0b6e4f"


def svg(raw: dict[str, Any]) -> str:
    """All loads of a run, one panel each."""
    parts: list[str] = []
    top = 10
    for load in raw["loads"]:
        results = ranked(raw, load)
        if results:
            parts += _panel(load, results, top)
            top += _height(results)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11" fill="{_INK}">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="white"/>', *parts, "</svg>"]) + "\n"


def write(raw: dict[str, Any], path: Path) -> list[Path]:
    """Write ``path`` (``.svg``) and, where it can be had, the same as ``.png``; what was written."""
    path.write_text(svg(raw), encoding="utf-8")
    program = shutil.which("rsvg-convert")
    if program is None:
        return [path]
    png = path.with_suffix(".png")
    subprocess.run([program, "--zoom", "2", "-o", str(png), str(path)], check=True)
    return [path, png]


def _height(results: list[dict[str, Any]]) -> int:
    bars = sum(result["finished_s"] is not None for result in results)
    return _HEAD + _STEP * bars + _LINE * len(_unfinished(results)) + _GAP


def _panel(load: dict[str, Any], results: list[dict[str, Any]], top: int) -> Iterator[str]:
    finished = [result for result in results if result["finished_s"] is not None]
    scale = (_WIDTH - _LABEL - _RIGHT) / max([load["limit_s"], *(result["finished_s"] for result in finished)])
    yield f'<text x="10" y="{top + 14}" font-size="13" font-weight="bold">{escape(_title(load))}</text>'
    first = top + _HEAD
    for number, result in enumerate(finished):
        yield from _bar(result, load["limit_s"], first + number * _STEP, scale)
    at, limit = _LABEL + load["limit_s"] * scale, f"limit {load['limit_s']:.1f} s"
    bottom = first + _STEP * len(finished)
    if finished:
        ends = f'x1="{at:.1f}" y1="{first - 8}" x2="{at:.1f}" y2="{bottom}"'
        yield f'<line {ends} stroke="{_LIMIT}" stroke-dasharray="4 3"/>'
    yield f'<text x="{at:.1f}" y="{first - 12}" text-anchor="middle" fill="{_LIMIT}">{limit}</text>'
    for number, line in enumerate(_unfinished(results)):
        yield f'<text x="10" y="{bottom + 12 + number * _LINE}" fill="{_FAINT}">{escape(line)}</text>'


def _title(load: dict[str, Any]) -> str:
    up = load["spec"]["up"]
    outage = load["spec"]["outage"]
    away = f", away {outage['duration_s']:g} s of every {outage['every_s']:g} s" if outage else ""
    kills = ", an end killed every 20 s" if load["link"] == "E" else ""
    return (
        f"Link {load['link']}: {up['rate_bps'] / 1e6:g} Mbit/s, {up['delay_s'] * 2e3:g} ms, {up['loss'] * 100:g} % loss"
        f"{away}{kills}; payload {load['payload']}, {load['payload_bytes'] / 1e6:.1f} MB"
    )


def _unfinished(results: list[dict[str, Any]]) -> list[str]:
    """Those that did not finish, as lines that fit."""
    missing = [result for result in results if result["finished_s"] is None]
    if not missing:
        return []
    text = f"Not finished in {missing[0]['deadline_s']:.0f} s: " + "; ".join(map(_name, missing))
    return textwrap.wrap(text, _LINE_CHARS)


def _name(result: dict[str, Any]) -> str:
    is_ours = result["contender"] == OURS
    return OURS if is_ours else f"{result['contender']} ({result['congestion']})"


def _bar(result: dict[str, Any], limit_s: float, y: int, scale: float) -> Iterator[str]:
    is_ours = result["contender"] == OURS
    weight = ' font-weight="bold"' if is_ours else ""
    yield f'<text x="{_LABEL - 8}" y="{y + 11}" text-anchor="end"{weight}>{escape(_name(result))}</text>'
    finished_s = result["finished_s"]
    width = finished_s * scale
    yield f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_OURS if is_ours else _PEER}"/>'
    words = f"{finished_s:.1f} s, {finished_s / limit_s:.2f} ×"
    yield f'<text x="{_LABEL + width + 6:.1f}" y="{y + 11}"{weight}>{words}</text>'
