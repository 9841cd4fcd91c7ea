-- What release 0.1.0 sends, recorded by tests/store/record_release.py.
INSERT INTO study (study_instance_uid, patient_name, patient_id, patient_birth_date, patient_sex,
                accession_number, study_date, study_description, modality, first_received_at, last_received_at)
            VALUES ('1.2.3.1', 'DOE^1', 'P1', '19800101', 'F', 'A1', '20270115', 'CHEST', 'DX', '2027-01-15T08:00:01.000Z', '2027-01-15T08:00:01.000Z')
            ON CONFLICT (study_instance_uid) DO UPDATE SET
                patient_name = iif(patient_name = '', excluded.patient_name, patient_name),
                patient_id = iif(patient_id = '', excluded.patient_id, patient_id),
                patient_birth_date = iif(patient_birth_date = '', excluded.patient_birth_date, patient_birth_date),
                patient_sex = iif(patient_sex = '', excluded.patient_sex, patient_sex),
                accession_number = iif(accession_number = '', excluded.accession_number, accession_number),
                study_date = iif(study_date = '', excluded.study_date, study_date),
                study_description = iif(study_description = '', excluded.study_description, study_description),
                modality = iif(modality = '', excluded.modality, modality);
INSERT INTO instance (sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid,
            transfer_syntax_uid, orthanc_id, blob_uuid, size_bytes, sha256, dataset_sha256, calling_ae_title,
            received_at, received_boot_id, received_mono_s) VALUES ('1.2.3.1.9.1', '1.2.840.10008.5.1.4.1.1.1.1', '1.2.3.1.9', '1.2.3.1', '1.2.840.10008.1.2.1', 'ddc7eeb4fa0c4c5266fec9d53430da2200ead6f3', '00000000-0000-0000-0000-000000000001', 1000, '4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a', '7f94f49b6ce9401c3427f147708f61ad0c6de388ca045a657c077436d9eb03e0', 'XRAY1', '2027-01-15T08:00:01.000Z', 'boot-1', 1.0);
UPDATE study SET last_instance_id = 1, last_received_at = '2027-01-15T08:00:01.000Z' WHERE study_instance_uid = '1.2.3.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'instance', '1.2.3.1.9.1', '1.2.3.1', 'kept', '', 'present', 'intake', 'bytes=1000 sha256=4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a');
RELEASE nested;
INSERT INTO outbox (instance_id, destination, state, stat, size_bytes, queued_at, queued_at_s, changed_at)
            SELECT 1, 'pacs', 'pending', priority = 'stat', 1000, '2027-01-15T08:00:00.000Z', 1800000000.0, '2027-01-15T08:00:00.000Z' FROM study WHERE study_instance_uid = '1.2.3.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '1', '1.2.3.1', 'queued', '', 'pending', 'intake', 'destination=pacs');
RELEASE nested;
INSERT INTO study (study_instance_uid, patient_name, patient_id, patient_birth_date, patient_sex,
                accession_number, study_date, study_description, modality, first_received_at, last_received_at)
            VALUES ('1.2.3.1', 'DOE^1', 'P1', '19800101', 'F', 'A1', '20270115', 'CHEST', 'DX', '2027-01-15T08:00:02.000Z', '2027-01-15T08:00:02.000Z')
            ON CONFLICT (study_instance_uid) DO UPDATE SET
                patient_name = iif(patient_name = '', excluded.patient_name, patient_name),
                patient_id = iif(patient_id = '', excluded.patient_id, patient_id),
                patient_birth_date = iif(patient_birth_date = '', excluded.patient_birth_date, patient_birth_date),
                patient_sex = iif(patient_sex = '', excluded.patient_sex, patient_sex),
                accession_number = iif(accession_number = '', excluded.accession_number, accession_number),
                study_date = iif(study_date = '', excluded.study_date, study_date),
                study_description = iif(study_description = '', excluded.study_description, study_description),
                modality = iif(modality = '', excluded.modality, modality);
INSERT INTO instance (sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid,
            transfer_syntax_uid, orthanc_id, blob_uuid, size_bytes, sha256, dataset_sha256, calling_ae_title,
            received_at, received_boot_id, received_mono_s) VALUES ('1.2.3.1.9.2', '1.2.840.10008.5.1.4.1.1.1.1', '1.2.3.1.9', '1.2.3.1', '1.2.840.10008.1.2.1', 'ac979ae7f421b4ccd54e8d4cfbdc8a08644956ff', '00000000-0000-0000-0000-000000000002', 1000, '63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61', '57dfcc84956b1a44935341d31c4d5c34243b3885ad98eb1a2612c786e53f6cfc', 'XRAY1', '2027-01-15T08:00:02.000Z', 'boot-1', 2.0);
