"""Who looked at what: DICOM audit messages (PS3.15 A.5), one XML document a line, in a file and to a syslog server.

A message is on the disk before what it tells of is shown: where it cannot be written, nothing is shown. This trail
names patients, as the standard has it; it is for auditors and stands apart from the log, which never does.
"""

from __future__ import annotations

import os
import socket
import threading
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from appliance.clock import Clock, utc_text

SYSLOG_PRIORITY = 10 * 8 + 5
"""authpriv, notice."""
UDP_BYTES_MAX = 60_000


class AuditError(Exception):
    """The message was not kept; what it tells of must not happen."""


class Event(Enum):
    """Event id and type (PS3.16 CID 400, 401) with their words, and the action code."""

    START = ("110100", "Application Activity", "110120", "Application Start", "E")
    STOP = ("110100", "Application Activity", "110121", "Application Stop", "E")
    LOGIN = ("110114", "User Authentication", "110122", "Login", "E")
    LOGOUT = ("110114", "User Authentication", "110123", "Logout", "E")
    PASSWORD = ("110113", "Security Alert", "110137", "User security Attributes Changed", "E")
    QUERY = ("110112", "Query", "", "", "E")
    LOOK = ("110103", "DICOM Instances Accessed", "", "", "R")
    PATIENT = ("110110", "Patient Record", "", "", "R")
    WRITE = ("110110", "Patient Record", "", "", "U")
    EXPORT = ("110106", "Export", "", "", "R")


@dataclass(frozen=True, slots=True)
class Person:
    """Who did it, from where."""

    name: str
    role: str
    address: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A study that was looked at, and whose it is."""

    study_instance_uid: str
    patient_id: str
    patient_name: str


class Audit:
    """Appends messages; safe from several threads and processes."""

    def __init__(self, path: Path, clock: Clock, source: str, syslog: str = "") -> None:
        """Open the file for appending; made readable by its owner alone.

        Raises:
            AuditError: If it cannot be opened.
        """
        self._clock, self._source, self._lock = clock, source, threading.Lock()
        host, _, port = syslog.rpartition(":")
        self._peer = (host.strip("[]"), int(port)) if syslog else None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise AuditError(f"{path}: the audit trail cannot be written: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._descriptor)

    def note(
        self,
        event: Event,
        person: Person | None = None,
        subjects: Sequence[Subject] = (),
        *,
        failed: bool = False,
        query: str = "",
    ) -> None:
        """Keep one message; on the disk when it returns.

        Args:
            event: What happened.
            person: Who did it; ``None``: this program itself.
            subjects: Studies it was about.
            failed: It was tried and refused.
            query: What was asked for.

        Raises:
            AuditError: If it may not be on the disk.
        """
        message = self._message(event, person, subjects, failed=failed, query=query)
        line = message + b"\n"
        try:
            with self._lock:
                if os.write(self._descriptor, line) != len(line):
                    raise AuditError("the audit trail's disk is full")
                os.fsync(self._descriptor)
        except OSError as error:
            raise AuditError(f"the audit trail cannot be written: {error.strerror}") from error
        if self._peer is not None:
            self._send(message)

    def _send(self, message: bytes) -> None:
        """The copy; the file is what counts, so a server that is away stops nobody."""
        at = utc_text(self._clock.wall_s())
        head = f"<{SYSLOG_PRIORITY}>1 {at} {socket.gethostname()} qafila {os.getpid()} IHE+RFC-3881 - ".encode()
        with suppress(OSError):
            assert self._peer is not None
            kind = socket.AF_INET6 if ":" in self._peer[0] else socket.AF_INET
            with socket.socket(kind, socket.SOCK_DGRAM) as out:
                out.sendto((head + b"\xef\xbb\xbf" + message)[:UDP_BYTES_MAX], self._peer)

    def _message(
        self, event: Event, person: Person | None, subjects: Sequence[Subject], *, failed: bool, query: str
    ) -> bytes:
        event_id, event_words, type_id, type_words, action = event.value
        root = Element("AuditMessage")
        what = SubElement(
            root,
            "EventIdentification",
            EventActionCode=action,
            EventDateTime=utc_text(self._clock.wall_s()),
            EventOutcomeIndicator="4" if failed else "0",
        )
        _code(what, "EventID", event_id, event_words)
        if type_id:
            _code(what, "EventTypeCode", type_id, type_words)
        if person is not None:
            # "2" is an IP address (PS3.15 A.5.2.3); empty where the transport had none.
            who = SubElement(
                root,
                "ActiveParticipant",
                UserID=_xml(person.name),
                UserIsRequestor="true",
                NetworkAccessPointID=_xml(person.address),
                NetworkAccessPointTypeCode="2",
            )
            SubElement(who, "RoleIDCode", {"csd-code": person.role or "none", "codeSystemName": "QAFILA"})
        else:
            program = SubElement(root, "ActiveParticipant", UserID=str(os.getpid()), UserIsRequestor="false")
            _code(program, "RoleIDCode", "110150", "Application")
        SubElement(root, "AuditSourceIdentification", AuditSourceID=_xml(self._source))
        for subject in subjects:
            _subject(root, subject)
        if query:
            asked = _participant(root, "query", "2", "3", "SOP Class UID", "110181")
            SubElement(asked, "ParticipantObjectQuery").text = b64encode(query.encode()).decode()
        return bytes(tostring(root, encoding="utf-8"))


def _subject(root: Element, subject: Subject) -> None:
    study = _participant(root, subject.study_instance_uid, "2", "3", "Study Instance UID", "110180")
    SubElement(SubElement(study, "ParticipantObjectDescription"), "Anonymized").text = "false"
    if subject.patient_id:
        patient = _participant(root, subject.patient_id, "1", "1", "Patient Number", "2", system="RFC-3881")
        SubElement(patient, "ParticipantObjectName").text = _xml(subject.patient_name)


def _participant(root: Element, name: str, kind: str, role: str, words: str, code: str, system: str = "DCM") -> Element:
    made = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_xml(name),
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _code(made, "ParticipantObjectIDTypeCode", code, words, system)
    return made


def _code(parent: Element, name: str, code: str, words: str, system: str = "DCM") -> None:
    SubElement(parent, name, {"csd-code": code, "codeSystemName": system, "originalText": words})


def _xml(text: str) -> str:
    """Without what XML cannot hold, and on one line: a name of a hostile file must not end a message."""
    return "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else " " for c in text)
