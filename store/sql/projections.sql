-- summary --
SELECT journey_id, version, stage, protocol, policy_version, hold, next_action, next_action_by, due_at,
    next_session_at, sla_state, safety_open, opened_at, closed_at
FROM journey_summaries
WHERE journey_id = %(journey_id)b

-- summaries --
-- A filter that is NULL filters nothing. A journey is overdue when one of its worklist items is.
SELECT s.journey_id, s.version, s.stage, s.protocol, s.policy_version, s.hold, s.next_action, s.next_action_by,
    s.due_at, s.next_session_at, s.sla_state, s.safety_open, s.opened_at, s.closed_at
FROM journey_summaries AS s
WHERE (%(stage)b::text IS NULL OR s.stage = %(stage)b::text)
    AND (%(hold)b::text IS NULL OR s.hold = %(hold)b::text)
    AND (%(owner)b::text IS NULL OR s.next_action_by = %(owner)b::text)
    AND (%(overdue)b::boolean IS NULL OR %(overdue)b::boolean = EXISTS (
        SELECT FROM worklist_items AS w WHERE w.journey_id = s.journey_id AND w.overdue
    ))
ORDER BY s.due_at NULLS LAST, s.journey_id
LIMIT %(limit)b::bigint

-- worklist --
SELECT journey_id, key, code, owner, due_at, overdue
FROM worklist_items
WHERE (%(owner)b::text IS NULL OR owner = %(owner)b::text)
ORDER BY overdue DESC, due_at, journey_id, key
LIMIT %(limit)b::bigint

-- replace --
SELECT replace_projections(%(journey_id)b, %(version)b::bigint, %(summary)b::text::jsonb, %(worklist)b::text::jsonb)

-- truncate --
TRUNCATE journey_summaries, worklist_items
