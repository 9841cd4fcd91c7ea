"""The tables of readings and of orders. A version of a report is inserted once and never changed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, String, Table, Text

from central.store.tables import metadata

report_version = Table(
    "report_version",
    metadata,
    Column("study_instance_uid", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("edition", Integer, nullable=False, default=0),
    Column("author", String(64), nullable=False),
    Column("author_name", String(128), nullable=False),
    Column("written_at", String(32), nullable=False),
    Column("content", Text, nullable=False),
    Column("statement", LargeBinary),
    Column("signature", LargeBinary),
    Column("sop_instance_uid", String(64), nullable=False, default=""),
)
"""``version`` counts everything that was kept, drafts too; ``edition`` what was signed, 0 for a draft.

``content`` is what the reader filled in; ``statement`` the signed bytes, which say it in words.
"""

report_filing = Table(
    "report_filing",
    metadata,
    Column("study_instance_uid", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("filed_at", String(32), index=True),
    Column("attempt_count", Integer, nullable=False, default=0),
    Column("refused", Boolean, nullable=False, default=False),
    Column("problem", Text, nullable=False, default=""),
)
"""The way of a signed version into the PACS; made with it in one transaction. ``refused``: it waits for a person."""

READING_TABLES = (report_version, report_filing)
