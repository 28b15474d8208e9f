#!/bin/sh
# Starts the Temporal server with its database password from a file: the server itself knows environment variables
# only, and those stand in clear in the compose file, in `docker inspect` and in crash reports.
set -eu

POSTGRES_PWD=$(cat /run/secrets/temporal_database_password)
# Listening on every address, the server must be told which one its own parts find each other at.
TEMPORAL_BROADCAST_ADDRESS=$(hostname -i | cut -d ' ' -f 1)
export POSTGRES_PWD TEMPORAL_BROADCAST_ADDRESS

exec temporal-server start
