"""Reports: drafts that nobody overwrites, a signature for exactly what was shown, and the way to the unit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text, update

from central.gateway.keys import load_keys
from central.reading.model import Statement
from central.reading.signing import chain_sha256, verified
from central.review.access import Role
from central.store.answers import acknowledge
from central.store.tables import file, study
from sync.wire.answers import Acknowledgement, AckState
from tests.review.readings import JANE, base_in, follow, form_of, keep, kept, readable, sign, told, words
from tests.review.rig import Browser, Pages, pages_in
from tests.review.studies import UNIT_ID, Made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        yield made


@pytest.fixture
def reader(fresh: Pages) -> Browser:
    readable(fresh)
    return fresh.signed_in("amina")


@pytest.fixture(scope="module")
def quiet(pages: Pages) -> Browser:
    """For what changes nothing."""
    readable(pages)
    return pages.signed_in("quiet")


def statement_of(pages: Pages, edition: int) -> Statement:
    row = next(one for one in kept(pages) if one.edition == edition)
    assert row.statement is not None and row.signature is not None
    found = verified(row.statement, row.signature, load_keys(pages.site.config.keys_dir).public)
    assert found is not None
    return found


def test_signed_report_says_what_was_shown_and_reaches_the_unit(fresh: Pages, reader: Browser) -> None:
    form = form_of(reader)
    assert form["template"] == "chest-xray" and form["base"] == "0"
    form |= {"c.pleura": "effusion", "t.pleura": "à droite", "impression": "Épanchement.", "critical": "on"}
    assert sign(reader, {**form, "language": "fr"}).headers["Location"] == "/studies/1.2.3#reading"
    said = statement_of(fresh, 1)
    assert (said.status, said.version, said.author.account, said.author.name) == ("final", 1, "amina", "Dr amina")
    assert (said.patient.name, said.patient.patient_id, said.accession_number) == (JANE.patient_name, "P-1", "A-1")
    assert [(one.heading, one.text) for one in said.findings] == [("Plèvre", "Épanchement — à droite")]
    (report,) = told(fresh)
    assert (words(report).findings, words(report).impression) == ("Plèvre: Épanchement — à droite", "Épanchement.")
    assert words(report).is_critical and words(report).author == "Dr amina" and report.state == "waiting"
    page = reader.get("/studies/1.2.3").text
    assert "✓ Read" in page and "Final report" in page and "Waits for the unit" in page
    sheet = reader.get("/studies/1.2.3/report/1").text
    assert "Signature checked" in sheet and "Critical result" in sheet and 'lang="fr"' in sheet
    assert "Radiographie du thorax" in sheet


def test_report_names_the_images_that_were_in_the_archive_when_it_was_signed(fresh: Pages) -> None:
    made = Made(fresh, "1.2.4", JANE, image_count=2).announce().preview()
    made.whole().verified()
    with fresh.site.database.write() as connection:
        late = file.c.sop_instance_uid == "1.2.4.1"
        connection.execute(update(file).where(late).values(state="rebuilding", verified_at=None))
    follow(fresh)
    reader = fresh.signed_in("late")
    form = {**form_of(reader, "1.2.4"), "impression": "Normal.", "incomplete": "on"}
    assert sign(reader, form, "1.2.4").status_code == 303
    with fresh.site.database.write() as connection:
        connection.execute(update(file).where(late).values(state="verified", verified_at=made.now))
    amended = {**form_of(reader, "1.2.4"), "impression": "Nodule.", "reason": "All is here now."}
    assert sign(reader, amended, "1.2.4").status_code == 303
    images = [
        [one.sop_instance_uid for one in msgspec.json.decode(row.statement or b"", type=Statement).images]
        for row in sorted(kept(fresh, "1.2.4"), key=lambda row: row.edition)
    ]
    assert images == [["1.2.4.0"], ["1.2.4.0", "1.2.4.1"]]


def test_amendment_names_what_it_amends_and_needs_a_reason(fresh: Pages, reader: Browser) -> None:
    sign(reader, {**form_of(reader), "impression": "Normal."})
    form = {**form_of(reader), "impression": "Nodule."}
    refused = sign(reader, form)
    assert refused.status_code == 400 and "Say why the report is amended" in refused.text and "Nodule." in refused.text
    assert sign(reader, {**form, "reason": "Second look."}).status_code == 303
    first, second = statement_of(fresh, 1), statement_of(fresh, 2)
    assert (second.status, second.version, first.impression.text) == ("amended", 2, "Normal.")
    newest = kept(fresh)
    by_edition = {row.edition: row for row in newest if row.edition}
    assert second.follows_sha256 == chain_sha256(by_edition[1].statement or b"")
    assert second.sop_instance_uid != first.sop_instance_uid and second.sop_instance_uid.startswith("2.25.")
    reports = [words(row) for row in told(fresh)]
    assert {(one.version, one.changed) for one in reports} == {(1, ""), (2, "Second look.")}
    assert len({one.report_id for one in reports}) == 1
    assert "Second look." not in reader.get("/studies/1.2.3/report").text, "the next amendment has its own reason"
    assert "This edition was replaced" in reader.get("/studies/1.2.3/report/1").text


def test_drafts_are_kept_while_typing_and_do_not_fill_the_disk(fresh: Pages, reader: Browser) -> None:
    form = form_of(reader)
    for impression in ("N", "No", "Nor", "Nor", "Normal"):
        answer = keep(reader, {**form, "impression": impression})
        assert answer.status_code == 200 and "Draft kept at" in answer.text
        form["base"] = base_in(answer.text)
    assert [(row.status, row.version) for row in kept(fresh)] == [("draft", 4)]
    assert "Normal</textarea>" in reader.get("/studies/1.2.3/report").text
    assert told(fresh) == [], "a draft never travels"
    assert "Draft of" in reader.get("/studies/1.2.3").text
    assert sign(reader, {**form, "impression": "Normal"}).status_code == 303
    assert [(row.status, row.edition) for row in kept(fresh)] == [("final", 1)]


def test_form_that_has_not_heard_of_its_own_last_draft_can_be_signed(fresh: Pages, reader: Browser) -> None:
    form = form_of(reader)
    keep(reader, {**form, "impression": "Norm"})
    assert sign(reader, {**form, "impression": "Normal"}).status_code == 303
    assert sign(reader, {**form, "impression": "Normal"}).status_code == 303, "a second click signs nothing more"
    assert [row.edition for row in kept(fresh) if row.edition] == [1] and len(told(fresh)) == 1


def test_two_readers_never_overwrite_each_other(fresh: Pages, reader: Browser) -> None:
    other = fresh.signed_in("omar")
    mine, theirs = form_of(reader), form_of(other)
    assert "Draft kept" in keep(reader, {**mine, "impression": "Mine."}).text
    conflict = keep(other, {**theirs, "impression": "Theirs."}).text
    assert "Dr amina" in conflict and "not kept yet" in conflict and base_in(conflict) == "0"
    assert [row.author for row in kept(fresh)] == ["amina"]
    refused = sign(other, {**theirs, "impression": "Theirs."})
    assert refused.status_code == 409 and "Theirs.</textarea>" in refused.text
    assert [row.edition for row in kept(fresh)] == [0]
    assert keep(other, {**theirs, "impression": "Theirs.", "onto": "1"}).status_code == 200
    assert [row.author for row in kept(fresh)] == ["omar", "amina"], "both are kept"
    assert "began this draft" in reader.get("/studies/1.2.3/report").text
    late = sign(reader, {**mine, "base": "1", "impression": "Mine."})
    assert late.status_code == 409 and [row.edition for row in kept(fresh)] == [0, 0]


def test_another_patient_than_shown_is_never_signed(fresh: Pages, reader: Browser) -> None:
    form = {**form_of(reader), "impression": "Normal."}
    other = msgspec.structs.replace(JANE, patient_name="Roe^Jill", patient_id="P-2")
    with fresh.site.database.write() as connection:
        connection.execute(study.update().values(info=msgspec.json.encode(other).decode()))
    refused = sign(reader, form)
    assert refused.status_code == 409 and "look whose images these are" in refused.text and "Jill" in refused.text
    assert kept(fresh) == [] and told(fresh) == []
    identity = refused.text.split('name="identity" value="')[1].split('"')[0]
    assert sign(reader, {**form, "identity": identity}).status_code == 303
    assert statement_of(fresh, 1).patient.patient_id == "P-2"


def test_correction_of_the_patient_after_the_signature_is_said(fresh: Pages, reader: Browser) -> None:
    sign(reader, {**form_of(reader), "impression": "Normal."})
    assert "were corrected after" not in reader.get("/studies/1.2.3").text
    other = msgspec.structs.replace(JANE, patient_id="P-2")
    with fresh.site.database.write() as connection:
        connection.execute(study.update().values(info=msgspec.json.encode(other).decode()))
    follow(fresh)
    assert "data were corrected after this report was signed" in reader.get("/studies/1.2.3").text
    assert "P-1" in reader.get("/studies/1.2.3/report/1").text, "what was signed stays as it was signed"
    sign(reader, {**form_of(reader), "impression": "Normal.", "reason": "Other patient."})
    assert "were corrected after" not in reader.get("/studies/1.2.3").text


def test_critical_report_is_an_alarm_until_the_unit_acknowledges(fresh: Pages, reader: Browser) -> None:
    assert "nobody at the unit" not in reader.get("/answers/critical").text
    sign(reader, {**form_of(reader), "impression": "Tension.", "critical": "on"})
    for path in ("/answers/critical", "/answers"):
        assert "nobody at the unit" in reader.get(path).text
    (row,) = told(fresh)
    seen = Acknowledgement(answer_id=row.answer_id, state=AckState.SEEN, at="2026-11-18T12:00:00Z", by="F.")
    with fresh.site.database.write() as connection:
        assert acknowledge(connection, UNIT_ID, [seen]) == []
    assert "nobody at the unit" not in reader.get("/answers/critical").text
    sign(reader, {**form_of(reader), "impression": "Worse.", "critical": "on", "reason": "New."})
    assert "nobody at the unit" in reader.get("/answers/critical").text
    form = {key: value for key, value in form_of(reader).items() if key != "critical"}
    sign(reader, {**form, "impression": "Normal.", "reason": "Mistaken."})
    assert "nobody at the unit" not in reader.get("/answers/critical").text, "the newest edition counts"


def test_wrong_password_signs_nothing_and_what_was_typed_stays(fresh: Pages, reader: Browser) -> None:
    form = {**form_of(reader), "impression": "Normal."}
    for _ in range(4):
        refused = sign(reader, form, password="not this one")
        assert refused.status_code == 403 and "Normal.</textarea>" in refused.text
    assert sign(reader, form, password="not this one").status_code == 429
    assert sign(reader, form).status_code == 429, "locked as sign-in is"
    assert kept(fresh) == []
    fresh.clock.go_on(61)
    assert sign(reader, form).status_code == 303


def test_report_on_images_that_are_not_all_here_says_so(fresh: Pages) -> None:
    readable(fresh, verified=False)
    reader = fresh.signed_in("amina")
    form = {**form_of(reader), "impression": "Normal."}
    refused = sign(reader, form)
    assert refused.status_code == 409 and "Not all images are here" in refused.text
    assert sign(reader, {**form, "incomplete": "on"}).status_code == 303
    (finding,) = statement_of(fresh, 1).findings
    assert finding.text == "Signed when 0 of 1 images had arrived and were verified."
    Made(fresh, "1.2.3").whole().verified()
    fresh.clock.go_on(60)
    Made(fresh, "1.2.3").verified()
    follow(fresh)
    assert "● Complete and verified" in reader.get("/studies/1.2.3").text, "it is to be read again"


def test_everything_usual_is_one_button_and_answers_stay(fresh: Pages, reader: Browser) -> None:
    form = {**form_of(reader), "c.pleura": "effusion", "usual": "1"}
    assert reader.post("/studies/1.2.3/report/draft", form).status_code == 303
    page = reader.get("/studies/1.2.3/report").text
    assert 'value="effusion" selected' in page and page.count('value="normal" selected') >= 3


def test_another_template_takes_over_what_it_also_asks(fresh: Pages, reader: Browser) -> None:
    keep(reader, {**form_of(reader), "c.quality": "limited", "impression": "Unclear.", "t.lungs": "?"})
    page = reader.get("/studies/1.2.3/report?template=chest-tb-screening&language=ar").text
    assert "تحري السل" in page and "Unclear.</textarea>" in page and 'value="limited" selected' in page
    assert form_of(reader, template="general", language="ar")["language"] == "ar"


def test_only_readers_write_and_everybody_reads(fresh: Pages, reader: Browser) -> None:
    sign(reader, {**form_of(reader), "impression": "Normal."})
    coordinator = fresh.signed_in("coordinator", Role.COORDINATOR)
    assert coordinator.get("/studies/1.2.3/report/1").status_code == 200
    assert coordinator.get("/studies/1.2.3/report").status_code == 403
    fields = {"csrf": coordinator.csrf(), "template": "general", "language": "fr", "base": "1", "impression": "x"}
    assert keep(coordinator, fields).status_code == 403 and sign(coordinator, fields).status_code == 403
    assert "Write the report" not in coordinator.get("/studies/1.2.3").text
    stranger = fresh.browser()
    assert stranger.get("/studies/1.2.3/report/1").status_code == 303
    out = keep(stranger, fields)
    assert out.status_code == 200 and "You were signed out" in out.text, "the page and what was typed stay"


@pytest.mark.parametrize(
    "change",
    [
        {"template": "../general"},
        {"language": "xx"},
        {"base": "-1"},
        {"base": "9999999"},
        {"c.pleura": "nothing-like-it"},
        {"csrf": "0" * 64},
    ],
)
def test_forms_that_no_page_made_keep_nothing(pages: Pages, quiet: Browser, change: dict[str, str]) -> None:
    form = {**form_of(quiet), "impression": "Normal.", **change}
    assert keep(quiet, form).status_code in (400, 403)
    assert sign(quiet, form).status_code in (400, 403)
    assert kept(pages) == []


def test_control_characters_do_not_reach_what_is_signed(fresh: Pages, reader: Browser) -> None:
    form = {**form_of(reader), "impression": "a\x00b\x1b[31m\r\nc", "t.indication": "\x7f\x0c"}
    assert sign(reader, form).status_code == 303
    said = statement_of(fresh, 1)
    assert said.impression.text == "ab[31m\r\nc" and said.findings == ()


def test_markup_in_a_report_is_text(fresh: Pages, reader: Browser) -> None:
    hostile = "</textarea><script>alert(1)</script>"
    sign(reader, {**form_of(reader), "impression": hostile, "t.indication": hostile})
    for path in ("/studies/1.2.3", "/studies/1.2.3/report", "/studies/1.2.3/report/1", "/answers"):
        assert "<script>alert" not in reader.get(path).text


@pytest.mark.parametrize("path", ["report/2", "report/0", "report/x", "report/١", "report/%2e%2e"])
def test_editions_that_are_none_are_not_found(quiet: Browser, path: str) -> None:
    assert quiet.get(f"/studies/1.2.3/{path}").status_code == 404


def test_report_that_was_changed_in_the_database_is_not_shown(fresh: Pages, reader: Browser) -> None:
    sign(reader, {**form_of(reader), "impression": "Normal."})
    with fresh.site.database.write() as connection:
        changed = (kept(fresh)[0].statement or b"").replace(b"Normal.", b"Cancer.")
        connection.execute(text("UPDATE report_version SET statement = :changed"), {"changed": changed})
    page = reader.get("/studies/1.2.3/report/1").text
    assert "not what its reader signed" in page and "Cancer" not in page


def test_every_signature_is_audited_before_it_is_made(
    fresh: Pages, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {**form_of(reader), "impression": "Normal."}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("central.review.audit.os.fsync", full)
        assert sign(reader, form).status_code == 503
    assert kept(fresh) == []
    before = fresh.audit.count('EventActionCode="U"')
    assert sign(reader, form).status_code == 303
    assert fresh.audit.count('EventActionCode="U"') == before + 1
