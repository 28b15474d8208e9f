-- key_for_journey --
-- The newest key of the journey's patient.
SELECT k.key_id, k.version, k.kek_id, k.wrapped
FROM journeys AS j JOIN data_keys AS k USING (patient_id)
WHERE j.journey_id = %(journey_id)b
ORDER BY k.version DESC
LIMIT 1

-- key_by_id --
SELECT key_id, version, kek_id, wrapped FROM data_keys WHERE key_id = %(key_id)b

-- system_key --
SELECT key_id, version, kek_id, wrapped FROM data_keys WHERE patient_id IS NULL ORDER BY version DESC LIMIT 1

-- opened --
-- The journey that this request opened, with the version of its patient's newest key.
SELECT j.journey_id, j.patient_id, j.request_digest, (
    SELECT max(k.version) FROM data_keys AS k WHERE k.patient_id = j.patient_id
)
FROM journeys AS j
WHERE j.opened_by = %(opened_by)b AND j.idempotency_key = %(idempotency_key)b

-- insert_patient --
INSERT INTO patients (patient_id) VALUES (%(patient_id)b)

-- insert_key --
-- Nothing is inserted when another process was first with this version.
INSERT INTO data_keys (key_id, patient_id, version, kek_id, wrapped)
VALUES (%(key_id)b, %(patient_id)b::uuid, %(version)b::integer, %(kek_id)b, %(wrapped)b)
ON CONFLICT (patient_id, version) DO NOTHING

-- insert_journey --
-- Returns no row when the same request was first in another process; waits for that one to commit.
INSERT INTO journeys (journey_id, patient_id, opened_by, idempotency_key, request_digest)
VALUES (%(journey_id)b, %(patient_id)b, %(opened_by)b, %(idempotency_key)b, %(request_digest)b)
ON CONFLICT ON CONSTRAINT journeys_opened_once DO NOTHING
RETURNING journey_id

-- shred --
-- The tombstones stay: a restored backup is shredded again from them.
UPDATE data_keys SET wrapped = NULL, shredded_at = clock_timestamp()
WHERE patient_id = %(patient_id)b AND shredded_at IS NULL
RETURNING key_id
