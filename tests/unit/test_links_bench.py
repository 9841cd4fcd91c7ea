"""The links benchmark where it computes: limits, deadlines, goals and their verdicts, the plot."""

from __future__ import annotations

import dataclasses
import math
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest

from appliance.dicom.phantom import phantom_chest
from bench.links import main
from bench.peers import plot, report
from bench.peers.contender import Result
from bench.peers.limit import Limit, measure
from bench.peers.payloads import Item, Payload, decoded_sha256, jpeg_loop
from bench.peers.plan import Load
from bench.peers.storescu import transcoded

LIMIT = Limit(pixel_bytes=4_990_000, header_bytes=10_000)


def load(link: str, name: str = "S", path: Path = Path(__file__)) -> Load:
    return Load(link, Payload(name, (Item(path, "1.2.3", "1.2", ""),)), LIMIT)


def result(
    contender: str, link: str, finished_s: float | None, congestion: str = "cubic", **more: Any
) -> dict[str, Any]:
    made = Result(contender, congestion, link, "S", 999.0, finished_s=finished_s, equal=finished_s is not None)
    return {**dataclasses.asdict(made), **more}


def raw(*results: dict[str, Any], links: str = "AD", stat: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    head = {"began_at": "2026-11-25T10:00:00+00:00", "commit": "abc", "machine": "m", "command": "c"}
    return {**head, "loads": [load(link).to_json() for link in links], "results": list(results), "stat": stat or []}


def goal(tree: dict[str, Any], link: str, words: str) -> report.Goal:
    (found,) = [goal for goal in report.goals(tree) if goal.link == link and words in goal.what]
    return found


def test_limit_is_bytes_by_rate_and_by_the_share_of_time_that_the_link_is_there() -> None:
    assert load("A").limit_s == pytest.approx(40.0)
    assert load("C").limit_s == pytest.approx(20.0)
    assert load("D").limit_s == pytest.approx(60.0)


def test_only_link_e_is_killed_on_and_deadlines_are_bounded() -> None:
    courses = {link: load(link).course(7) for link in "ABCDE"}
    assert {link for link, course in courses.items() if course.kill_every_s} == {"E"}
    assert all(course.deadline_s < 4100 and course.seed == 7 for course in courses.values())


def test_limit_of_a_file_is_below_its_size_and_takes_jpeg_frames_as_they_are(tmp_path: Path) -> None:
    film, loop = tmp_path / "film.dcm", tmp_path / "loop.dcm"
    phantom_chest(128, 128).save_as(film, enforce_file_format=True)
    jpeg_loop(200_000).save_as(loop, enforce_file_format=True)
    for path in (film, loop):
        limit = measure(path)
        assert 0.3 * path.stat().st_size < limit.all_bytes < path.stat().st_size
        assert 100 < limit.header_bytes < 6000


def test_frames_of_the_loop_differ_and_it_is_the_same_every_time() -> None:
    first, second = jpeg_loop(100_000), jpeg_loop(100_000)
    assert first.PixelData == second.PixelData
    assert len(first.PixelData) >= 100_000
    assert jpeg_loop(100_000, seed=5).PixelData != first.PixelData


@pytest.mark.parametrize("coding", ["jls", "j2k"])
def test_transcoded_copy_is_smaller_and_has_the_same_pixels(tmp_path: Path, coding: str) -> None:
    film = tmp_path / "film.dcm"
    phantom_chest(128, 128).save_as(film, enforce_file_format=True)
    copy = transcoded(film, coding)
    assert copy.stat().st_size < film.stat().st_size
    assert decoded_sha256(copy) == decoded_sha256(film)
    assert transcoded(film, "raw") == film


def test_goals_compare_ours_with_the_limit_and_with_the_peers_that_finish() -> None:
    tree = raw(
        result(report.OURS, "A", 42.0),
        result("storescu j2k, tuned", "A", 45.0, "bbr"),
        result("rsync loop", "A", 41.0),
        result(report.STOCK, "A", 126.0),
        result(report.STOCK, "A", 90.0, "bbr"),
        result("storescu jls", "A", None),
    )
    assert goal(tree, "A", "limit").measured == pytest.approx(1.05)
    assert goal(tree, "A", "best DICOM peer").measured == pytest.approx(45 / 42)
    assert goal(tree, "A", "stock").measured == pytest.approx(3.0)
    assert goal(tree, "A", "limit").verdict == goal(tree, "A", "stock").verdict == "met"
    assert goal(tree, "B", "limit").verdict == "not measured"


def test_peer_that_never_finishes_is_beaten_and_ours_that_does_not_has_missed() -> None:
    tree = raw(
        result(report.OURS, "D", 66.0),
        result("storescu j2k, tuned", "D", 100.0),
        result("storescu jls", "D", None),
        result(report.STOCK, "D", None),
        result(report.OURS, "A", None),
        result(report.STOCK, "A", 126.0),
    )
    assert goal(tree, "D", "untuned").measured == math.inf
    assert goal(tree, "D", "best DICOM").measured == pytest.approx(100 / 66)
    assert goal(tree, "D", "stock").verdict == "met"
    assert goal(tree, "A", "limit").verdict == "**missed**"
    assert goal(tree, "A", "stock").verdict == "**missed**"


def test_what_arrived_unequal_counts_as_not_finished() -> None:
    tree = raw(result(report.OURS, "A", 42.0, equal=False), result("storescu jls", "A", 10.0, equal=False))
    assert goal(tree, "A", "limit").measured == math.inf
    assert "**not equal**" in report.markdown(tree)


def test_slowest_stat_film_decides() -> None:
    looks = {"link": "A", "look_s": [1.5, 2.5, 2.0], "queue_count": 14, "waiting_count": 13}
    assert goal(raw(stat=[looks]), "A", "first look").verdict == "met"
    assert goal(raw(stat=[{**looks, "look_s": [1.5, None]}]), "A", "first look").verdict == "**missed**"
    assert "never seen" in report.markdown(raw(stat=[{**looks, "look_s": [1.5, None]}]))


def test_bytes_sent_again_are_what_exceeds_the_calm_link_by_cut() -> None:
    notes = {"part_bytes": 1_000_000, "beside_parts_bytes": 30_000, "outage_count": 0}
    cut = {"part_bytes": 2_000_000, "beside_parts_bytes": 160_000, "outage_count": 2}
    tree = raw(result(report.OURS, "A", 42.0, notes=notes), result(report.OURS, "D", 66.0, notes=cut))
    assert goal(tree, "D, E", "again").measured == pytest.approx(50_000)


def test_plot_is_sound_xml_and_names_everyone(tmp_path: Path) -> None:
    tree = raw(result(report.OURS, "A", 42.0), result("a < b & c", "A", 50.0), result("storescu jls", "A", None))
    written = plot.write(tree, tmp_path / "plot.svg")
    text = "".join(xml.etree.ElementTree.parse(written[0]).getroot().itertext())
    for words in (report.OURS, "a < b & c", "Not finished in 999 s: storescu jls (cubic)", "limit 40.0 s"):
        assert words in text


def test_unknown_words_on_the_command_line_are_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--links", "A,X"])
    assert ended.value.code == 2
    assert "there is no 'X'; there are A, B, C, D, E" in capsys.readouterr().err


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main([]) == 3
    assert "needs root" in capsys.readouterr().err
