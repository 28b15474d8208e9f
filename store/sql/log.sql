-- append_events --
-- One call, one transaction, one round trip. Safe to send again.
SELECT status, first, last, chain_head, types, header, ciphertext, reason
FROM append_events(
    %(journey_id)b, %(expected)b, %(first)b::bigint, %(command_id)b,
    %(headers)b::bytea[], %(ciphertexts)b::bytea[], %(hashes)b::bytea[],
    %(summary)b::text::jsonb, %(worklist)b::text::jsonb
)

-- find_command --
-- What a command came to; no row of values when this journey never saw it.
SELECT status, first, last, chain_head, types, header, ciphertext, reason
FROM find_command(%(journey_id)b, %(command_id)b)

-- read --
SELECT header, ciphertext
FROM events
WHERE journey_id = %(journey_id)b
    AND sequence >= %(from_sequence)b::bigint
    AND sequence <= coalesce(%(to)b::bigint, 9223372036854775807)
ORDER BY sequence

-- read_raw --
-- Everything that is stored of a record, for proving.
SELECT header, ciphertext, hash, journey_id, sequence, event_id, type, occurred_at, recorded_at, actor_subject,
    actor_role, purpose, command_id, causation_id, policy_version, sensitivity, key_version
FROM events
WHERE journey_id = %(journey_id)b
ORDER BY sequence

-- journey_ids --
-- From the projection too: an audit must also see a journey whose events somebody removed.
SELECT journey_id FROM journey_summaries UNION SELECT journey_id FROM events ORDER BY journey_id

-- head --
SELECT sequence, hash FROM events WHERE journey_id = %(journey_id)b ORDER BY sequence DESC LIMIT 1
