#!/bin/sh
# Makes the namespace and the search attributes that journeys need (architecture D15), or brings them up to date.
# Works against any Temporal server: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS_* as for the temporal CLI,
# RETENTION how long closed runs are kept.
set -eu

: "${TEMPORAL_NAMESPACE:?names the namespace to make}" "${RETENTION:?says how long closed runs are kept, as in 3650d}"

say() { printf 'create-namespace: %s\n' "$*" >&2; }

# A new namespace is not known to every part of the server at once.
wait_until_known() {
    tries=30
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ]; then
            "$@" # once more, and now its complaint is shown
            return
        fi
        sleep 1
    done
}

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" >/dev/null
    say "$TEMPORAL_NAMESPACE exists; its closed runs are kept $RETENTION"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" >/dev/null
    say "made $TEMPORAL_NAMESPACE; its closed runs are kept $RETENTION"
fi
wait_until_known temporal operator search-attribute list

known=$(temporal operator search-attribute list)
while read -r name type; do
    if printf '%s\n' "$known" | grep -Eq "^ *$name +$type *\$"; then continue; fi
    # An attribute of this name and another type stops everything here, as it must.
    temporal operator search-attribute create --name "$name" --type "$type" </dev/null >/dev/null
    say "made search attribute $name ($type)"
done <<'ATTRIBUTES'
CareStage Keyword
CareProtocol Keyword
CarePolicyVersion Keyword
CareHold Keyword
CareNextActionBy Keyword
CareSlaState Keyword
CareSafetyOpen Bool
CareDueAt Datetime
CareNextSessionAt Datetime
JourneyVersion Int
ATTRIBUTES
