"""The DICOM services we use, by UID; pynetdicom makes these names at import time, where mypy cannot see them."""

from __future__ import annotations

from pynetdicom.sop_class import (  # type: ignore[attr-defined] # see above
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

VERIFICATION = str(Verification)
COMMITMENT = str(StorageCommitmentPushModel)
COMMITMENT_INSTANCE = str(StorageCommitmentPushModelInstance)
FIND = str(StudyRootQueryRetrieveInformationModelFind)
MOVE = str(StudyRootQueryRetrieveInformationModelMove)
