#!/usr/bin/env bash
# Runs the controllers' own code over generated objects and keeps what it saw in
# tests/fixtures/oracles/. Needs Go and python3; Argo's part takes most of an hour.
#
#   scripts/oracles.sh [KIND…]   keda, argo, statefulset, deployment; all without a word
set -euo pipefail
cd "$(dirname "$0")/.."
work=target/oracles
mkdir -p "$work/src" "$work/bin"
command -v go >/dev/null || { echo "oracles: Go is needed: https://go.dev/dl" >&2; exit 1; }

# Go takes no overlay within its module cache, so the modules are seen through links.
link() {
    local dir
    dir=$(cd "tests/oracles/$1" && go mod download -json "$2" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
    ln -sfn "$dir" "$work/src/$3"
}

build() {
    local kind=$1 overlay="$work/$1.overlay.json" file
    local flags=()
    if [ -d "tests/oracles/$kind/overlay" ]; then
        {
            printf '{"Replace":{'
            local first=1
            while read -r package file; do
                [ -n "$first" ] || printf ','
                first=
                printf '"%s/%s/src/%s/zz_%s":"%s/tests/oracles/%s/overlay/%s"' \
                    "$PWD" "$work" "$package" "$file" "$PWD" "$kind" "$file"
            done <"tests/oracles/$kind/overlay/packages"
            printf '}}'
        } >"$overlay"
        flags=(-overlay "$PWD/$overlay")
    fi
    (cd "tests/oracles/$kind" && GOFLAGS=-mod=mod go build "${flags[@]}" -o "$OLDPWD/$work/bin/$kind" .)
}

(cd tests/oracles/gen && go build -o "../../../$work/bin/gen" .)
[ $# -gt 0 ] || set -- keda argo statefulset deployment
for kind in "$@"; do
    case "$kind" in
        argo) link argo github.com/argoproj/argo-rollouts@v1.10.1 argo-rollouts ;;
        deployment) link deployment k8s.io/kubernetes@v1.36.3 kubernetes ;;
    esac
    echo "building the oracle of $kind (minutes, the first time)"
    build "$kind"
    python3 tests/oracles/run.py "$kind" "$work/bin"
done
