-- Who a journey belongs to, and the wrapped keys that make the log readable. In another failure domain than the log:
-- losing this database erases every patient, and destroying one key erases one.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['alliance_app', 'alliance_auditor'] LOOP
        -- Where somebody else made the roles, the owner needs no right to make any.
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- roles belong to the whole server: another database of ours was here first
        END;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE patients (
    patient_id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- patient_id NULL: the system's own key, for what is no patient's.
CREATE TABLE data_keys (
    key_id uuid PRIMARY KEY,
    patient_id uuid REFERENCES patients,
    version integer NOT NULL CHECK (version > 0),
    kek_id text NOT NULL,
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    shredded_at timestamptz,
    UNIQUE NULLS NOT DISTINCT (patient_id, version),
    CONSTRAINT wrapped_until_shredded CHECK ((wrapped IS NULL) = (shredded_at IS NOT NULL))
);

CREATE TABLE journeys (
    journey_id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients,
    opened_by text NOT NULL,
    idempotency_key uuid NOT NULL,
    request_digest text NOT NULL CHECK (request_digest ~ '^[0-9a-f]{64}$'),
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT journeys_opened_once UNIQUE (opened_by, idempotency_key)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: keys and journeys are kept, and a key is only shredded or re-wrapped',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'AL001';
END $$;

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON patients
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON journeys
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON data_keys
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- A tombstone is for ever, and a key never changes its owner.
CREATE TRIGGER shred_or_rewrap BEFORE UPDATE ON data_keys
FOR EACH ROW WHEN (
    OLD.shredded_at IS NOT NULL
    OR (NEW.key_id, NEW.version, NEW.created_at) IS DISTINCT FROM (OLD.key_id, OLD.version, OLD.created_at)
    OR NEW.patient_id IS DISTINCT FROM OLD.patient_id
) EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON patients, data_keys, journeys TO alliance_app;
GRANT SELECT ON patients, journeys TO alliance_auditor;