UPDATE study SET last_instance_id = 2, last_received_at = '2027-01-15T08:00:02.000Z' WHERE study_instance_uid = '1.2.3.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'instance', '1.2.3.1.9.2', '1.2.3.1', 'kept', '', 'present', 'intake', 'bytes=1000 sha256=63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61');
RELEASE nested;
INSERT INTO outbox (instance_id, destination, state, stat, size_bytes, queued_at, queued_at_s, changed_at)
            SELECT 2, 'pacs', 'pending', priority = 'stat', 1000, '2027-01-15T08:00:00.000Z', 1800000000.0, '2027-01-15T08:00:00.000Z' FROM study WHERE study_instance_uid = '1.2.3.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '2', '1.2.3.1', 'queued', '', 'pending', 'intake', 'destination=pacs');
RELEASE nested;
SAVEPOINT nested;
INSERT INTO cursor (feed, seq, row_id, row_date) VALUES ('kept', 2, '', '') ON CONFLICT (feed) DO UPDATE
                SET seq = excluded.seq, row_id = excluded.row_id, row_date = excluded.row_date
                WHERE (seq, row_id, row_date) <> (excluded.seq, excluded.row_id, excluded.row_date);
RELEASE nested;
SAVEPOINT nested;
INSERT INTO finding (kind, subject_id, sentence, detail, severity, found_at) VALUES ('sop-conflict', '1.2.3.1.9.2', 'Two different pictures arrived under one identifier. The first is delivered, the second is kept aside. Tell the service who will compare them.', 'first sha256=63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61 second sha256=6db38d32685c63295d80a178e94bb377b833c7fadaa03d9ff8766956def9e266 blob=00000000-0000-0000-0000-000000000002', 'alarm', '2027-01-15T08:00:00.000Z')
                ON CONFLICT (kind, subject_id) DO UPDATE SET
                    sentence = excluded.sentence, detail = excluded.detail, severity = excluded.severity,
                    found_at = iif(finding.cleared_at = '', finding.found_at, excluded.found_at), cleared_at = '';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'finding', '1.2.3.1.9.2', '', 'sop-conflict', '', 'alarm', '', 'first sha256=63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61 second sha256=6db38d32685c63295d80a178e94bb377b833c7fadaa03d9ff8766956def9e266 blob=00000000-0000-0000-0000-000000000002');
RELEASE nested;
RELEASE nested;
INSERT INTO outbox (instance_id, destination, state, stat, size_bytes, queued_at, queued_at_s, changed_at)
            SELECT 1, 'archive', 'pending', priority = 'stat', 1000, '2027-01-15T08:00:00.000Z', 1800000000.001, '2027-01-15T08:00:00.000Z' FROM study WHERE study_instance_uid = '1.2.3.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '3', '1.2.3.1', 'queued', '', 'pending', 'intake', 'destination=archive');
RELEASE nested;
INSERT INTO outbox (instance_id, destination, state, stat, size_bytes, queued_at, queued_at_s, changed_at)
            SELECT 2, 'archive', 'pending', priority = 'stat', 1000, '2027-01-15T08:00:00.000Z', 1800000000.001, '2027-01-15T08:00:00.000Z' FROM study WHERE study_instance_uid = '1.2.3.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '4', '1.2.3.1', 'queued', '', 'pending', 'intake', 'destination=archive');
RELEASE nested;
INSERT INTO transfer (transfer_id, destination, item_count, started_at, started_boot_id, started_mono_s)
                VALUES (1, 'pacs', 2, '2027-01-15T08:00:00.000Z', 'boot-1', 100.0);
UPDATE outbox SET state = 'sent', attempt_count = 1, changed_at = '2027-01-15T08:00:00.000Z', failure_kind = '', failure_code = '',
                failure_sentence = '' WHERE item_id = 1;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '1', '1.2.3.1', 'accepted', 'pending', 'sent', 'sync', 'destination=pacs');
RELEASE nested;
UPDATE transfer SET ended_at = '2027-01-15T08:00:00.000Z', bytes_sent = 1000, accepted_count = 1,
                duration_s = iif(started_boot_id = 'boot-1', max(100.0 - started_mono_s, 0), 0.0),
                failure_code = 'http-503', failure_sentence = 'The centre is busy.' WHERE transfer_id = 1 AND ended_at = '';
INSERT INTO link (destination, changed_at, last_success_at)
                    SELECT destination, '2027-01-15T08:00:00.000Z', '2027-01-15T08:00:00.000Z' FROM transfer WHERE transfer_id = 1
                    ON CONFLICT (destination) DO UPDATE SET last_success_at = excluded.last_success_at;
INSERT INTO transfer (transfer_id, destination, item_count, started_at, started_boot_id, started_mono_s)
                VALUES (2, 'pacs', 1, '2027-01-15T08:00:00.000Z', 'boot-1', 100.0);
