-- claim --
-- True when an earlier attempt had claimed it: that one may have reached the outside.
INSERT INTO effect_claims (key, journey_id) VALUES (%(key)b, %(journey_id)b)
ON CONFLICT (key) DO UPDATE SET attempts = effect_claims.attempts + 1, last_claimed_at = clock_timestamp()
RETURNING attempts > 1
