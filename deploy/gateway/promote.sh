#!/bin/sh
# Promotes skill packs by rsync, unless a canary is active:
#   promote.sh RSYNC-ARGUMENTS...
#
# Takes a lock, so that two promotions never overlap, asks the gateway, and
# runs rsync only where the gateway says that promotions are not frozen. No
# answer, or one that cannot be read, refuses (exit 75). A canary that begins
# meanwhile is told (exit 70). A dry run needs no leave.
set -u

refuse() { printf 'promote.sh: refused: %s\n' "$*" >&2; exit 75; }

[ $# -gt 0 ] || { echo 'usage: promote.sh RSYNC-ARGUMENTS...' >&2; exit 2; }
: "${CANARY_GATE_URL:?the management listener, such as https://gw-a1.example.com:9443}"
token_file=${CANARY_GATE_TOKEN_FILE:-/etc/canary-gate/read.token}
lock=${CANARY_GATE_LOCK:-/var/tmp/canary-gate.promote.lock}

for argument in "$@"; do
    [ "$argument" = --dry-run ] && exec rsync "$@"
done

[ -r "$token_file" ] || refuse "$token_file cannot be read: put a token of role read there"
# A directory: made by one caller alone, also over NFS.
mkdir "$lock" 2>/dev/null || refuse "another promotion runs ($lock, by $(cat "$lock/owner" 2>/dev/null || echo 'nobody known')); remove it if that one is dead"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM HUP
printf '%s, process %s, since %s\n' "$(id -un)" "$$" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$lock/owner"

ask() {
    document=$(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token_file")" |
        curl --config - --silent --show-error --fail --max-time 10 \
            ${CANARY_GATE_CA:+--cacert "$CANARY_GATE_CA"} "$CANARY_GATE_URL/keda/metrics" 2>&1)
}
ask || refuse "no answer from $CANARY_GATE_URL: $document"
case "$document" in
    *'"promotion_frozen":false'*) ;;
    *'"promotion_frozen":true'*) refuse "a canary is active, or whether one is, is not known: promote after 'end'" ;;
    *) refuse "the answer does not say whether promotions are frozen: $document" ;;
esac
rsync "$@" || exit
ask
case "$document" in
    *'"promotion_frozen":false'*) ;;
    *) printf 'promote.sh: a canary began during the promotion (or the gateway does not answer any more): this node may run another skill pack than the rollout froze\n' >&2; exit 70 ;;
esac
