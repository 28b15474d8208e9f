#!/bin/sh
# Starts the Temporal UI with its OIDC client secret from a file; the image itself knows environment variables only.
set -eu

TEMPORAL_AUTH_CLIENT_SECRET=$(cat /run/secrets/temporal_ui_client_secret)
export TEMPORAL_AUTH_CLIENT_SECRET

cd /home/ui-server
exec ./start-ui-server.sh
