"""The only place that speaks SQL: event log, keys, projections, claims, migrations."""
