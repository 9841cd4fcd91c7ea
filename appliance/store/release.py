"""Which schema this release needs, in plain values: reading them does not import sqlite-utils.

sqlite-utils makes and migrates the schema, but importing it costs 29 MB and half a second for each process, because it
imports NumPy and Click on its own. So only a start that has something to migrate pays for it (docs/decisions/0003).
"""

from __future__ import annotations

from dataclasses import dataclass

READ_NUMBER = 1
"""Kept in ``user_version``. A migration the release before cannot live with raises it; that one then refuses."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One database file's schema.

    ``application_id`` stands in the file's header, so that no other file is taken for ours. ``steps`` are the names of
    all migrations in ``migrations/``, in order; a file that has more of them is of a newer release and readable.
    """

    name: str
    application_id: int
    steps: tuple[str, ...]


UNIT = Schema(
    "unit",
    0x51414655,
    (
        "m0001_delivery",
        "m0002_guards",
        "m0003_counts",
        "m0004_courier",
        "m0005_previews_first",
        "m0101_registrations",
        "m0201_performed_steps",
        "m0202_commitment_requests",
        "m0203_study_completion",
        "m0301_quality",
        "m0302_quality_gate",
        "m0401_revisions",
        "m0402_matching",
        "m0403_image_commands",
        "m0501_commissioning",
        "m0502_commitment_waits",
        "m0601_people",
        "m0701_answers",
        "m0801_study_notes",
    ),
)  # "QAFU"
DOOR = Schema("door", 0x51414644, ("d0001_ledger",))  # "QAFD"
