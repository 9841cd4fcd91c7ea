"""The demo's story: the link goes away in the middle of a picture, comes back, and everything is proved at the end.

Exit codes: 0 everything given was sent, confirmed and equal; 1 the demo could not go on; 4 something given could not be
sent or was set aside (each with a sentence), and all the rest is confirmed and equal; 5 something arrived unequal.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.cli.demo import modalities
from appliance.cli.demo.modalities import Picture, Unsendable
from appliance.cli.demo.proof import unequal_at_centre
from appliance.cli.demo.stage import DemoError, Stage, open_stage
from appliance.clock import SystemClock

LINK_AWAY_S = 4.0
CUT_S_MAX = 5.0
"""Small or well-compressed pictures never reach the byte at which the link was to break; then it is cut by hand."""
STALL_S_MAX = 180.0
"""Nothing confirmed for this long while the link is there: the demo says so and gives up, the unit would not."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What the unit's database says of the pictures sent."""

    study_count: int
    instance_count: int
    confirmed_count: int
    size_bytes: int
    waiting: tuple[str, ...]
    set_aside: tuple[tuple[str, str], ...]
    kept_uids: frozenset[str]


class Play:
    """One run of the demo."""

    def __init__(self, folder: Path, orthanc: str, *, headless: bool, send: Sequence[Path] | None) -> None:
        self._folder = folder
        self._orthanc = orthanc
        self._headless = headless
        self._send = send
        self._clock = SystemClock()
        self._pause = threading.Event()

    def run(self) -> int:
        """Play it to the end; see the module for the exit codes."""
        start_mono_s = self._clock.mono_s()
        self._say("preparing the pictures")
        pictures, unsendable = modalities.look_at(self._send if self._send else self._make_pictures())
        for refused in unsendable:
            self._say(f"not sent: {refused.path.name} {refused.sentence}")
        if not pictures:
            raise DemoError("none of the files given can be sent; the reasons are above")
        self._say("starting the centre and the unit")
        with open_stage(self._folder, self._orthanc) as stage:
            print(f"the review pages are at http://127.0.0.1:{stage.review_port}/ ; these may sign in:", flush=True)
            for account in stage.accounts:
                print(f"  {account.name} ({account.role}), password {account.password}", flush=True)
            if not stage.has_viewer:
                print("  the full viewer is not here; 'make viewer' fetches it, previews work without it", flush=True)
            screen = None if self._headless else self._open_screen(stage)
            try:
                tally, refused_now = self._story(stage, pictures)
                self._say_findings(stage)
                unequal = unequal_at_centre(stage, [p for p in pictures if p.sop_instance_uid in tally.kept_uids])
            finally:
                if screen is not None:
                    screen.wait()
        return self._report(tally, [*unsendable, *refused_now], unequal, self._clock.mono_s() - start_mono_s)

    def _story(self, stage: Stage, pictures: Sequence[Picture]) -> tuple[Tally, list[Unsendable]]:
        door = (stage.config.dicom.ae_title, stage.config.dicom.port)
        size_bytes = sum(p.path.stat().st_size for p in pictures)
        self._say(f"the modalities send {len(pictures)} pictures ({size_bytes / 1e6:.1f} MB); the link is up")
        stage.link.cut_after(size_bytes // 3)
        if self._send is None:
            modalities.store_one(pictures[0], *door)
            modalities.send(pictures[1:], *door)
        else:
            modalities.send(pictures, *door)
        refused = self._ask_again_for_missing(stage, pictures)
        self._wait_for_cut(stage)
        self._say(f"the link is gone; everything is kept on the unit, {self._brief(self._tally(stage))}")
        self._pause.wait(LINK_AWAY_S)
        stage.link.restore()
        self._say("the link is back; the unit goes on by itself")
        return self._wait_until_confirmed(stage), refused

    def _wait_for_cut(self, stage: Stage) -> None:
        """The link cuts itself in the middle of the bytes; if compression or luck kept them few, it is cut now."""
        deadline_mono_s = self._clock.mono_s() + CUT_S_MAX
        while not stage.link.is_cut and self._clock.mono_s() < deadline_mono_s:
            if not self._tally(stage).waiting:
                break
            self._pause.wait(0.05)
        stage.link.cut()

    def _ask_again_for_missing(self, stage: Stage, pictures: Sequence[Picture]) -> list[Unsendable]:
        """Pictures that the door did not keep are sent once more alone, to hear why."""
        refused = []
        kept = self._wait_until_taken_in(stage, {p.sop_instance_uid for p in pictures})
        for picture in pictures:
            if picture.sop_instance_uid in kept:
                continue
            words = modalities.send_one(picture, stage.config.dicom.ae_title, stage.config.dicom.port)
            if picture.sop_instance_uid in self._wait_until_taken_in(stage, {picture.sop_instance_uid}):
                continue
            refused.append(Unsendable(picture.path, f"was refused at the unit's door: {words}"))
            self._say(f"not kept: {picture.path.name} {refused[-1].sentence}")
        return refused

    def _wait_until_taken_in(self, stage: Stage, wanted: set[str]) -> frozenset[str]:
        """Wait while intake still adds rows, at most a few seconds after the last new one."""
        kept: frozenset[str] = frozenset()
        last_news_mono_s = self._clock.mono_s()
        while not wanted <= kept and self._clock.mono_s() - last_news_mono_s < 5.0:
            now_kept = self._tally(stage).kept_uids
            if now_kept != kept:
                kept, last_news_mono_s = now_kept, self._clock.mono_s()
            self._pause.wait(0.1)
        return kept

    def _wait_until_confirmed(self, stage: Stage) -> Tally:
        tally = self._tally(stage)
        last_line = ""
        news_mono_s = self._clock.mono_s()
        while tally.waiting:
            line = self._brief(tally)
            if line != last_line:
                self._say(line)
                last_line, news_mono_s = line, self._clock.mono_s()
            if self._clock.mono_s() - news_mono_s > STALL_S_MAX:
                raise DemoError(
                    f"{len(tally.waiting)} pictures are not confirmed after {STALL_S_MAX:.0f} s without news; "
                    f"they are safe on the unit. First reason: {tally.waiting[0]}. See {stage.folder / 'unit.log'}"
                )
            self._pause.wait(0.25)
            tally = self._tally(stage)
        self._say(self._brief(tally))
        return tally

    def _tally(self, stage: Stage) -> Tally:
        from appliance.store.snapshot import open_reader, read_queue

        with open_reader(stage.config.unit_db) as db:
            rows = read_queue(db, limit=1_000_000, with_confirmed=True)
        open_rows = [r for r in rows if r.state.value not in ("confirmed", "rejected")]
        return Tally(
            study_count=len({r.study_instance_uid for r in rows}),
            instance_count=len({r.sop_instance_uid for r in rows}),
            confirmed_count=sum(r.state.value == "confirmed" for r in rows),
            size_bytes=sum(r.size_bytes for r in rows),
            waiting=tuple(r.failure_sentence or r.state.value for r in open_rows),
            set_aside=tuple((r.sop_instance_uid, r.failure_sentence) for r in rows if r.state.value == "rejected"),
            kept_uids=frozenset(r.sop_instance_uid for r in rows),
        )

    def _say_findings(self, stage: Stage) -> None:
        from appliance.store.connect import open_reader

        with open_reader(stage.config.unit_db) as db:
            sentences = [row[0] for row in db.rows("SELECT sentence FROM finding WHERE cleared_at = '' ORDER BY 1")]
        for sentence in sentences:
            self._say(f"the unit says: {sentence}")

    def _report(self, tally: Tally, refused: Sequence[Unsendable], unequal: Sequence[str], seconds: float) -> int:
        for uid, sentence in tally.set_aside:
            self._say(f"set aside: {uid}: {sentence}")
        for line in unequal:
            self._say(f"unequal: {line}")
        facts = {
            "studies": tally.study_count,
            "instances": tally.instance_count,
            "confirmed": tally.confirmed_count,
            "bytes": tally.size_bytes,
            "seconds": round(seconds, 1),
            "identical": tally.confirmed_count - len(unequal),
            "refused": len(refused),
            "set_aside": len(tally.set_aside),
        }
        print(json.dumps(facts), flush=True)
        if unequal:
            return 5
        return 4 if refused or tally.set_aside else 0

    def _open_screen(self, stage: Stage) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "appliance.cli.main", "tui", "--config", str(stage.unit_toml)]
        return subprocess.Popen(argv)

    def _make_pictures(self) -> list[Path]:
        from pydicom import examples

        from appliance.dicom.phantom import write_phantom_chest

        chest = self._folder / "chest-phantom.dcm"
        write_phantom_chest(chest, rows=3000, columns=2500, seed=1)
        return [chest, Path(str(examples.get_path("rgb_color"))), Path(str(examples.get_path("ybr_color")))]

    def _brief(self, tally: Tally) -> str:
        return f"{tally.confirmed_count} of {tally.instance_count} pictures confirmed at the centre"

    def _say(self, line: str) -> None:
        if self._headless:
            print(line, flush=True)
