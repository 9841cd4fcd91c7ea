"""What is known of studies as such, for whoever has to name one to the centre."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.values import StudyHeader
from appliance.store.connect import Store


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """A study's header, when its first instance came, and how many came so far, wherever their pixels are now.

    One that was rejected before it was sent is not counted: no centre waits for it.
    """

    header: StudyHeader
    first_received_at: str
    instance_count: int


def known_studies(db: Store, study_instance_uids: Sequence[str]) -> dict[str, KnownStudy]:
    """These studies by their UID; unknown ones are left out."""
    rows = db.rows(
        """SELECT study_instance_uid, patient_name, patient_id, patient_birth_date, patient_sex, accession_number,
                study_date, study_description, modality, first_received_at,
                (SELECT count(*) FROM instance AS i WHERE i.study_instance_uid = s.study_instance_uid
                    AND NOT EXISTS (SELECT 1 FROM rejected_image AS r CROSS JOIN outbox AS o USING (instance_id)
                        WHERE r.instance_id = i.instance_id AND r.lifted_at = '' AND o.state = 'rejected'))
            FROM study AS s WHERE study_instance_uid IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(study_instance_uids)),),
    )
    return {row[0]: KnownStudy(StudyHeader(*row[:-2]), *row[-2:]) for row in rows}
