"""What each step came to, from what was seen; pure. A sentence says what was seen, a hint what to do if not fine."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from appliance.commissioning.heard import Heard
from appliance.commissioning.reach import Reached
from appliance.config import ModalityTable
from appliance.domain.commissioning import Looked, Outcome, Step
from appliance.store.commissioning import TestCommitment, TestPicture

CHARACTER_SETS = {"ascii": "plain letters (ascii)", "latin1": "ISO_IR 100 (latin1)", "utf8": "Unicode (utf8)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestNames:
    """The test patient's name as the device is given it, and as its newest test picture has it."""

    __test__ = False

    given: str
    came_back: str
    suspect_encoding: str = ""
    """What the bytes look like when the picture's label of its character set cannot be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that is known of one device at one moment."""

    device: ModalityTable
    our_ae_title: str
    our_port: int
    exam_name: str
    """How the test exam stands on the console: name and accession number."""
    reached: Reached
    heard: Heard
    calls_us_wrongly: bool
    """It was refused, for it called this unit by another title."""
    unknown_titles: Sequence[str]
    """Titles of devices that were refused because nobody listed them."""
    pictures: Sequence[TestPicture]
    other_picture_count: int
    names: TestNames | None
    """``None`` without a test picture that can be read."""
    steps: Sequence[str]
    """States of the procedure steps of the test exams, the newest first."""
    commitment: TestCommitment | None


def judge(seen: Seen, waived: Collection[Step] = ()) -> tuple[Looked, ...]:
    """Every step, in order."""
    return tuple(
        Looked(step=step, outcome=Outcome.WAIVED, sentence="Said not to be there on this device.")
        if step in waived
        else _JUDGES[step](seen)
        for step in Step
    )


def _ping(seen: Seen) -> Looked:
    reached, step = seen.reached, Step.PING
    if not reached.host:
        return _waiting(step, "Its address is not known yet.", "It is learnt when the device calls for the first time.")
    if reached.answers_ping:
        return _fine(step, f"{reached.host} answers.")
    if reached.ping_fault:
        return _skipped(step, f"This machine cannot ping it: {reached.ping_fault}.")
    if reached.port_fault == "" or seen.heard.association_count:
        return _skipped(step, f"{reached.host} does not answer pings, as many consoles do; it is reached all the same.")
    return _failed(step, f"{reached.host} does not answer.", "Is it on, on this network, and is the address right?")


def _port(seen: Seen) -> Looked:
    reached, step = seen.reached, Step.PORT
    if not seen.device.host:
        return _skipped(step, "No host and port are set for it, so this unit never calls it.")
    if reached.port_fault == "":
        return _fine(step, f"Port {reached.port} on {reached.host} is open.")
    if reached.port_fault is None:
        return _waiting(step, "It was not tried yet.")
    return _failed(
        step,
        f"Port {reached.port} on {reached.host} cannot be reached: {reached.port_fault}.",
        "Compare host and port under [[modality]] with the device's own DICOM settings; some listen only while idle.",
    )


def _title_out(seen: Seen) -> Looked:
    code, step = seen.reached.association_code, Step.TITLE_OUT
    if not seen.device.host:
        return _skipped(step, "This unit never calls it.")
    if code is None:
        return _waiting(step, "It cannot be asked before its port is open.")
    if code == "":
        return _fine(step, f"It takes a call from {seen.our_ae_title} to {seen.device.ae_title}.")
    if code == "ae-unknown":
        return _failed(
            step,
            f"It refuses a call from {seen.our_ae_title} to {seen.device.ae_title}: it does not know one of these.",
            f"Enter {seen.our_ae_title} on the device as the title of this unit, and compare its own; case counts.",
        )
    return _failed(
        step, f"It does not take a call ({code}).", "Is a DICOM service running at that port? Restart the device's."
    )


