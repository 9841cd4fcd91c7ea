"""The child process that meets foreign files and makes objects of them; see ``appliance.dicom.bounded_child``.

It reads copies that belong to us alone and writes into the folder it is told. It may die at any moment.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from appliance.dicom.child_loop import serve
from appliance.imports import objects
from appliance.imports.identity import Series
from appliance.imports.kinds import Kind
from appliance.imports.mp4 import read_video
from appliance.imports.objects import Subject
from appliance.imports.paper import check_paper
from appliance.imports.paper_properties import without_properties
from appliance.imports.pictures import read_picture
from appliance.imports.problems import ImportProblem
from appliance.imports.remux import write_video

MEDIUM_RECORD_COUNT_MAX = 200_000
"""Patients, studies, series and images of a medium together."""


def make(question: dict[str, Any]) -> dict[str, Any]:
    """Make the object of a file and write it to ``target``.

    Raises:
        ImportProblem: If none can be made.
        OSError: If there is no room.
    """
    source, target = Path(question["source"]), Path(question["target"])
    kind, series, sha256 = Kind(question["kind"]), Series(question["series"]), str(question["sha256"])
    subject = Subject(
        registration_key=question["registration_key"],
        item=objects.read_item(base64.b64decode(question["item"])),
        study_date=question["study_date"],
        body_part=question["body_part"],
        laterality=question["laterality"],
    )
    number = int(question["number"])
    notes: tuple[str, ...] = ()
    if kind is Kind.MP4:
        stream_path = target.with_suffix(".mp4")
        with source.open("rb") as file, stream_path.open("w+b") as stream:
            video = read_video(file, os.fstat(file.fileno()).st_size)
            stream_bytes = write_video(video, file, stream)
            stream.seek(0)
            dataset = objects.video_object(subject, series, sha256, number, video, stream, stream_bytes)
            objects.write(dataset, target)
        stream_path.unlink()
        notes = video.notes
    elif kind is Kind.PDF:
        pdf = source.read_bytes()
        check_paper(pdf)
        pdf = without_properties(pdf)
        dataset = objects.paper_object(subject, sha256, number, pdf)
        objects.write(dataset, target)
    else:
        picture = read_picture(kind, source.read_bytes(), int(question["pixel_count_max"]))
        dataset = objects.picture_object(subject, series, sha256, number, picture)
        objects.write(dataset, target)
        notes = picture.notes
    return {
        "sop_class_uid": str(dataset.SOPClassUID),
        "transfer_syntax_uid": str(dataset.file_meta.TransferSyntaxUID),
        "notes": list(notes),
    }


def list_medium(question: dict[str, Any]) -> dict[str, Any]:
    """Write the file IDs that a DICOMDIR names to ``target``, as JSON lists of components, one a line.

    Every record is looked at by itself (PS3.3 annex F): one with a wrong offset hides no picture, and nothing is
    opened here but the DICOMDIR.

    Raises:
        ImportProblem: ``medium-damaged`` or ``too-many-files``.
    """
    from pydicom import dcmread

    data = Path(question["source"]).read_bytes()
    try:
        dataset = dcmread(BytesIO(data))
        records = dataset.get("DirectoryRecordSequence") or []
        if len(records) > MEDIUM_RECORD_COUNT_MAX:
            raise ImportProblem("too-many-files", f"{len(records)} records")
        ids = [record.get("ReferencedFileID") for record in records]
        lines = [json.dumps([id_] if isinstance(id_, str) else [str(part) for part in id_]) for id_ in ids if id_]
    except ImportProblem:
        raise
    except Exception as error:  # an OSError too: pydicom raises it where a data set is cut off
        raise ImportProblem("medium-damaged", type(error).__name__) from error
    Path(question["target"]).write_text("\n".join(dict.fromkeys(lines)), encoding="ascii")
    return {"file_count": len(lines)}


_ACTIONS = {"make": make, "list": list_medium}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question; any failure becomes ``{"error": [code, detail]}``."""
    try:
        return _ACTIONS[question["do"]](question)
    except ImportProblem as problem:
        return {"error": [problem.code, problem.detail]}
    except OSError as error:
        if error.errno is None:  # not the disk: pydicom raises it where a data set is cut off
            return {"error": ["parser-died", type(error).__name__]}
        return {"error": ["no-room", os.strerror(error.errno)]}
    except MemoryError:
        return {"error": ["parser-died", "it needs more memory than it may have"]}
    except Exception as error:
        # The text of a parser's error may quote values of the file, hence patient identity: only its type goes out.
        return {"error": ["parser-died", type(error).__name__]}


def main(memory_bytes_max: int, idle_s_max: float) -> None:
    """As ``child_loop.serve``."""
    serve(answer, memory_bytes_max, idle_s_max)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
