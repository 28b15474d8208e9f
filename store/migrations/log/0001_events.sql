-- The event log. Each row stores a header's canonical bytes, a sealed content and the chain's hash, and nothing that
-- could disagree with them: every readable column is taken from the header, and checked to be the header's.
-- Append-only three times over: by grants, by triggers, and, against a superuser, by the chain.

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

-- A header as columns. convert_from and the cast to timestamptz are only STABLE in general: one knows other encodings,
-- the other reads "now" and local times. A header is UTF-8 and its moments end in Z (vault/canonical.py), which is
-- checked here, so that this is truly immutable.
CREATE TYPE header_fields AS (
    journey_id uuid,
    sequence bigint,
    event_id uuid,
    type text,
    occurred_at timestamptz,
    recorded_at timestamptz,
    actor_subject text,
    actor_role text,
    purpose text,
    command_id uuid,
    causation_id uuid,
    policy_version text,
    sensitivity text,
    key_version integer
);

CREATE FUNCTION fields_of(header bytea) RETURNS header_fields
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    h CONSTANT jsonb := pg_catalog.convert_from(header, 'UTF8');
    utc CONSTANT text := '____-__-__T__:__:__.______Z';
BEGIN
    IF (h->>'occurred_at' LIKE utc AND h->>'recorded_at' LIKE utc) IS NOT TRUE THEN
        RAISE EXCEPTION 'a header holds a moment that is not in UTC with six digits' USING ERRCODE = 'AL002';
    END IF;
    RETURN ROW(
        (h->>'journey_id')::uuid, (h->>'sequence')::bigint, (h->>'event_id')::uuid, h->>'type',
        (h->>'occurred_at')::timestamptz, (h->>'recorded_at')::timestamptz,
        h->'actor'->>'subject', h->'actor'->>'role', h->>'purpose',
        (h->>'command_id')::uuid, (h->>'causation_id')::uuid,
        h->'policy'->>'version', h->>'sensitivity', (h->>'key_version')::integer)::public.header_fields;
END $$;

CREATE TABLE events (
    journey_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_id uuid NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor_subject text NOT NULL,
    actor_role text NOT NULL,
    purpose text NOT NULL,
    command_id uuid NOT NULL,
    causation_id uuid,
    policy_version text NOT NULL,
    sensitivity text NOT NULL,
    key_version integer NOT NULL,
    header bytea NOT NULL,
    ciphertext bytea NOT NULL CHECK (octet_length(ciphertext) > 16),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    -- Not chained: what this database saw. The transaction id lets a later reader number rows in an order that no
    -- still open transaction can slip into.
    inserted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    inserted_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (journey_id, sequence),
    UNIQUE (event_id),
    -- One check instead of fourteen generated columns: it parses the header once (an append takes half the time), and
    -- it holds even against a superuser with triggers switched off.
    CONSTRAINT columns_are_the_header CHECK (
        ROW(journey_id, sequence, event_id, type, occurred_at, recorded_at, actor_subject, actor_role, purpose,
            command_id, causation_id, policy_version, sensitivity, key_version)::header_fields
        IS NOT DISTINCT FROM fields_of(header)
    )
);
-- Ciphertext does not compress; do not try.
ALTER TABLE events ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
CREATE INDEX events_by_command ON events (journey_id, command_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the event log is append-only; record a correcting event instead',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'AL001';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Also in replica mode, which otherwise skips triggers without saying so.
ALTER TABLE events ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT ON events TO alliance_app, alliance_auditor;
