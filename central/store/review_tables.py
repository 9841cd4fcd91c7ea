"""The tables of the review pages: people, their sessions, and each study as the list shows it.

``review_study`` is made of the gateway's own tables (``central.review.follow``) and may be thrown away at any time,
but for what people did: ``read_at`` and ``reader``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from central.store.tables import BIG, metadata

account = Table(
    "account",
    metadata,
    Column("account_id", BIG, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("shown_name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("made_at", String(32), nullable=False),
    Column("disabled_at", String(32)),
    Column("wrong_count", Integer, nullable=False, default=0),
    Column("locked_until_wall_s", BigInteger, nullable=False, default=0),
    Column("language", String(8), nullable=False, default=""),
)
"""``name`` is what people type, in small letters; a row is never deleted, because reports are signed with it."""

account_session = Table(
    "account_session",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("opened_at", String(32), nullable=False),
    Column("used_wall_s", BigInteger, nullable=False),
    Column("expires_wall_s", BigInteger, nullable=False),
)

review_study = Table(
    "review_study",
    metadata,
    Column("study_instance_uid", String(64), primary_key=True),
    Column("unit_id", String(36), nullable=False),
    Column("patient_name", Text, nullable=False, default=""),
    Column("patient_id", Text, nullable=False, default=""),
    Column("patient_key", String(64), nullable=False, default=""),
    Column("patient_birth_date", Text, nullable=False, default=""),
    Column("patient_sex", Text, nullable=False, default=""),
    Column("accession_number", Text, nullable=False, default=""),
    Column("study_date", String(16), nullable=False, default=""),
    Column("study_description", Text, nullable=False, default=""),
    Column("modality", Text, nullable=False, default=""),
    Column("search", Text, nullable=False, default=""),
    Column("stat", Boolean, nullable=False, default=False),
    Column("raised", Boolean, nullable=False, default=False),
    Column("state", String(16), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("sort_at", String(32), nullable=False),
    Column("percent", Integer, nullable=False, default=0),
    Column("image_count", Integer, nullable=False, default=0),
    Column("expected_count", Integer, nullable=False, default=0),
    Column("verified_count", Integer, nullable=False, default=0),
    Column("preview_count", Integer, nullable=False, default=0),
    Column("refused_count", Integer, nullable=False, default=0),
    Column("size_bytes", BigInteger, nullable=False, default=0),
    Column("captured_at", String(32), nullable=False, default=""),
    Column("announced_at", String(32), nullable=False),
    Column("arrived_at", String(32)),
    Column("read_at", String(32)),
    Column("reader", String(128), nullable=False, default=""),
    Column("version", BigInteger, nullable=False, default=0),
    Index("ix_review_order", "rank", "sort_at", "study_instance_uid"),
    Index("ix_review_unit", "unit_id", "rank", "sort_at", "study_instance_uid"),
    Index("ix_review_version", "version"),
    Index("ix_review_patient", "patient_key"),
    Index("ix_review_state", "state", "sort_at"),
    Index("ix_review_arrived", "arrived_at"),
)
"""``rank``: 0 urgent, 1 routine, 2 read. ``search``: folded words. ``raised``: somebody at the centre made it urgent.

``version`` is that of the last change of the row; the newest of all tells a page whether anything changed.
"""

review_event = Table(
    "review_event",
    metadata,
    Column("event_id", BIG, primary_key=True, autoincrement=True),
    Column("study_instance_uid", String(64), nullable=False, index=True),
    Column("at", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("who", String(128), nullable=False, default=""),
    Column("text", Text, nullable=False, default=""),
)
"""What people at the centre did with a study; the gateway's own history is in its tables."""

viewer_ticket = Table(
    "viewer_ticket",
    metadata,
    Column("ticket_sha256", String(64), primary_key=True),
    Column("session_sha256", String(64), nullable=False),
    Column("study_instance_uid", String(64), nullable=False),
    Column("expires_wall_s", BigInteger, nullable=False),
)
"""Leads from the pages to the full viewer, once: a session of the pages, and the study that was opened."""

viewer_grant = Table(
    "viewer_grant",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("study_instance_uid", String(64), primary_key=True),
    Column("session_sha256", String(64), nullable=False, index=True),
    Column("expires_wall_s", BigInteger, nullable=False),
)
"""What a browser may see in the full viewer; worth nothing once its session of the pages is over."""

unit_status = Table(
    "unit_status",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("at", String(32), nullable=False),
    Column("report", Text, nullable=False),
)
"""What a unit last told of itself (``sync.wire.status.StatusReport`` as JSON), and when by the centre's clock."""

service_minute = Table(
    "service_minute",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("gateway_ok", Boolean, nullable=False),
    Column("pacs_ok", Boolean, nullable=False),
)
"""Whether units could deliver, looked at once in each minute since 1970; a minute without a row is a minute away."""

study_note = Table(
    "study_note",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("study_instance_uid", String(64), primary_key=True, index=True),
    Column("revision", BigInteger, nullable=False),
    Column("at", String(32), nullable=False),
    Column("notes", Text, nullable=False),
)
"""What a unit last said of a study (``sync.wire.notes.StudyNotes`` as JSON), and when by the centre's clock."""

NOTE_TABLES = (study_note,)
VIEWER_TABLES = (viewer_ticket, viewer_grant)
FLEET_TABLES = (service_minute,)
REVIEW_TABLES = (account, account_session, review_study, review_event, unit_status)
