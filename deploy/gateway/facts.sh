#!/bin/sh
# Reads the node's facts and puts them to the gateway's filter. launchd calls it
# every 30 s (dev.canary-gate.facts.plist); without fresh facts the gate closes.
#
# What cannot be read is left out, never made up: an unknown queue is absent, a
# doctor that cannot run has failed.
set -u
# Numbers with a point, whatever the login says.
LC_ALL=C
export LC_ALL

fail() { printf 'facts.sh: %s\n' "$*" >&2; exit 1; }

: "${CANARY_GATE_URL:?the management listener, such as https://gw-a1.example.com:9443}"
: "${CANARY_GATE_DOCTOR:?a command of deep checks: exit 0, or one failed check a line; true for none}"
token_file=${CANARY_GATE_TOKEN_FILE:-/etc/canary-gate/facts.token}
volume=${CANARY_GATE_VOLUME:-/}
skill_hash_file=${CANARY_GATE_SKILL_HASH_FILE:-}
redis_list=${CANARY_GATE_REDIS_LIST:-}

[ -r "$token_file" ] || fail "$token_file cannot be read: put the token of role facts there"

# A JSON string of standard input, control characters dropped.
quoted() { tr -d '\000-\037' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/"/'; }

# What is not free: volumes of an APFS container share its space, and `used`
# counts those of one volume alone.
used=$(df -P -k "$volume" | awk 'NR == 2 && $2 > 0 { printf "%.1f", 100 * ($2 - $4) / $2 }')
[ -n "$used" ] || fail "df says nothing of $volume: is CANARY_GATE_VOLUME mounted?"

failures=$(sh -c "$CANARY_GATE_DOCTOR" 2>/dev/null) && doctor_ok=true || doctor_ok=false
facts="\"at\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",\"disk_used_pct\":$used,\"doctor_ok\":$doctor_ok"
if [ "$doctor_ok" = false ]; then
    # As many names as the filter takes, each as long.
    names=$(printf '%s\n' "$failures" | head -n 32 | cut -c 1-200 | while IFS= read -r name; do
        [ -z "$name" ] || printf '%s\n' "$(printf '%s' "$name" | quoted)"
    done | paste -s -d , -)
    facts="$facts,\"doctor_failures\":[$names]"
fi
if [ -n "${CANARY_GATE_DISK_TIER:-}" ]; then
    facts="$facts,\"disk_tier\":$(printf '%s' "$CANARY_GATE_DISK_TIER" | quoted)"
fi
hash=
[ -z "$skill_hash_file" ] || hash=$(head -n 1 "$skill_hash_file" 2>/dev/null | cut -d ' ' -f 1)
[ -z "$hash" ] || facts="$facts,\"skill_hash\":$(printf '%s' "$hash" | quoted)"
if [ -n "$redis_list" ]; then
    depth=$(redis-cli -h "${CANARY_GATE_REDIS_HOST:-127.0.0.1}" -p "${CANARY_GATE_REDIS_PORT:-6379}" \
        --raw LLEN "$redis_list" 2>/dev/null)
    case "$depth" in
        '' | *[!0-9]*) printf 'facts.sh: LLEN %s says %s: the queue depth is left out\n' "$redis_list" "${depth:-nothing}" >&2 ;;
        *) facts="$facts,\"queue_depth\":$depth" ;;
    esac
fi
if [ -n "${CANARY_GATE_DEGRADED_FILE:-}" ] && [ -e "$CANARY_GATE_DEGRADED_FILE" ]; then
    facts="$facts,\"degraded\":true"
fi

# The token goes through standard input: arguments are there for all to see.
answer=$(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token_file")" |
    curl --config - --silent --show-error --max-time 10 --request PUT \
        --write-out ' %{http_code}' --data-binary "{$facts}" \
        ${CANARY_GATE_CA:+--cacert "$CANARY_GATE_CA"} "$CANARY_GATE_URL/keda/facts" 2>&1)
case "$answer" in
    *' 204') ;;
    *) fail "the facts were not taken: $answer" ;;
esac
