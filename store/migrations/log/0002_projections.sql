-- What lists show: one summary and the worklist of each journey. Codes and dates only. They are written inside the
-- append, keyed by its journey alone, so journeys never wait for each other and nothing here can lag behind the log.
-- No index but the keys: sorting the few thousand rows of a practice takes milliseconds, an index costs every append.

CREATE TABLE journey_summaries (
    journey_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    stage text NOT NULL,
    protocol text NOT NULL,
    policy_version text NOT NULL,
    hold text,
    next_action text,
    next_action_by text,
    due_at timestamptz,
    next_session_at timestamptz,
    sla_state text NOT NULL,
    safety_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
) WITH (fillfactor = 70);  -- room to update in place

CREATE TABLE worklist_items (
    journey_id uuid NOT NULL,
    key text NOT NULL,
    code text NOT NULL,
    owner text NOT NULL,
    due_at timestamptz NOT NULL,
    overdue boolean NOT NULL,
    PRIMARY KEY (journey_id, key)
);

CREATE FUNCTION put_projections(p_journey uuid, p_summary jsonb, p_worklist jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO journey_summaries AS s
    SELECT r.* FROM jsonb_populate_record(
        NULL::journey_summaries, p_summary || jsonb_build_object('journey_id', p_journey)) AS r
    ON CONFLICT (journey_id) DO UPDATE SET
        version = EXCLUDED.version,
        stage = EXCLUDED.stage,
        protocol = EXCLUDED.protocol,
        policy_version = EXCLUDED.policy_version,
        hold = EXCLUDED.hold,
        next_action = EXCLUDED.next_action,
        next_action_by = EXCLUDED.next_action_by,
        due_at = EXCLUDED.due_at,
        next_session_at = EXCLUDED.next_session_at,
        sla_state = EXCLUDED.sla_state,
        safety_open = EXCLUDED.safety_open,
        opened_at = EXCLUDED.opened_at,
        closed_at = EXCLUDED.closed_at;
    DELETE FROM worklist_items WHERE journey_id = p_journey;
    INSERT INTO worklist_items (journey_id, key, code, owner, due_at, overdue)
    SELECT p_journey, r.key, r.code, r.owner, r.due_at, r.overdue
    FROM jsonb_populate_recordset(NULL::worklist_items, p_worklist) AS r;
END $$;

-- Used by a rebuild: refuses (false) when the log has moved on since the fold was read, so that a rebuild beside live
-- appends can never put an older state over a newer one. The lock is the append's own.
CREATE FUNCTION replace_projections(p_journey uuid, p_version bigint, p_summary jsonb, p_worklist jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_journey::text, 0));
    IF p_version IS DISTINCT FROM (SELECT max(e.sequence) FROM events AS e WHERE e.journey_id = p_journey) THEN
        RETURN false;
    END IF;
    PERFORM put_projections(p_journey, p_summary, p_worklist);
    RETURN true;
END $$;

GRANT SELECT ON journey_summaries, worklist_items TO alliance_app, alliance_auditor;
