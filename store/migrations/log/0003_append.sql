-- The one way into the log. One call is one statement, one transaction, one round trip.
-- Only append_events runs with its owner's rights, so only it pins the search path; the others inherit it.

-- The same link as vault/chain.py.
CREATE FUNCTION link_hash(previous bytea, header bytea, ciphertext bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN pg_catalog.sha256(
        '\x616c6c69616e63652e636861696e2e763100'::pg_catalog.bytea  -- "alliance.chain.v1" and a zero byte
        || previous
        || pg_catalog.int8send(pg_catalog.octet_length(header)) || header
        || pg_catalog.int8send(pg_catalog.octet_length(ciphertext)) || ciphertext);
END $$;

-- "last" and "chain_head" belong together: the hash of the record "last". When the ledgers have diverged they are the
-- log's own end. "header" and "ciphertext" are those of a duplicate command's first record.
CREATE TYPE append_answer AS (
    status text,
    first bigint,
    last bigint,
    chain_head bytea,
    types text[],
    header bytea,
    ciphertext bytea,
    reason text
);

CREATE FUNCTION find_command(p_journey uuid, p_command uuid) RETURNS append_answer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer append_answer;
BEGIN
    SELECT 'duplicate_command', min(e.sequence), max(e.sequence),
        (array_agg(e.hash ORDER BY e.sequence DESC))[1], array_agg(e.type ORDER BY e.sequence),
        (array_agg(e.header ORDER BY e.sequence))[1], (array_agg(e.ciphertext ORDER BY e.sequence))[1], NULL
    INTO answer
    FROM events AS e WHERE e.journey_id = p_journey AND e.command_id = p_command
    HAVING count(*) > 0;
    RETURN answer;
END $$;

-- Why these records do not follow from the log, and where the log ends.
CREATE FUNCTION divergence(p_journey uuid, p_expected bytea, p_first bigint, p_version bigint, p_head bytea)
RETURNS append_answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    genesis CONSTANT bytea := decode(repeat('00', 32), 'hex');
    before_first bytea := genesis;
    why text;
BEGIN
    IF p_first > 1 THEN
        SELECT e.hash INTO before_first FROM events AS e WHERE e.journey_id = p_journey AND e.sequence = p_first - 1;
    END IF;
    why := CASE
        WHEN p_version < p_first - 1 THEN 'log_behind'
        WHEN before_first IS DISTINCT FROM p_expected THEN 'hash_conflict'
        ELSE 'log_ahead'
    END;
    RETURN ROW('diverged', p_first, p_version, p_head, '{}'::text[], NULL, NULL, why)::append_answer;
END $$;

-- Inserts the records and returns their types, or raises: they are not what the caller says they are.
CREATE FUNCTION insert_records(
    p_journey uuid, p_expected bytea, p_first bigint, p_command uuid,
    p_headers bytea[], p_ciphertexts bytea[], p_hashes bytea[]
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    previous bytea := p_expected;
    f header_fields;
    types text[] := '{}';
BEGIN
    FOR i IN 1..cardinality(p_headers) LOOP
        IF p_hashes[i] IS DISTINCT FROM link_hash(previous, p_headers[i], p_ciphertexts[i]) THEN
            RAISE EXCEPTION 'the hash of record % does not follow from the record before it', p_first + i - 1
                USING ERRCODE = 'AL002';
        END IF;
        f := fields_of(p_headers[i]);
        IF (f.journey_id, f.command_id, f.sequence) IS DISTINCT FROM (p_journey, p_command, p_first + i - 1) THEN
            RAISE EXCEPTION 'the header of record % names another journey, command or sequence', p_first + i - 1
                USING ERRCODE = 'AL002';
        END IF;
        INSERT INTO events VALUES (
            f.journey_id, f.sequence, f.event_id, f.type, f.occurred_at, f.recorded_at, f.actor_subject, f.actor_role,
            f.purpose, f.command_id, f.causation_id, f.policy_version, f.sensitivity, f.key_version,
            p_headers[i], p_ciphertexts[i], p_hashes[i]);
        previous := p_hashes[i];
        types := types || f.type;
    END LOOP;
    RETURN types;
END $$;

CREATE FUNCTION append_events(
    p_journey uuid, p_expected bytea, p_first bigint, p_command uuid,
    p_headers bytea[], p_ciphertexts bytea[], p_hashes bytea[],
    p_summary jsonb, p_worklist jsonb
) RETURNS append_answer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    final CONSTANT bigint := p_first + cardinality(p_headers) - 1;
    log_version bigint;
    log_head bytea;
    answer append_answer;
    types text[];
BEGIN
    -- One writer per journey. An advisory lock, since a new journey has no row to lock; a collision of the hash only
    -- makes a stranger wait for one append.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_journey::text, 0));
    SELECT e.sequence, e.hash INTO log_version, log_head
    FROM events AS e WHERE e.journey_id = p_journey ORDER BY e.sequence DESC LIMIT 1;
    log_version := coalesce(log_version, 0);
    log_head := coalesce(log_head, decode(repeat('00', 32), 'hex'));

    IF EXISTS (SELECT FROM events AS e WHERE e.journey_id = p_journey AND e.command_id = p_command) THEN
        answer := find_command(p_journey, p_command);
        -- The hash covers header, ciphertext and everything before: equal hashes at the same place are the same bytes.
        IF answer.first = p_first AND answer.last = final AND p_hashes = ARRAY(
            SELECT e.hash FROM events AS e
            WHERE e.journey_id = p_journey AND e.sequence BETWEEN p_first AND final ORDER BY e.sequence
        ) THEN
            answer.status := 'appended';
        END IF;
        RETURN answer;
    END IF;

    IF log_version <> p_first - 1 OR log_head <> p_expected THEN
        RETURN divergence(p_journey, p_expected, p_first, log_version, log_head);
    END IF;

    types := insert_records(p_journey, p_expected, p_first, p_command, p_headers, p_ciphertexts, p_hashes);
    PERFORM put_projections(p_journey, p_summary, p_worklist);
    RETURN ROW('appended', p_first, final, p_hashes[cardinality(p_hashes)], types, NULL, NULL, NULL)::append_answer;
END $$;

GRANT EXECUTE ON FUNCTION append_events TO alliance_app;
GRANT EXECUTE ON FUNCTION find_command TO alliance_app, alliance_auditor;