UPDATE transfer SET ended_at = '2027-01-15T08:00:00.000Z', failure_code = 'interrupted',
                failure_sentence = 'The unit was switched off or restarted during this attempt.'
                WHERE ended_at = '';
INSERT INTO link (destination, state, failure_code, failure_sentence, changed_at, next_try_at)
                VALUES ('pacs', 'down', 'http-503', 'The centre is busy.', '2027-01-15T08:00:00.000Z', '2027-01-15T08:00:30.000Z') ON CONFLICT (destination) DO UPDATE SET
                    changed_at = iif(link.state = excluded.state, link.changed_at, excluded.changed_at),
                    state = excluded.state, failure_code = excluded.failure_code,
                    failure_sentence = excluded.failure_sentence, next_try_at = excluded.next_try_at;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'link', 'pacs', '', 'link', 'unknown', 'down', 'sync', 'code=http-503');
RELEASE nested;
UPDATE outbox SET failure_kind = 'transient', failure_code = 'http-503', failure_sentence = 'The centre is busy.'
                WHERE item_id = 1 AND (failure_code, failure_sentence) <> ('http-503', 'The centre is busy.');
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '1', '1.2.3.1', 'failure-noted', 'sent', 'sent', 'sync', 'destination=pacs code=http-503');
RELEASE nested;
SAVEPOINT nested;
INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at)
                VALUES (1, 'pacs', '1.2.3.1.9.1', '4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a', 'wado', '{"dataset_sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "detail": {}, "method": "wado", "pixel_sha256": "", "sha256": "4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a"}', '2027-01-15T08:00:00.000Z');
RELEASE nested;
UPDATE outbox SET state = 'confirmed', attempt_count = 1, changed_at = '2027-01-15T08:00:00.000Z', failure_kind = '', failure_code = '',
                failure_sentence = '' WHERE item_id = 1;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '1', '1.2.3.1', 'proved', 'sent', 'confirmed', 'sync', 'destination=pacs method=wado sha256=4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a');
RELEASE nested;
UPDATE receipt SET checked_again_at = '2027-01-15T08:00:00.000Z' WHERE item_id = 1 AND revoked_at = '' AND sha256 = '4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '1', '1.2.3.1', 'rechecked', 'confirmed', 'confirmed', 'sync', 'destination=pacs method=wado');
RELEASE nested;
SAVEPOINT nested;
INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at)
                VALUES (2, 'pacs', '1.2.3.1.9.2', '63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61', 'wado', '{"dataset_sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "detail": {}, "method": "wado", "pixel_sha256": "", "sha256": "63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61"}', '2027-01-15T08:00:00.000Z');
RELEASE nested;
UPDATE outbox SET state = 'confirmed', attempt_count = 1, changed_at = '2027-01-15T08:00:00.000Z', failure_kind = '', failure_code = '',
                failure_sentence = '' WHERE item_id = 2;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '2', '1.2.3.1', 'proved', 'pending', 'confirmed', 'sync', 'destination=pacs method=wado sha256=63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61');
RELEASE nested;
UPDATE receipt SET checked_again_at = '2027-01-15T08:00:00.000Z' WHERE item_id = 2 AND revoked_at = '' AND sha256 = '63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '2', '1.2.3.1', 'rechecked', 'confirmed', 'confirmed', 'sync', 'destination=pacs method=wado');
RELEASE nested;
SAVEPOINT nested;
INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at)
                VALUES (3, 'archive', '1.2.3.1.9.1', '4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a', 'wado', '{"dataset_sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "detail": {}, "method": "wado", "pixel_sha256": "", "sha256": "4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a"}', '2027-01-15T08:00:00.000Z');
RELEASE nested;
UPDATE outbox SET state = 'confirmed', attempt_count = 1, changed_at = '2027-01-15T08:00:00.000Z', failure_kind = '', failure_code = '',
                failure_sentence = '' WHERE item_id = 3;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '3', '1.2.3.1', 'proved', 'pending', 'confirmed', 'sync', 'destination=archive method=wado sha256=4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a');
RELEASE nested;
UPDATE receipt SET checked_again_at = '2027-01-15T08:00:00.000Z' WHERE item_id = 3 AND revoked_at = '' AND sha256 = '4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '3', '1.2.3.1', 'rechecked', 'confirmed', 'confirmed', 'sync', 'destination=archive method=wado');
RELEASE nested;
SAVEPOINT nested;
INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at)
                VALUES (4, 'archive', '1.2.3.1.9.2', '63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61', 'wado', '{"dataset_sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "detail": {}, "method": "wado", "pixel_sha256": "", "sha256": "63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61"}', '2027-01-15T08:00:00.000Z');
RELEASE nested;
UPDATE outbox SET state = 'confirmed', attempt_count = 1, changed_at = '2027-01-15T08:00:00.000Z', failure_kind = '', failure_code = '',
                failure_sentence = '' WHERE item_id = 4;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '4', '1.2.3.1', 'proved', 'pending', 'confirmed', 'sync', 'destination=archive method=wado sha256=63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61');
