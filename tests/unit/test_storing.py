"""Copies that sending needs, on a disk without room: tried again later, and no reason to call a person."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from sync.adapters import storing
from sync.adapters.association import Conversation
from sync.adapters.base import SendItem
from sync.adapters.codec import transcode
from sync.adapters.failures import Failed
from tests.support.files import small_chest
from tests.support.pacs import item_of


@pytest.fixture
def item(tmp_path: Path) -> SendItem:
    return item_of(small_chest(tmp_path / "sent.dcm", 1), 1)


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def code_of(item: SendItem, accepted: tuple[str, str], work_dir: Path) -> str:
    talk = cast(Conversation, SimpleNamespace(accepted=frozenset({accepted}), refused_classes=frozenset()))
    with pytest.raises(Failed) as failed, storing._as_accepted(talk, item, work_dir):
        pass
    return failed.value.failure.code


@pytest.mark.parametrize("step", ["TemporaryDirectory", "transcode"])
def test_rewritten_copy_that_finds_no_room_is_made_later(
    item: SendItem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(storing, step, full)
    assert code_of(item, (item.sop_class_uid, str(ImplicitVRLittleEndian)), tmp_path) == "work-dir"


def test_copy_with_a_true_header_that_finds_no_room_is_made_later(
    item: SendItem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(item, sop_class_uid=str(SecondaryCaptureImageStorage))
    monkeypatch.setattr(storing, "NamedTemporaryFile", full)
    assert code_of(other, (other.sop_class_uid, other.transfer_syntax_uid), tmp_path) == "work-dir"


def test_codec_tells_a_full_disk_from_a_picture_it_cannot_rewrite(item: SendItem, tmp_path: Path) -> None:
    target = tmp_path / "copy.dcm"
    target.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        transcode(item.path, target, str(ImplicitVRLittleEndian))
