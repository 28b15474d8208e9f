#!/bin/sh
# Makes the roles and the empty databases, before anything else connects. The PostgreSQL image runs this once, on an
# empty volume; run by hand against another server it is safe to repeat (PGHOST, PGUSER and PGPASSWORD as for psql).
#
# The passwords are those in the URLs that the services connect with, so there is one file per role and nothing to
# keep in step. Each database is closed to every role that has no business in it: log and keys meet in the services
# only (architecture D9), and Temporal's role sees neither.
set -eu

secrets=${SECRETS_DIR:-/run/secrets}
export PGUSER="${PGUSER:-${POSTGRES_USER:-postgres}}"
# Having been made before is no news.
export PGOPTIONS='--client-min-messages=warning'

run_sql() { psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="${1:-postgres}"; }

# make_login ROLE PASSWORD; by way of the environment, for a command line can be read by everybody
make_login() (
    export ROLE="$1" PASSWORD="$2"
    run_sql <<'SQL'
\getenv role ROLE
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'role', :'password')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SQL
)

# make_group ROLE
make_group() (
    export ROLE="$1"
    run_sql <<'SQL'
\getenv role ROLE
SELECT format('CREATE ROLE %I NOLOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SQL
)

# make_database NAME OWNER
make_database() (
    export NAME="$1" OWNER="$2"
    run_sql <<'SQL'
\getenv name NAME
\getenv owner OWNER
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L', :'name', :'owner', 'UTF8')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
)

# password_of FILE: the part between the role and the host of the URL in it
password_of() {
    url=$(cat "$secrets/$1")
    rest=${url#*://*:}
    printf '%s' "${rest%@*}"
}

# What the migrations grant to; they need no right to make roles when these are here.
make_group alliance_app
make_group alliance_auditor

for which in log keys; do
    make_login "alliance_${which}_owner" "$(password_of "${which}_owner_database_url")"
    make_login "alliance_${which}_app" "$(password_of "${which}_database_url")"
    make_database "alliance_${which}" "alliance_${which}_owner"
    run_sql <<SQL
GRANT alliance_app TO alliance_${which}_app;
GRANT CONNECT ON DATABASE alliance_${which} TO alliance_${which}_app, alliance_auditor;
SQL
done

make_login temporal "$(cat "$secrets/temporal_database_password")"
make_database temporal temporal
make_database temporal_visibility temporal
