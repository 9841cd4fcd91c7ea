"""Corrections: in the place of exactly what they replace, from a header alone, and never undone by what comes late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sync.wire import messages as m
from tests.gateway.rig import (
    Gateway,
    Pacs,
    Parted,
    Unit,
    file_of,
    make_gateway,
    noisy_picture,
    part_up,
    running_gateway,
    sop_instance_uid,
)
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import start_central, stored_file
from tests.support.peers import Answer, Request
from tests.support.ports import free_port
from tests.support.world import wait_for

PIXEL_BYTES = 200_000


def contents(folder: Path, seed: int, *patients: str) -> list[Parted]:
    """One picture as it was corrected again and again: other patients, the same pixels, each replacing all before."""
    made: list[Parted] = []
    for number, patient in enumerate(patients):
        picture = noisy_picture(PIXEL_BYTES, seed)
        picture.PatientID = patient
        picture.StudyDescription = f"correction {number}"
        parted = part_up(file_of(picture), folder / f"{seed}-{number}", preview=f"preview {seed}".encode())
        earlier = tuple(one.instance.sha256 for one in made)
        made.append(replace(parted, instance=m_replacing(parted.instance, earlier)))
    return made


def m_replacing(instance: m.InstanceInfo, earlier: tuple[str, ...]) -> m.InstanceInfo:
    return m.InstanceInfo(**{**{f: getattr(instance, f) for f in instance.__struct_fields__}, "replaces": earlier})


def bring(unit: Unit, one: Parted) -> int:
    """Announce, send what is missing and wait for the receipt; the bytes that were sent."""
    sent = announce_and_send(unit, one)
    wait_for_receipt(unit, one)
    return sent


def wait_for_receipt(unit: Unit, one: Parted) -> None:
    wait_for(lambda: unit.announce(one).instances[one.uid].state == "verified", "the receipt")


def wait_for_taken_out(rig: Gateway, count: int) -> None:
    wait_for(lambda: rig.log_text().count("earlier content taken out") >= count, "the moment")


def announce_and_send(unit: Unit, one: Parted) -> int:
    answer, sent = unit.announce(one), 0
    for name, state in answer.parts.items():
        if not state.complete and not state.not_needed:
            unit.send_part(one.contents[name])
            sent += len(one.contents[name])
    return sent


@dataclass
class OrthancLike(Pacs):
    """Its REST interface too, as far as it is used; keeps what it has, as ours does."""

    deleted_count: int = 0

    def _answer(self, request: Request) -> Answer:
        path = request.path
        if path.startswith("/dicom-web"):
            return super()._answer(replace(request, path=path.removeprefix("/dicom-web")))
        if self.away:
            return Answer(503)
        if path == "/tools/lookup":
            uid = request.body.decode()
            found = [{"ID": f"id-{uid}", "Path": f"/instances/id-{uid}", "Type": "Instance"}]
            return Answer(body=json.dumps(found if uid in self.held else []).encode())
        if path == "/instances":
            self.held.setdefault(sop_instance_uid(request.body), request.body)
            return Answer(body=b"{}")
        uid = path.split("/")[2].removeprefix("id-")
        if request.method == "DELETE":
            self.deleted_count += 1
            del self.held[uid]
            return Answer(body=b"{}")
        return Answer(content_type="application/dicom", body=self.held[uid])

    @property
    def rest_url(self) -> str:
        return self.peer.url.removesuffix("/dicom-web")


@pytest.fixture(scope="module")
def like() -> Iterator[OrthancLike]:
    held = OrthancLike()
    with held.peer:
        yield held


@pytest.fixture(scope="module")
def replacing(like: OrthancLike, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("replacing")
    with running_gateway(folder, like.peer.url, extra=f'orthanc_url = "{like.rest_url}"') as started:
        yield started


@pytest.fixture
def van(replacing: Gateway, request: pytest.FixtureRequest) -> Iterator[Unit]:
    with Unit(replacing.url, f"van-{abs(hash(request.node.name)) % 10**9}") as made:
        yield made.join(replacing)


@pytest.mark.fault(33)
def test_correction_takes_the_place_of_the_original_from_its_header_alone(
    van: Unit, like: OrthancLike, tmp_path: Path
) -> None:
    wrong, right = contents(tmp_path, 7000, "WRONG", "RIGHT")
    assert bring(van, wrong) > PIXEL_BYTES // 2
    assert bring(van, right) == len(right.header) < 4096
    assert like.held[right.uid] == right.file
    receipts = [van.receipt(entry.receipt).sha256 for entry in van.inbox().entries]
    assert receipts == [wrong.instance.sha256, right.instance.sha256]


@pytest.mark.fault(33)
def test_what_was_replaced_changes_nothing_when_it_comes_late(van: Unit, like: OrthancLike, tmp_path: Path) -> None:
    first, second, third = contents(tmp_path, 7010, "A", "B", "C")
    for one in (first, second, third):
        bring(van, one)
    for late in (first, second):
        announce_and_send(van, late)
        answer = van.announce(late).instances[late.uid]
        assert (answer.state, answer.problem_code, answer.receipt) == ("refused", "superseded", None)
        result = van.check(late).items[late.uid]
        assert (result.state, result.problem_code) == ("conflict", "superseded")
    assert like.held[third.uid] == third.file
    assert van.check(third).items[third.uid].state == "verified"


def test_correction_before_the_original_was_there_is_all_that_goes_to_the_pacs(
    van: Unit, like: OrthancLike, tmp_path: Path
) -> None:
    wrong, right = contents(tmp_path, 7020, "WRONG", "RIGHT")
    van.announce(wrong)
    deleted_count = like.deleted_count
    bring(van, right)
    announce_and_send(van, wrong)
    assert van.announce(wrong).instances[wrong.uid].state == "refused"
    assert like.held[right.uid] == right.file
    assert like.deleted_count == deleted_count


@pytest.mark.fault(31)
def test_only_a_content_that_is_named_is_replaced(van: Unit, like: OrthancLike, tmp_path: Path) -> None:
    wrong, right = contents(tmp_path, 7030, "WRONG", "RIGHT")
    (foreign,) = contents(tmp_path / "f", 7030, "SOMEBODY ELSE")
    bring(van, wrong)
    like.held[wrong.uid] = foreign.file
    announce_and_send(van, right)
    wait_for(lambda: van.announce(right).instances[right.uid].state == "refused", "the refusal")
    assert van.announce(right).instances[right.uid].problem_code == "digest-mismatch"
    assert like.held[right.uid] == foreign.file


@pytest.mark.fault(31)
def test_unit_does_not_replace_what_another_brought(
    van: Unit, replacing: Gateway, like: OrthancLike, tmp_path: Path
) -> None:
    mine, theirs = contents(tmp_path, 7040, "MINE", "THEIRS")
    bring(van, mine)
    with Unit(replacing.url, "thief") as thief:
        thief.join(replacing)
        announce_and_send(thief, theirs)
        wait_for(lambda: thief.announce(theirs).instances[theirs.uid].state == "refused", "the refusal")
    assert like.held[mine.uid] == mine.file
    assert van.check(mine).items[mine.uid].state == "verified"


@pytest.mark.fault(53)
def test_pacs_restored_to_before_the_correction_gets_it_again(van: Unit, like: OrthancLike, tmp_path: Path) -> None:
    wrong, right = contents(tmp_path, 7050, "WRONG", "RIGHT")
    bring(van, wrong)
    bring(van, right)
    like.held[right.uid] = wrong.file
    assert van.check(right).items[right.uid].state == "absent"
    wait_for(lambda: van.announce(right).instances[right.uid].state == "verified", "a second receipt")
    assert like.held[right.uid] == right.file


def test_pacs_that_refuses_the_correction_keeps_what_it_had(
    van: Unit, replacing: Gateway, like: OrthancLike, tmp_path: Path
) -> None:
    wrong, right = contents(tmp_path, 7060, "WRONG", "RIGHT")
    bring(van, wrong)
    like.refuse[right.uid] = 0xC000
    announce_and_send(van, right)
    wait_for(lambda: van.announce(right).instances[right.uid].state == "refused", "the refusal")
    assert like.held[wrong.uid] == wrong.file
    assert list((replacing.config.data_dir / "replaced").glob("*")) == []


@pytest.mark.fault(12)
def test_kill_between_taking_out_and_storing_loses_nothing(tmp_path: Path) -> None:
    pacs = OrthancLike()
    with pacs.peer:
        rig = make_gateway(tmp_path / "g", pacs.peer.url, extra=f'orthanc_url = "{pacs.rest_url}"').start()
        try:
            with Unit(rig.url) as unit:
                unit.join(rig)
                wrong, right = contents(tmp_path, 7070, "WRONG", "RIGHT")
                bring(unit, wrong)
                pacs.refuse[right.uid] = 0xA700  # no room, for now
                announce_and_send(unit, right)
                wait_for(lambda: "earlier content taken out" in rig.log_text(), "the moment")
                rig.kill()
                assert right.uid not in pacs.held
                (copy,) = (rig.config.data_dir / "replaced").glob("*.dcm")
                assert copy.read_bytes() == wrong.file
                pacs.refuse.clear()
                rig.start()
                wait_for(lambda: unit.announce(right).instances[right.uid].state == "verified", "the receipt")
                assert pacs.held[right.uid] == right.file
                wait_for(lambda: not copy.exists(), "the copy to go")
        finally:
            if rig.process is not None:
                rig.stop()


def test_pacs_that_cannot_be_asked_keeps_the_earlier_picture_and_people_are_told(
    unit: Unit, pacs: Pacs, tmp_path: Path
) -> None:
    wrong, right = contents(tmp_path, 7080, "WRONG", "RIGHT")
    bring(unit, wrong)
    announce_and_send(unit, right)
    wait_for(lambda: unit.announce(right).instances[right.uid].state == "refused", "the refusal")
    answer = unit.announce(right).instances[right.uid]
    assert (answer.problem_code, answer.receipt) == ("kept-earlier", None)
    assert "as it was before its correction" in answer.problem
    pacs.held[right.uid] = right.file  # people did it by hand
    assert pacs.held[wrong.uid] != wrong.file


@pytest.fixture(scope="module", params=orthanc_commands())
def orthanc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancHandle]:
    with start_central(str(request.param), tmp_path_factory.mktemp("orthanc"), free_port()) as started:
        yield started


@pytest.mark.orthanc
@pytest.mark.fault(33)
def test_real_orthanc_ends_with_the_correction_alone_whatever_is_killed(orthanc: OrthancHandle, tmp_path: Path) -> None:
    rig = make_gateway(tmp_path / "g", f"{orthanc.url}/dicom-web", extra=f'orthanc_url = "{orthanc.url}"').start()
    try:
        with Unit(rig.url) as unit:
            unit.join(rig)
            made = contents(tmp_path, 7090 + len(str(orthanc.url)), "A", "B", "B", "C", "C")
            bring(unit, made[0])
            for number, one in enumerate(made[1:]):
                announce_and_send(unit, one)
                if number % 2 == 0:
                    wait_for_taken_out(rig, number + 1)
                    rig.kill()
                    rig.start()
                wait_for_receipt(unit, one)
                assert stored_file(orthanc, one.uid) == one.file
            status, body = orthanc.request("POST", "/tools/lookup", made[0].uid.encode())
            assert (status, len(json.loads(body))) == (200, 1), "an Orthanc identifier is of the Patient ID too"
            announce_and_send(unit, made[0])
            assert unit.announce(made[0]).instances[made[0].uid].problem_code == "superseded"
            assert unit.check(made[-1]).items[made[-1].uid].state == "verified"
    finally:
        if rig.process is not None:
            rig.stop()
