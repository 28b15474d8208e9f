-- Written before anything is sent outside. A claim found here means: ask the outside first, it may have been done.

CREATE TABLE effect_claims (
    key text PRIMARY KEY,
    journey_id uuid NOT NULL,
    attempts integer NOT NULL DEFAULT 1 CHECK (attempts > 0),
    first_claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX effect_claims_by_journey ON effect_claims (journey_id);

GRANT SELECT, INSERT ON effect_claims TO alliance_app;
GRANT UPDATE (attempts, last_claimed_at) ON effect_claims TO alliance_app;
GRANT SELECT ON effect_claims TO alliance_auditor;
