"""The auditor's tools, against a real log and a real Temporal, sound and tampered with."""
