"""What a device does: asks with ``findscu``, says what it does with pynetdicom, sends with ``storescu``.

DCMTK's tools are what many consoles are made with. Whatever one of them writes as a warning or an error is noted.
"""

from __future__ import annotations

import queue
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.config import strict_reading
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, generate_uid
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
)

from tests.integration.unit_day.pictures import Picture
from tests.integration.unit_day.stage import NotYetError, Stage
from tests.support.services import Console as ServicesConsole
from tests.support.services import commitment_request, committed, failures, step_created, step_ended

ANSWER_S = 20
KEYS = (
    *("SpecificCharacterSet", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID"),
    *("IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "RequestedProcedureID"),
    *("RequestedProcedureDescription", "RequestedProcedureCodeSequence", "RequestedProcedurePriority"),
)
STEP_KEYS = (
    *("ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"),
    *("ScheduledProcedureStepDescription", "ScheduledProcedureStepID", "ScheduledProtocolCodeSequence"),
)
_COMPLAINT = re.compile(r"^[WEF]: ", re.MULTILINE)
_ANSWERED = re.compile(r"Received Store Response \((.*)\)")


@dataclass(slots=True)
class Console:
    """One device."""

    stage: Stage
    title: str
    modality: str
    character_set: str = ""
    """As it says it in its queries; empty: none."""

    def worklist(self) -> dict[str, Dataset]:
        """Its worklist by accession number, read with pydicom from the files that ``findscu`` wrote."""
        return self.stage.insist(f"the worklist of {self.title}", self._worklist)

    def _worklist(self) -> dict[str, Dataset]:
        folder = self.stage.folder / f"worklist-{self.title}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        step = "ScheduledProcedureStepSequence[0]"
        keys = [f"{step}.Modality={self.modality}", *(f"{step}.{key}" for key in STEP_KEYS), *KEYS]
        if self.character_set:
            keys.append(f"SpecificCharacterSet={self.character_set}")
        words = [word for key in keys for word in ("-k", key)]
        log = self._tool("findscu", ["-W", "-X", "-od", str(folder), *words])
        if "Received Final Find Response (Success)" not in log:
            raise NotYetError(log[-500:])
        files = sorted(folder.glob("rsp*.dcm"))
        self._note("dcmdump", _dumped(files))
        answers = [_strictly_read(path) for path in files]
        return {str(answer.AccessionNumber): answer for answer in answers}

    def send(self, *pictures: Picture) -> None:
        """Send pictures until each is answered with *Success*."""
        names = ", ".join(picture.key for picture in pictures)
        self.stage.insist(f"{names} to be stored", lambda: self._stored(pictures))

    def _stored(self, pictures: Sequence[Picture]) -> None:
        for answer in (self._store(picture) for picture in pictures):
            if answer != "Success":
                raise NotYetError(answer)

    def send_in_vain(self, picture: Picture) -> str:
        """Send a picture that is to be refused; DCMTK's word for the status."""

        def refused() -> str:
            answer = self._store(picture)
            assert answer != "Success", "another picture under a known UID was taken"
            if not answer:
                raise NotYetError("no answer")
            return answer

        return self.stage.insist(f"{picture.key} to be refused", refused)

    def _store(self, picture: Picture) -> str:
        """The answer to one C-STORE in the picture's own transfer syntax; empty when none came."""
        coded = picture.read().file_meta.TransferSyntaxUID == JPEGBaseline8Bit
        answered = _ANSWERED.search(self._tool("storescu", ["-R", "-xy" if coded else "-xe"], picture.path))
        return answered.group(1) if answered else ""

    def begin(self, item: Dataset) -> str:
        """MPPS N-CREATE for a worklist item; the step's UID."""
        step_uid = str(generate_uid())
        (scheduled,) = item.ScheduledProcedureStepSequence
        now = datetime.now()  # noqa: DTZ005 - a console's own clock
        step = step_created(
            str(item.StudyInstanceUID),
            str(item.AccessionNumber),
            SpecificCharacterSet=item.get("SpecificCharacterSet", ""),
            **{keyword: item[keyword].value for keyword in _OF_THE_PATIENT},
            PerformedStationAETitle=self.title,
            Modality=self.modality,
            PerformedProcedureStepStartDate=f"{now:%Y%m%d}",
            PerformedProcedureStepStartTime=f"{now:%H%M%S}",
            PerformedProcedureStepDescription=scheduled.ScheduledProcedureStepDescription,
        )
        self._say("begun", lambda line: line.create(step, step_uid))
        return step_uid

    def end(self, step_uid: str, *pictures: Picture) -> None:
        """MPPS N-SET to COMPLETED with what was made."""
        now = datetime.now()  # noqa: DTZ005 - a console's own clock
        step = step_ended(
            [picture.reference for picture in pictures],
            series_uid=pictures[0].series_instance_uid,
            PerformedProcedureStepEndDate=f"{now:%Y%m%d}",
            PerformedProcedureStepEndTime=f"{now:%H%M%S}",
        )
        self._say("completed", lambda line: line.set(step, step_uid))

    def _say(self, what: str, message: Callable[[ServicesConsole], Dataset]) -> None:
        def said() -> None:
            with self._line() as line:
                status = message(line)
            if "Status" not in status:
                raise NotYetError("no answer")
            assert status.Status == 0x0000, f"{what}: {status}"

        self.stage.insist(f"a step to be {what}", said)

    def commit(self, *pictures: Picture) -> None:
        """Ask for Storage Commitment, and hear on the same association that all of it is granted."""
        request = commitment_request([picture.reference for picture in pictures])
        self.stage.insist("the commitment", lambda: self._committed(request, pictures))

    def _committed(self, request: Dataset, pictures: Sequence[Picture]) -> None:
        with self._line() as line:
            try:
                status = line.ask(request)
                assert status == 0x0000, hex(status)
                event_type, report = line.heard.get(timeout=ANSWER_S)
            except (AttributeError, queue.Empty) as error:
                raise NotYetError(f"no report: {error}") from error
        assert (event_type, failures(report)) == (1, {}), report
        assert committed(report) == {picture.sop_instance_uid for picture in pictures}
        assert report.TransactionUID == request.TransactionUID

    def _line(self) -> ServicesConsole:
        classes = (ModalityPerformedProcedureStep, StorageCommitmentPushModel)
        line = ServicesConsole(self.stage.port, classes, calling=self.title)
        if not line.association.is_established:
            raise NotYetError("the association was not accepted")
        return line

    def _tool(self, program: str, options: Sequence[str], *files: Path) -> str:
        """A DCMTK tool's log."""
        argv = [program, "-v", "-aet", self.title, "-aec", "QAFILA", "-ta", str(ANSWER_S), "-td", str(ANSWER_S)]
        argv += [*options, "127.0.0.1", str(self.stage.port), *map(str, files)]
        done = subprocess.run(argv, capture_output=True, timeout=3 * ANSWER_S, check=False)
        log = (done.stdout + done.stderr).decode("utf-8", "replace")
        self._note(program, log)
        return log

    def _note(self, program: str, log: str) -> None:
        self.stage.said += [f"{program}: {line}" for line in log.splitlines() if _COMPLAINT.match(line)]


def _dumped(files: Sequence[Path]) -> str:
    """What ``dcmdump`` has to say of files, besides what is in them."""
    if not files:
        return ""
    done = subprocess.run(["dcmdump", *map(str, files)], capture_output=True, timeout=60, check=False)
    return done.stderr.decode("utf-8", "replace")


def _strictly_read(path: Path) -> Dataset:
    """An answer of which pydicom finds every value allowed by its VR; one that is not raises ``ValueError``."""
    with strict_reading():
        found = pydicom.dcmread(path)
        found.walk(lambda _, element: element.value)
    return found


_OF_THE_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
