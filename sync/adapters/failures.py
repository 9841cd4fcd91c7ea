"""Every failure an adapter can report, decided once: who can mend it, what people read, what they do.

``docs/reference/failures.md`` shows the same table for people; a test keeps both equal. Sentences say what happened and
what is safe, and never name a patient.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.failure import Failure, FailureKind


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the catalogue."""

    kind: FailureKind
    sentence: str
    advice: str


def _link(sentence: str, advice: str) -> Entry:
    return Entry(FailureKind.LINK, f"{sentence} Studies wait safely on this unit.", advice)


def _transient(sentence: str, advice: str) -> Entry:
    return Entry(FailureKind.TRANSIENT, f"{sentence} It is safe here and is tried again.", advice)


def _permanent(sentence: str, advice: str) -> Entry:
    return Entry(FailureKind.PERMANENT, f"{sentence} It is safe here and waits for a person.", advice)


_WAIT = "Nothing to do: it is tried again by itself."
_ADMIN = "Ask the administrator of the destination."
_NETWORK = "Look at the modem or cable; if other pages load, ask the administrator whether the destination runs."
_SPACE = "Free space on this unit."
_ENROL = "Ask the administrator of the destination, who can give a new code for enrolling this unit again."
_SETTINGS = "Compare the destination's settings with what its administrator wrote down."

CATALOGUE: dict[str, Entry] = {
    # the way there
    "name-unknown": _link("The address of the destination cannot be found.", _NETWORK),
    "unreachable": _link("Nobody answers at the address of the destination.", _NETWORK),
    "connect-timeout": _link("The destination does not answer.", _NETWORK),
    "connection-lost": _link("The connection to the destination broke.", _WAIT),
    "stalled": _link("The connection to the destination stands still.", _WAIT),
    "tls-untrusted": _link(
        "Somebody answers in place of the destination, without its certificate.",
        "Sign in to the network's own page if it has one; if it stays, tell the administrator at once.",
    ),
    "tls-expired": _link(
        "The destination's certificate is out of date, or the clock of this unit is wrong.",
        "Look at the date on this unit; if it is right, tell the administrator of the destination.",
    ),
    "tls-failed": _link("No secure connection to the destination could be made.", _SETTINGS),
    "portal": _link(
        "A sign-in page of the network answers in place of the destination.",
        "Open a browser and sign in to the network.",
    ),
    "redirected": _link("The destination, or the network, sends this unit to another address.", _SETTINGS),
    "not-dicomweb": _link("What answers at the destination's address is no DICOMweb service.", _SETTINGS),
    "not-gateway": _link("What answers at the destination's address is no gateway.", _SETTINGS),
    "not-enrolled": _link(
        "This unit is not enrolled at the destination yet.",
        "Ask the administrator of the destination for a code, and type: qafila unit enrol.",
    ),
    "identity-unusable": _link(
        "The files by which the destination knows this unit cannot be used.",
        "Ask the administrator of the destination for a code, and enrol this unit again.",
    ),
    "session-unnoted": _link("This unit cannot write to its own disk what it must not forget.", _SPACE),
    "session-refused": _link("The destination does not accept this unit's signature.", _ENROL),
    "unit-revoked": _link("The destination has ended this unit's access.", _ENROL),
    "unit-copied": _link(
        "The destination knows another copy of this unit, or a later state of it, and lets this one in no more.",
        "Tell the administrator of the destination at once: people have to decide which copy goes on.",
    ),
    "http-401": _link("The destination does not accept this unit's user name or password.", _SETTINGS),
    "http-403": _link("The destination does not allow this unit in.", _ADMIN),
    "http-429": _link("The destination asks this unit to wait.", _WAIT),
    "http-502": _link("The destination cannot be reached behind its front door.", _WAIT),
    "http-503": _link("The destination is busy or being serviced.", _WAIT),
    "http-507": _link("The disk of the destination is full.", _ADMIN),
    "http-504": _link("The destination is too slow behind its front door.", _WAIT),
    "association-refused": _link("The destination refuses to talk to this unit for now.", _WAIT),
    "ae-unknown": _link("The destination does not know this unit's name, or has another name itself.", _SETTINGS),
    "association-aborted": _link("The destination broke off the conversation.", _WAIT),
    "service-refused": _link("The destination does not offer the service this unit needs.", _SETTINGS),
    "listener": _link("This unit cannot listen for the destination's proof.", _SETTINGS),
    "settings": _link("A file or address in the destination's settings cannot be used.", _SETTINGS),
    # this item, this time
    "answer-unusable": _transient("The destination gave an answer that cannot be understood.", _WAIT),
    "answer-too-large": _transient("The destination gave an endless answer.", _ADMIN),
    "answer-contradicts": _transient("The destination says that it has more than was sent.", _ADMIN),
    "part-forgotten": _transient("The destination does not remember that this picture was announced.", _WAIT),
    "part-conflict": _transient("The destination and this unit do not agree how much of this picture is there.", _WAIT),
    "part-damaged": _transient("This picture was damaged on its way, several times.", _NETWORK),
    "part-unreadable": _transient("The copy of this picture that was made for the link cannot be read.", _WAIT),
    "proof-pending": _transient("The destination has this picture and is still checking it.", _WAIT),
    "receipt-false": _transient("The receipt for this picture was not signed by the destination.", _ADMIN),
    "stow-unanswered": _transient("The destination did not say that it stored this picture.", _WAIT),
    "http-4xx": _transient("The destination could not take this picture.", _ADMIN),
    "http-409": _transient("The destination could not store this picture and did not say why.", _ADMIN),
    "http-500": _transient("The destination had a fault of its own with this picture.", _WAIT),
    "dimse-a7xx": _transient("The destination has no room at the moment.", _ADMIN),
    "dimse-0110": _transient("The destination could not process this picture this time.", _WAIT),
    "dimse-other": _transient("The destination did not store this picture.", _ADMIN),
    "association-other": _transient("The destination broke off during this picture.", _WAIT),
    "absent": _transient("The destination does not hold this picture; it is sent again.", _WAIT),
    "reread-unstable": _transient("Reading this picture back gave different bytes each time.", _WAIT),
    "commitment-pending": _transient("The destination has not yet promised to keep this picture.", _WAIT),
    "commitment-refused": _transient("The destination did not take the request to promise safe keeping.", _ADMIN),
    "commitment-failed": _transient("The destination could not promise to keep this picture.", _WAIT),
    "move-failed": _transient("The destination did not send this picture back for comparison.", _SETTINGS),
    "work-dir": _transient("There was no room on this unit for a second copy of the picture.", _SPACE),
    "nothing-to-compare": _transient(
        "The stored file of this picture was not on this unit to compare with what the destination holds.",
        "If it is shown as missing, tell the service; if its pixels were removed to make room, nothing.",
    ),
    # for a person
    "http-400": _permanent("The destination says that this picture is not valid.", _ADMIN),
    "http-413": _permanent("This picture is larger than the destination takes.", _ADMIN),
    "http-415": _permanent("The destination does not take pictures of this format.", _ADMIN),
    "dimse-a9xx": _permanent("The destination says that this picture is not what it claims to be.", _ADMIN),
    "dimse-cxxx": _permanent("The destination cannot understand this picture.", _ADMIN),
    "dimse-0117": _permanent("The destination says that this picture's identifier is not valid.", _ADMIN),
    "dimse-0119": _permanent("The destination holds something else under this picture's identifier.", _ADMIN),
    "dimse-0122": _permanent("The destination does not take this kind of picture.", _ADMIN),
    "dimse-0124": _permanent("The destination does not allow this unit to store this picture.", _ADMIN),
    "class-refused": _permanent("The destination does not take this kind of picture.", _ADMIN),
    "syntax-refused": _permanent("The destination takes no format that this picture can be sent in unchanged.", _ADMIN),
    "digest-mismatch": _permanent(
        "The destination holds another picture under this picture's identifier.",
        "Compare both pictures with the administrator of the destination; the one on this unit is unchanged.",
    ),
    "kept-earlier": _permanent(
        "The destination still holds this picture as it was before its correction, or another one.",
        "Ask the administrator of the destination to remove the earlier picture there, then have it tried again.",
    ),
    "correction-unproved": _permanent(
        "The destination took this correction and cannot show which of both pictures it keeps.",
        "Ask the administrator of the destination which one is shown; set proof = 'wado' or 'move' for it.",
    ),
    "not-comparable": _permanent("What the destination gives back cannot be compared with this picture.", _ADMIN),
    "refused-by-centre": _permanent("The destination does not take this picture.", _ADMIN),
    "file-unreadable": _permanent("The stored file of this picture cannot be read on this unit.", _ADMIN),
}


