"""What can be wrong with a file that should be imported, in a sentence that says what to do."""

from __future__ import annotations

_SENTENCES = {
    # the file as such
    "not-found": "is not there",
    "io-error": "cannot be read: the medium failed. Try another reader, or copy it again",
    "symlink": "is a link to somewhere else, which is never followed. Give the file itself",
    "not-a-file": "is no file",
    "empty": "is empty. Copy it again from the device",
    "too-large": "is larger than this unit takes as one file",
    "changed": "changed while it was read. Wait until the device has finished writing it, and try again",
    "unknown-kind": "is nothing that can be imported: JPEG, PNG, MP4 with H.264, PDF and DICOM can",
    "wrong-extension": "is something else inside than its name says. If it is what you want, give it its right ending",
    # pictures
    "picture-damaged": "is a damaged picture. Copy it again from the device",
    "picture-cut": "ends too early: a part of the picture is missing. Copy it again from the device",
    "picture-too-large": "has more pixels than this unit takes. Save it smaller",
    "picture-colours": "has the colours of a printing press (CMYK). Save it with colours for screens (RGB)",
    "picture-depth": "has more than 8 bits a colour, more than photographs and ultrasound images hold. Save it with 8",
    "picture-coding": "is a JPEG of a rare kind (lossless, arithmetic or hierarchical). Save it as a usual JPEG or PNG",
    "picture-animated": "is an animation. Save one picture, or a video as MP4 with H.264",
    # videos
    "video-damaged": "is a damaged video. Copy it again from the device",
    "video-cut": "ends too early: a part of the video is missing. Copy it again from the device",
    "video-coding": "is no H.264 video. Set the device to H.264 (often called 'most compatible')",
    "video-protected": "is a video with copy protection, which nobody else can play",
    "video-pieces": "is a video in pieces (fragmented MP4). Save it as a usual MP4",
    "video-none": "holds no video",
    "video-several": "holds more than one video. Save them one by one",
    "video-interlaced": "is an interlaced video. Set the device to progressive pictures (for instance 1080p)",
    "video-profile": "is H.264 of a profile that DICOM does not allow. Set the device to High, Main or Baseline",
    "video-level": "is larger or faster than DICOM allows (1920 x 1080 at 60 pictures a second). Set the device lower",
    # papers
    "paper-damaged": "is a damaged PDF. Save it again",
    "paper-cut": "ends too early: a part of the PDF is missing. Copy it again",
    "paper-empty": "is a PDF without a page",
    "paper-encrypted": "is a PDF with a password. Save it without one",
    "paper-active": "is a PDF with programs or files inside. Print it into a plain PDF",
    "paper-properties": "is a PDF whose properties (author, title) cannot be taken out. Print it into a plain PDF",
    # DICOM
    "dicom-damaged": "is damaged DICOM. Copy it again from the medium",
    "dicom-no-identity": "is DICOM without the UIDs that name it; only its maker can mend it",
    "medium-damaged": "is a damaged list of contents. Import the folder with the pictures instead of the medium",
    "medium-outside": "names a file outside its medium; that file was not touched",
    "medium-missing": "names a file that is not on the medium",
    "medium-empty": "holds nothing that can be imported",
    "too-many-files": "holds more files than are imported at once. Import its folders one by one",
    "too-deep": "has too many folders in one another. Import the inner ones",
    # the process that reads
    "parser-died": "ended the process that reads foreign files: it is damaged, or made to do harm",
    "parser-stalled": "took too long to be read: it is damaged, or made to do harm",
    # where to
    "no-registration": "does not say whom it belongs to. Give the registration's accession number",
    "registration-unknown": "names a registration that is not on this unit. Look with 'qafila worklist'",
    "registration-cancelled": "belongs to a registration that was cancelled. Register the exam again",
    # the door
    "door-closed": "could not be stored: the unit's door does not answer. Try again when 'qafila unit run' runs",
    "door-lost": "could not be stored: the door broke off. Try again; nothing comes twice",
    "door-not-admitted": "could not be stored: the door does not admit the import. Check [import] and restart the unit",
    "door-syntax": "could not be stored: the unit does not know this kind of object or its coding",
    "door-full": "could not be stored: the disk is too full. Make room ('qafila evict'), then try again",
    "door-conflict": "differs from what this unit has under the same UID. It was set aside; somebody has to look",
    "door-refused": "was refused at the door. 'qafila status' says why",
    "no-room": "could not be prepared: the disk is too full. Make room ('qafila evict'), then try again",
}
"""What follows the file's name, without the end."""

TRANSIENT = frozenset({"io-error", "changed", "door-closed", "door-lost", "door-not-admitted", "door-full", "no-room"})
"""Another try may go well with the same bytes."""

NOTES = {
    "sound-left-out": "The sound was left out.",
    "video-turned": "The video was recorded turned; some viewers show it lying on its side.",
    "see-through": "See-through parts were laid on black.",
}
"""What was done to a file that people may want to know."""


class ImportProblem(Exception):
    """A file cannot be imported.

    Attributes:
        code: A key of the sentences.
        detail: Facts for the service person, without patient identity.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code if code in _SENTENCES else "unknown-kind"
        self.detail = detail


def sentence_of(code: str, name: str) -> str:
    """What happened, what is safe and what to do now; ``name`` was made safe to show."""
    rest = "Nothing was imported from it." if code == "not-found" else "The file was left where it is."
    return f"{name} {_SENTENCES[code]}. {rest}"
