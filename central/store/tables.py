"""The tables of the centre's database. Times are UTC text, digests hexadecimal SHA-256, sizes bytes.

Columns are only ever added (``migrations``), so that the release before runs on this release's database. SQL that only
one database knows stands nowhere but in ``database``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

BIG = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only for a column that is exactly INTEGER."""

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

epoch = Table(
    "epoch",
    metadata,
    Column("epoch", String(64), primary_key=True),
    Column("since", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("foreign_life", Boolean, nullable=False, default=False),
)
"""Every epoch that this centre gave itself, and those of lives it lost that units remember (``foreign_life``)."""

unit = Table(
    "unit",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("enrolled_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
    Column("seen_at", String(32)),
    Column("software", Text, nullable=False, default=""),
    Column("lineage", String(64), nullable=False, default=""),
    Column("inbox_head", BigInteger, nullable=False, default=0),
)
"""``lineage`` is the session that the unit used last: what its next one must follow."""

enrol_code = Table(
    "enrol_code",
    metadata,
    Column("code_id", String(8), primary_key=True),
    Column("code", String(32), nullable=False),
    Column("unit_name", String(64), nullable=False),
    Column("made_at", String(32), nullable=False),
    Column("expires_wall_s", BigInteger, nullable=False),
    Column("wrong_count", Integer, nullable=False, default=0),
    Column("used_at", String(32)),
    Column("used_by_key", LargeBinary),
    Column("unit_id", String(36)),
)

session = Table(
    "session",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("unit_id", String(36), nullable=False, index=True),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("opened_at", String(32), nullable=False),
    Column("expires_wall_s", BigInteger, nullable=False),
    Column("used_at", String(32)),
)

alarm = Table(
    "alarm",
    metadata,
    Column("alarm_id", BIG, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("unit_id", String(36), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("sentence", Text, nullable=False),
)

study = Table(
    "study",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("study_instance_uid", String(64), primary_key=True, index=True),
    Column("revision", BigInteger, nullable=False),
    Column("priority", String(16), nullable=False),
    Column("expected_instance_count", BigInteger, nullable=False),
    Column("info", Text, nullable=False),
    Column("announced_at", String(32), nullable=False),
    Column("changed_at", String(32), nullable=False),
)

file = Table(
    "file",
    metadata,
    Column("file_id", BIG, primary_key=True, autoincrement=True),
    Column("study_instance_uid", String(64), nullable=False, index=True),
    Column("series_instance_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("stat", Boolean, nullable=False, default=False),
    Column("own_parts_only", Boolean, nullable=False, default=False),
    Column("round_count", Integer, nullable=False, default=0),
    Column("attempt_count", Integer, nullable=False, default=0),
    Column("problem", Text, nullable=False, default=""),
    Column("problem_code", String(64), nullable=False, default=""),
    Column("announced_at", String(32), nullable=False),
    Column("complete_at", String(32)),
    Column("rebuilt_at", String(32)),
    Column("verified_at", String(32)),
    Column("evidence", Text),
    Column("superseded_at", String(32)),
    UniqueConstraint("sha256", "sop_instance_uid", "study_instance_uid"),
)
"""One instance as some unit stored it: UIDs and SHA-256. ``own_parts_only``: parts of others did not fit it."""

replacement = Table(
    "replacement",
    metadata,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("unit_id", String(36), nullable=False),
    Column("told_at", String(32), nullable=False),
)
"""Contents of instances that a correction took the place of; for ever."""

claim = Table(
    "claim",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("file_id", BigInteger, primary_key=True, index=True),
    Column("revision", BigInteger, nullable=False),
    Column("header", String(64), nullable=False, default="", index=True),
    Column("pixels", String(64), nullable=False, default="", index=True),
    Column("no_pixels", Boolean, nullable=False, default=False),
    Column("preview", String(64), nullable=False, default="", index=True),
    Column("announced_at", String(32), nullable=False),
    Column("statement", LargeBinary),
    Column("signature", LargeBinary),
)
"""What one unit says of a file, and the receipt that it got for it."""

part = Table(
    "part",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("media_type", String(64), nullable=False, default=""),
    Column("restores_sha256", String(64), nullable=False, default="", index=True),
    Column("offset_bytes", BigInteger, nullable=False, default=0),
    Column("complete", Boolean, nullable=False, default=False),
    Column("unpacked", Boolean, nullable=False, default=False),
    Column("bad_count", Integer, nullable=False, default=0),
    Column("named_at", String(32), nullable=False),
    Column("first_byte_at", String(32)),
    Column("changed_at", String(32), nullable=False),
    Column("completed_at", String(32)),
)
"""``size_bytes`` is -1 while nobody has said it. ``offset_bytes`` is what the chunks of the part hold together."""

part_unit = Table(
    "part_unit",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("sha256", String(64), primary_key=True, index=True),
)
"""Which units may know of a part and append to it."""

chunk = Table(
    "chunk",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("offset_bytes", BigInteger, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("object_key", String(160), nullable=False, index=True),
)

garbage = Table(
    "garbage",
    metadata,
    Column("object_key", String(160), primary_key=True),
)
"""Objects that no row needs any more; deleted from the object store first and then from here."""

skeleton = Table(
    "skeleton",
    metadata,
    Column("file_sha256", String(64), primary_key=True),
    Column("header", String(64), primary_key=True, index=True),
)
"""Which complete header part holds the skeleton of which file."""

inbox = Table(
    "inbox",
    metadata,
    Column("unit_id", String(36), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("study_instance_uid", String(64), nullable=False, default=""),
    Column("sop_instance_uid", String(64), nullable=False, default=""),
    Column("sha256", String(64), nullable=False, default=""),
    Column("statement", LargeBinary),
    Column("signature", LargeBinary),
    Column("text", Text, nullable=False, default=""),
    Column("code", String(64), nullable=False, default=""),
    Column("body", Text, nullable=False, default="", server_default=""),
)
"""``body``: an answer for people (``sync.wire.answers``)."""

answer = Table(
    "answer",
    metadata,
    Column("answer_id", String(64), primary_key=True),
    Column("unit_id", String(36), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("study_instance_uid", String(64), nullable=False, default="", index=True),
    Column("subject_id", String(64), nullable=False, default="", index=True),
    Column("written_at", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("posted_seq", BigInteger, nullable=False),
    Column("delivered_at", String(64)),
    Column("outcome", Text, nullable=False, default=""),
    Column("seen_at", String(64)),
    Column("seen_by", String(128), nullable=False, default=""),
)
"""What people told a unit and what became of it; ``subject_id`` is a report's or an order's own number."""
