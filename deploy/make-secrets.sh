#!/bin/sh
# Makes the secret files that docker-compose.yml hands to its services, in ./secrets or the directory given.
# What can be drawn at random is drawn; what only the practice knows is left for a person and named at the end.
# Safe to run again: a file that exists is never touched, for it may be the only key to what is already stored.
set -eu

directory=${1:-secrets}
postgres=${POSTGRES_HOST:-postgresql:5432}
# The uid that the services run as: the operator's own, but never root's.
owner=${APP_UID:-$(id -u)}
[ "$owner" -ne 0 ] || owner=10001

# Only the directory is closed to others: inside a container every service has its own uid and reads what it was given.
umask 022
mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

put() {
    if [ ! -e "$1" ]; then
        cat >"$1.new"
        mv "$1.new" "$1"
    fi
}

database_url() { printf 'postgresql://%s:%s@%s/%s\n' "$2" "$(random)" "$postgres" "$3" | put "$1"; }

random | put postgres_password
random | put temporal_database_password
random | put pharmacy_webhook_secret
database_url log_owner_database_url alliance_log_owner alliance_log
database_url log_database_url alliance_log_app alliance_log
database_url keys_owner_database_url alliance_keys_owner alliance_keys
database_url keys_database_url alliance_keys_app alliance_keys

# Empty means that the EHR asks for no token.
printf '' | put ehr_token

# Alliance refuses a key file that anyone but its owner may read, so it must belong to the uid the services run as.
if [ ! -e kek.json ]; then
    (
        umask 077
        printf '{"keks": [{"id": "local-%s", "secret": "%s"}]}\n' \
            "$(random | cut -c1-8)" "$(head -c 32 /dev/urandom | base64)" | put kek.json
    )
    if [ "$(id -u)" -eq 0 ]; then chown "$owner" kek.json; fi
fi

for name in smtp_url temporal_ui_client_secret; do
    [ -e "$name" ] || printf 'write %s/%s yourself: docs/deployment.md says what belongs into it\n' "$directory" "$name"
done
printf 'set APP_UID=%s in .env, and back up kek.json apart from the databases: without it nothing can be read\n' "$owner"
