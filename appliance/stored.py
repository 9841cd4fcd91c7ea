"""Where the bytes of an instance lie: as they were received in ``blobs/``, as they were corrected in ``revisions/``.

Two folders, because what vouches for a file differs: ``blobs/`` is Orthanc's storage area, where a file that the door's
ledger does not know was never acknowledged; a revision is vouched for by its row in ``unit.db`` and by nothing else.
"""

from __future__ import annotations

from pathlib import Path

from appliance.config import UnitConfig, blob_path
from appliance.domain.values import Instance


def revision_dir(config: UnitConfig) -> Path:
    """Whole Part 10 files of corrections, ``revisions/ab/<uuid>``."""
    return config.data_dir / "revisions"


def stored_path(config: UnitConfig, instance: Instance) -> Path:
    """The file of this very content."""
    return blob_path(revision_dir(config) if instance.revision_id else config.blob_dir, instance.blob_uuid)
