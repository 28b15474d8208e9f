"""Settings, telemetry and the Temporal plugin: what every process stands on."""
