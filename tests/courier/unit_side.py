"""A unit's folder with stored images and an identity, and the keys of its centre; no process runs."""

from __future__ import annotations

import shutil
import uuid
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.config import UnitConfig, blob_path, load_unit
from appliance.domain.values import Instance, StudyHeader
from appliance.identity import Identity, write_identity, write_key
from appliance.store.connect import migrate, open_unit
from appliance.store.intake import KeptInstance, keep_instances
from sync.adapters.base import SendItem
from sync.adapters.gateway.keys import new_key, private_key
from sync.courier.messages import FOLDER, REPLY_NAME, Reply
from sync.courier.reply import write_reply
from sync.courier.sealing import new_secret, recipient_of
from sync.wire.messages import Inbox, InboxEntry, InboxKind, Receipt, SignedReceipt
from sync.wire.proofs import receipt_message
from tests.courier.making import UNIT_ID

DESTINATION = "gateway"


@dataclass
class Centre:
    """The keys of a centre, and what it would say."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    secret: str = field(default_factory=new_secret)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def receipt(self, item: SendItem, **changes: str) -> SignedReceipt:
        receipt = Receipt(
            unit_id=UNIT_ID,
            study_instance_uid=item.study_instance_uid,
            sop_instance_uid=item.sop_instance_uid,
            sha256=item.sha256,
            size_bytes=item.size_bytes,
            method="wado",
            pacs="pacs",
            verified_at="2026-11-25T10:00:00.000Z",
            epoch="e1",
        )
        said = msgspec.json.encode(msgspec.structs.replace(receipt, **changes))
        signed = self.key.sign(receipt_message(said))
        return SignedReceipt(statement=b64encode(said).decode(), signature=b64encode(signed).decode())

    def entry(self, seq: int, item: SendItem, receipt: SignedReceipt | None = None, **more: str) -> InboxEntry:
        values: dict[str, str] = {"kind": InboxKind.RECEIPT.value, **more}
        return InboxEntry(
            seq=seq,
            study_instance_uid=item.study_instance_uid,
            sop_instance_uid=item.sop_instance_uid,
            sha256=item.sha256,
            receipt=receipt,
            kind=values["kind"],
            text=values.get("text", ""),
        )

    def write_back(self, stick: Path, reply_to: str, entries: Sequence[InboxEntry], stick_id: str = "ab" * 8) -> None:
        """The file that the centre leaves on a stick."""
        inbox = Inbox(epoch="e1", head=len(entries), entries=tuple(entries))
        reply = Reply(unit_id=UNIT_ID, stick=stick_id, inbox=inbox, waiting_count=2)
        at = stick / FOLDER / UNIT_ID
        at.mkdir(parents=True, exist_ok=True)
        (at / REPLY_NAME).write_bytes(write_reply(reply, self.key.sign, reply_to))


@dataclass
class UnitSide:
    """A unit whose images are stored and owed to a gateway."""

    toml: Path
    config: UnitConfig
    centre: Centre

    def args(self, *words: str) -> list[str]:
        return [*words, "--config", str(self.toml)]


def made_unit(folder: Path, items: Sequence[SendItem], url: str = "http://127.0.0.1:9", more: str = "") -> UnitSide:
    """A migrated unit that has kept these images and is enrolled."""
    folder.mkdir(parents=True, exist_ok=True)
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\ndata_dir = "{folder / "data"}"\n'
        f'[[destination]]\nkind = "gateway"\nname = "{DESTINATION}"\nurl = "{url}"\n{more}'
    )
    unit = UnitSide(toml, load_unit(toml), Centre())
    config = unit.config
    for made in (config.data_dir, config.run_dir, config.identity_dir):
        made.mkdir(parents=True)
    migrate(config.unit_db, config.door_db)
    with open_unit(config.unit_db) as db:
        for item in items:
            keep_instances(db, db.stamp(), [_kept(config, item)], [DESTINATION], None)
    pem = new_key()
    private_key(pem)
    write_key(config.identity_dir, pem)
    enrol(unit)
    return unit


def enrol(unit: UnitSide, recipient: str | None = None) -> None:
    """As ``qafila unit enrol`` leaves it."""
    write_identity(
        unit.config.identity_dir,
        DESTINATION,
        Identity(
            unit_id=UNIT_ID,
            centre_public_key=b64encode(unit.centre.public).decode(),
            url="http://127.0.0.1:9",
            centre_age_recipient=recipient_of(unit.centre.secret) if recipient is None else recipient,
        ),
    )


def _kept(config: UnitConfig, item: SendItem) -> KeptInstance:
    blob_uuid = str(uuid.uuid4())
    at = blob_path(config.blob_dir, blob_uuid)
    at.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(item.path, at)
    instance = Instance(
        sop_instance_uid=item.sop_instance_uid,
        sop_class_uid=item.sop_class_uid,
        series_instance_uid=item.series_instance_uid,
        study_instance_uid=item.study_instance_uid,
        transfer_syntax_uid=item.transfer_syntax_uid,
        orthanc_id=item.sha256[:40],
        blob_uuid=blob_uuid,
        size_bytes=item.size_bytes,
        sha256=item.sha256,
        dataset_sha256=item.sha256,
        calling_ae_title="XRAY",
        received_at="2026-11-25T09:00:00.000Z",
    )
    header = item.study or StudyHeader(item.study_instance_uid, "", "", "", "", "", "", "", "")
    return KeptInstance(instance, header, "boot-1", 1.0)
