"""Why an action on a study was not carried out, as sentences for people."""

from __future__ import annotations


class ActionRefused(Exception):
    """Nothing was changed. The text says what is the matter and what to do; ``code`` is for scripts."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


_COPY_SENTENCES = {
    "character-set": "The new text cannot be written beside that of a stored picture, whose character set is wrong.",
    "changed-more": "A corrected copy would have differed in more than was asked for.",
    "not-correctable": "That attribute is not corrected here.",
    "missing": "The stored file of a picture is not there.",
    "io-error": "The disk could not be read or written.",
    "parser-stalled": "A stored picture could not be read in time.",
}


def copy_refused(code: str) -> ActionRefused:
    """What a failed copy means."""
    reason = _COPY_SENTENCES.get(code, "A stored picture cannot be read as it would have to be.")
    return ActionRefused(code, f"{reason} Nothing was changed; the pictures are safe as they are. Tell the service.")