def _echo(seen: Seen) -> Looked:
    code, step = seen.reached.echo_code, Step.ECHO
    if not seen.device.host:
        return _skipped(step, "This unit never calls it.")
    if code is None:
        return _waiting(step, "It cannot be asked before it takes a call.")
    if code == "":
        return _fine(step, "It answers a C-ECHO.")
    if code == "not-offered":
        return _failed(step, "It takes the call but offers no C-ECHO.", "Nothing else needs it: --without echo.")
    return _failed(step, f"It does not answer a C-ECHO ({code}).", "Restart the device's DICOM service.")


def _title_in(seen: Seen) -> Looked:
    step, ours = Step.TITLE_IN, f"{seen.our_ae_title}, port {seen.our_port}"
    if not seen.heard.is_gatekeeper_up:
        return _failed(step, "The gatekeeper is silent: no device can call now.", "Start the unit: 'qafila unit run'.")
    if seen.heard.association_count:
        return _fine(step, f"It calls {seen.our_ae_title} as {seen.device.ae_title}, from {seen.heard.peer}.")
    if seen.calls_us_wrongly:
        return _failed(step, "It called this unit by a wrong title and was refused.", f"Enter {ours} on the device.")
    if seen.unknown_titles:
        titles = ", ".join(seen.unknown_titles[:5])
        return _waiting(
            step,
            f"It has not called. Refused, for nobody listed them, were: {titles}.",
            f"If one of these is this device, its title is not {seen.device.ae_title}: make both the same.",
        )
    return _waiting(step, "It has not called this unit yet.", f"On the device: echo (or verify) {ours}.")


def _worklist(seen: Seen) -> Looked:
    step, heard = Step.WORKLIST, seen.heard
    if heard.worklist_answer_count > 0:
        given = f"{heard.worklist_answer_count} {'entry' if heard.worklist_answer_count == 1 else 'entries'}"
        return _fine(step, f"It asked for its worklist and was given {given}.")
    if heard.answered.get("worklist"):
        return _failed(
            step,
            "It asked for its worklist, and nothing matched what it asked for.",
            f"Let the console ask for today and its own modality; the test exam ({seen.exam_name}) is of another one "
            "if --modality was wrong.",
        )
    if heard.failed.get("worklist"):
        return _failed(
            step,
            "It asked for its worklist, and was answered with a failure.",
            "'qafila doctor' and the log of Orthanc say why.",
        )
    return _waiting(step, "It has not asked for its worklist.", f"On the device: renew the worklist; {_exam(seen)}")


def _store(seen: Seen) -> Looked:
    step = Step.STORE
    if seen.pictures:
        return _fine(step, f"It stored {_count(len(seen.pictures), 'picture')} of the test patient; they stay here.")
    if seen.heard.failed.get("store"):
        return _failed(
            step,
            f"It sent {_count(seen.heard.failed['store'], 'picture')} that this unit refused.",
            "'qafila doctor' says why; send again when that is mended.",
        )
    hint = f"On the device: make an exposure of a phantom (or any still picture) for the test exam; {_exam(seen)}"
    if seen.other_picture_count:
        return _waiting(
            step,
            f"It stored {_count(seen.other_picture_count, 'picture')}, none of the test patient; they go on as any.",
            hint,
        )
    return _waiting(step, "It has stored no picture of the test patient.", hint)


def _identity(seen: Seen) -> Looked:
    step = Step.IDENTITY
    if not seen.pictures:
        return _waiting(step, "It is seen in the test picture.")
    newest = seen.pictures[0]
    if newest.is_of_ordered_study:
        return _fine(step, "The picture carries the Study Instance UID of the worklist.")
    if newest.has_ordered_accession:
        return _fine(step, "The picture carries the accession number of the worklist, with a Study UID of its own.")
    return _failed(
        step,
        "The picture names the test patient alone, neither Study UID nor accession number: it was typed in.",
        "Choose the exam from the worklist on the device. One without a worklist: --without worklist,identity,names.",
    )


