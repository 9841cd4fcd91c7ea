"""Why a file's parts could not be made, as what people read; codes and sentences of ``sync.hands`` where they fit."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.domain.failure import Failure, FailureKind
from sync.encoder.board import GIVEN_UP, NO_ROOM

FAILURES: Mapping[str, Failure] = {
    failure.code: failure
    for failure in (
        Failure(
            FailureKind.TRANSIENT,
            "blob-moving",
            "The stored file of this picture is being looked for.",
        ),
        Failure(
            FailureKind.PERMANENT,
            "blob-unreadable",
            "The disk of this unit cannot read the stored file of this picture.",
        ),
        Failure(
            FailureKind.PERMANENT,
            "blob-damaged",
            "The stored file of this picture is damaged; it was not sent.",
        ),
        Failure(
            FailureKind.TRANSIENT,
            NO_ROOM,
            "There is too little free space to prepare this picture for sending. It is safe here and is tried again.",
        ),
        Failure(
            FailureKind.TRANSIENT,
            GIVEN_UP,
            "This unit could not prepare this picture for sending. It is safe here and is tried again.",
        ),
    )
}
