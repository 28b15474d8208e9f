"""What every process needs to run: settings, telemetry, the Temporal connection and its one plugin."""