def _names(seen: Seen) -> Looked:
    step, reads = Step.NAMES, CHARACTER_SETS[seen.device.character_set]
    if seen.names is None:
        return _waiting(step, "It is seen in the test picture.")
    mend = "Give it a narrower character_set under [[modality]] (utf8, latin1, ascii), restart the unit, and try again."
    if seen.names.suspect_encoding:
        return _failed(
            step, f"The name came back as {seen.names.suspect_encoding} under a label that says otherwise.", mend
        )
    given, came = _groups(seen.names.given), _groups(seen.names.came_back)
    if came == given:
        return _fine(step, f"The test patient's name came back as it was given, in {reads}.")
    if came[:1] == given[:1] and len(given) > 1:
        return _fine(step, "The Latin name came back as it was given; the device leaves the Arabic one out.")
    return _failed(step, f"The test patient's name did not come back as it was given, in {reads}.", mend)


def _mpps(seen: Seen) -> Looked:
    step = Step.STEP
    if not seen.steps:
        return _waiting(
            step,
            "It has not said that the exam was begun or ended (MPPS).",
            "Switch MPPS on at the device, with the title and port for pictures; or --without mpps.",
        )
    if "completed" in seen.steps:
        return _fine(step, "It said when the exam was begun and that it was completed.")
    if "discontinued" in seen.steps:
        return _fine(step, "It said when the exam was begun and that it was discontinued.")
    return _waiting(step, "It said that the exam was begun, not yet that it ended.", "On the device: end the exam.")


def _commitment(seen: Seen) -> Looked:
    step, asked = Step.COMMITMENT, seen.commitment
    if asked is None:
        return _waiting(
            step,
            "It has not asked whether the test picture is safe here (Storage Commitment).",
            "Switch commitment on at the device and let it ask for the test picture; or --without commitment.",
        )
    if asked.state == "delivered" and not asked.failed_count:
        return _fine(step, f"It asked for {_count(asked.reference_count, 'picture')} and heard that all are safe here.")
    if asked.state == "delivered":
        return _failed(
            step,
            f"It heard that {asked.failed_count} of {_count(asked.reference_count, 'picture')} are not safe here.",
            "Send these again and ask again; 'qafila journal' and the log of the services say more.",
        )
    if not asked.failure_code:
        line = "It asked; the answer waits for what it asked for to be here." if asked.wait_count else "It asked."
        return _waiting(step, line)
    if asked.failure_code == "no-address":
        return _failed(
            step,
            "It asked and hung up, and this unit does not know where to call it with the answer.",
            "Set its host and port under [[modality]], or let it keep the line open; then let it ask again.",
        )
    return _failed(
        step,
        f"It asked, and could not be told the answer ({asked.failure_code}).",
        "Compare host and port under [[modality]] with where the device listens; the answer is said again by itself.",
    )


_JUDGES: dict[Step, Callable[[Seen], Looked]] = {
    Step.PING: _ping,
    Step.PORT: _port,
    Step.TITLE_OUT: _title_out,
    Step.ECHO: _echo,
    Step.TITLE_IN: _title_in,
    Step.WORKLIST: _worklist,
    Step.STORE: _store,
    Step.IDENTITY: _identity,
    Step.NAMES: _names,
    Step.STEP: _mpps,
    Step.COMMITMENT: _commitment,
}


def _groups(name: str) -> list[str]:
    """Component groups of a PN as they compare: no trailing delimiters, any case, composed letters."""
    plain = unicodedata.normalize("NFC", name).casefold()
    groups = [group.rstrip("^ ").replace("^ ", "^").strip() for group in plain.split("=")]
    while groups and not groups[-1]:
        groups.pop()
    return groups


def _exam(seen: Seen) -> str:
    return f"it stands there as {seen.exam_name}."


def _count(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def _fine(step: Step, sentence: str) -> Looked:
    return Looked(step=step, outcome=Outcome.FINE, sentence=sentence)


def _skipped(step: Step, sentence: str) -> Looked:
    return Looked(step=step, outcome=Outcome.SKIPPED, sentence=sentence)


def _waiting(step: Step, sentence: str, hint: str = "") -> Looked:
    return Looked(step=step, outcome=Outcome.WAITING, sentence=sentence, hint=hint)


def _failed(step: Step, sentence: str, hint: str) -> Looked:
    return Looked(step=step, outcome=Outcome.FAILED, sentence=sentence, hint=hint)