RELEASE nested;
UPDATE receipt SET checked_again_at = '2027-01-15T08:00:00.000Z' WHERE item_id = 4 AND revoked_at = '' AND sha256 = '63838853861dbdbf4e22b94d1278711ad8d0221ff787f0ebc017e516d0162b61';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '4', '1.2.3.1', 'rechecked', 'confirmed', 'confirmed', 'sync', 'destination=archive method=wado');
RELEASE nested;
UPDATE outbox SET stat = 1 WHERE item_id IN (SELECT value FROM json_each('[1, 2]'));
UPDATE study SET priority = 'stat' WHERE study_instance_uid = '1.2.3.1' AND priority <> 'stat';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'study', '1.2.3.1', '1.2.3.1', 'priority', '', 'stat', 'technologist', '');
RELEASE nested;
SAVEPOINT nested;
UPDATE instance SET local_state = 'corrupt', local_changed_at = '2027-01-15T08:00:00.000Z', local_reason = 'http-503' WHERE sop_instance_uid = '1.2.3.1.9.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'instance', '1.2.3.1.9.1', '1.2.3.1', 'local-state', 'present', 'corrupt', 'sync', 'http-503');
RELEASE nested;
RELEASE nested;
SAVEPOINT nested;
INSERT INTO finding (kind, subject_id, sentence, detail, severity, found_at) VALUES ('damaged-here', '1.2.3.1.9.1', 'The centre is busy.', 'code=http-503 study=1.2.3.1', 'alarm', '2027-01-15T08:00:00.000Z')
                ON CONFLICT (kind, subject_id) DO UPDATE SET
                    sentence = excluded.sentence, detail = excluded.detail, severity = excluded.severity,
                    found_at = iif(finding.cleared_at = '', finding.found_at, excluded.found_at), cleared_at = '';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'finding', '1.2.3.1.9.1', '', 'damaged-here', '', 'alarm', '', 'code=http-503 study=1.2.3.1');
RELEASE nested;
RELEASE nested;
UPDATE instance SET blob_uuid = '00000000-0000-0000-0000-000000000001', sha256 = '4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a', size_bytes = 1000, orthanc_id = 'ddc7eeb4fa0c4c5266fec9d53430da2200ead6f3', transfer_syntax_uid = '1.2.840.10008.1.2.1',
                local_state = 'present', local_changed_at = '2027-01-15T08:00:00.000Z', local_reason = 're-posted' WHERE sop_instance_uid = '1.2.3.1.9.1';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'instance', '1.2.3.1.9.1', '1.2.3.1', 're-posted', 'corrupt', 'present', 'intake', 'blob=00000000-0000-0000-0000-000000000001 sha256=4575615806c0736c11660cb89601cbbf3661b68c82c60f05cbc4b86a45a4146a');
RELEASE nested;
UPDATE instance SET local_state = 'evicted', local_changed_at = '2027-01-15T08:00:00.000Z', local_reason = 'delivered everywhere' WHERE sop_instance_uid = '1.2.3.1.9.2';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'instance', '1.2.3.1.9.2', '1.2.3.1', 'local-state', 'present', 'evicted', '', 'delivered everywhere');
RELEASE nested;
UPDATE outbox SET state = 'pending', attempt_count = 1, changed_at = '2027-01-15T08:00:00.000Z', failure_kind = '', failure_code = '',
                failure_sentence = '' WHERE item_id = 2;
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'item', '2', '1.2.3.1', 'absent', 'confirmed', 'pending', 'sync', 'destination=pacs');
RELEASE nested;
INSERT INTO command (kind, study_instance_uid, reason, actor, given_at) VALUES ('hold', '1.2.3.1', 'wrong patient', 'technologist', '2027-01-15T08:00:00.000Z');
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'command', '1', '1.2.3.1', 'hold', '', 'given', 'technologist', 'wrong patient');
RELEASE nested;
UPDATE command SET finished_at = '2027-01-15T08:00:00.000Z', outcome = 'The study waits.' WHERE command_id = 1 AND finished_at = '';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'command', '1', '1.2.3.1', 'hold', 'given', 'finished', 'sync', 'The study waits.');
RELEASE nested;
UPDATE finding SET cleared_at = '2027-01-15T08:00:00.000Z' WHERE kind = 'damaged-here' AND subject_id = '1.2.3.1.9.1' AND cleared_at = '';
SAVEPOINT nested;
INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event,
                from_state, to_state, actor, detail) VALUES ('2027-01-15T08:00:00.000Z', 'boot-1', 100.0, 'finding', '1.2.3.1.9.1', '', 'damaged-here', '', 'cleared', '', '');
RELEASE nested;
