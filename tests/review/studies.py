"""Studies as units announce them, put through the gateway's own code, and moved on step by step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, insert, update

from appliance.clock import utc_text
from central.review.follow import Follower
from central.store.manifests import merge
from central.store.tables import chunk, file, part
from central.store.units import add_unit, unit_row
from sync.wire import messages as m
from tests.review.rig import Pages

UNIT_ID = "00000000-0000-0000-0000-000000000001"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
"""One pixel."""


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


@dataclass(frozen=True)
class Made:
    """A study with some images; each method is one thing that the gateway would note."""

    pages: Pages
    uid: str
    info: m.StudyInfo = field(default_factory=m.StudyInfo)
    image_count: int = 1
    stat: bool = False
    unit_id: str = UNIT_ID

    def announce(self) -> Made:
        images, parts = [], []
        for number in range(self.image_count):
            preview = WEBP + f"{self.uid}.{number}".encode()
            pixels = sha256(f"pixels {self.uid} {number}")
            parts.append(m.PartInfo(sha256=pixels, size_bytes=1000, kind=m.PartKind.PIXELS))
            parts.append(m.PartInfo(sha256=sha256(preview), size_bytes=len(preview), kind=m.PartKind.PREVIEW))
            images.append(
                m.InstanceInfo(
                    sop_instance_uid=f"{self.uid}.{number}",
                    sop_class_uid="1.2",
                    series_instance_uid=f"{self.uid}.9",
                    transfer_syntax_uid="1.2",
                    sha256=sha256(f"file {self.uid} {number}"),
                    size_bytes=4000,
                    pixels=pixels,
                    preview=sha256(preview),
                )
            )
        manifest = m.Manifest(
            revision=1,
            priority="stat" if self.stat else "routine",
            expected_instance_count=self.image_count,
            study=self.info,
            instances=tuple(images),
            parts=tuple(parts),
        )
        with self.pages.site.database.write() as connection:
            if unit_row(connection, self.unit_id) is None:
                add_unit(connection, self.unit_id, f"van-{self.unit_id[-1]}", b"", self.now)
            merge(connection, self.unit_id, self.uid, manifest, self.now)
        return self

    @property
    def now(self) -> str:
        return utc_text(self.pages.clock.wall)

    def preview(self, number: int = 0, content: bytes | None = None) -> Made:
        """A preview arrives; ``content``: what the unit calls one."""
        name = sha256(WEBP + f"{self.uid}.{number}".encode())
        data = WEBP if content is None else content
        objects = self.pages.site.objects
        key = objects.new_key(name, 0)
        objects.put(key, data)
        with self.pages.site.database.write() as connection:
            connection.execute(insert(chunk).values(sha256=name, offset_bytes=0, size_bytes=len(data), object_key=key))
            done = {"complete": True, "offset_bytes": len(data), "completed_at": self.now}
            connection.execute(update(part).where(part.c.sha256 == name).values(**done))
        return self

    def pixels(self, share: float, number: int = 0) -> Made:
        """So much of an image's pixels is here."""
        name = sha256(f"pixels {self.uid} {number}")
        with self.pages.site.database.write() as connection:
            here = {"offset_bytes": int(1000 * share), "first_byte_at": self.now}
            connection.execute(update(part).where(part.c.sha256 == name).values(**here))
        return self

    def whole(self) -> Made:
        return self._files(state="rebuilding", complete_at=self.now)

    def verified(self) -> Made:
        return self._files(state="verified", complete_at=self.now, verified_at=self.now)

    def refused(self, sentence: str) -> Made:
        return self._files(state="refused", problem=sentence, problem_code="identity-mismatch")

    def _files(self, **values: object) -> Made:
        def work(connection: Connection) -> None:
            mine = file.c.study_instance_uid == self.uid
            connection.execute(update(file).where(mine).values(**values))

        with self.pages.site.database.write() as connection:
            work(connection)
        return self

    def told_by(self, unit_id: str) -> Made:
        return replace(self, unit_id=unit_id)


def follower(pages: Pages) -> Follower:
    return Follower(pages.site.database, pages.site.limits, pages.clock)