class Failed(Exception):
    """Carries a failure from the depth of an adapter to its edge, where it becomes a value."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


def failure(code: str, retry_after_s: float | None = None) -> Failure:
    """The failure of this code.

    Args:
        code: A key of ``CATALOGUE``.
        retry_after_s: Seconds the destination asked us to wait.

    Raises:
        KeyError: If the catalogue has no such code.
    """
    entry = CATALOGUE[code]
    return Failure(entry.kind, code, entry.sentence, retry_after_s)


def storage_failure(status: int) -> Failure | None:
    """What a C-STORE status, or a STOW-RS failure reason, means; ``None``: stored (PS3.4 Table B.2-1, PS3.7 C).

    Warnings count as stored, and so does 0x0111 (duplicate SOP Instance); the proof afterwards decides. A code nobody
    knows is retried: that loses nothing and stays visible.
    """
    if status in (0x0000, 0x0111) or is_storage_warning(status):
        return None
    if 0xA700 <= status <= 0xA7FF:
        return failure("dimse-a7xx")
    if 0xA900 <= status <= 0xA9FF:
        return failure("dimse-a9xx")
    if 0xC000 <= status <= 0xCFFF:
        return failure("dimse-cxxx")
    code = f"dimse-{status:04x}"
    return failure(code if code in CATALOGUE else "dimse-other")


def is_storage_warning(status: int) -> bool:
    """Stored, with a remark that belongs in the log."""
    return 0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116)
