#!/usr/bin/env bash
# Builds the real programs of `make cluster` (Kubernetes, etcd, KEDA) from their
# own modules at the versions of tests/cluster/programs/*/go.mod, once: into a
# folder outside target/, named by what was built, that a clean checkout finds
# again. `--check` builds nothing, and fails where something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${CANARY_GATE_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/canary-gate/programs}

# program, module's folder, package
programs="
kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager
etcd etcd go.etcd.io/etcd/server/v3
keda-operator keda github.com/kedacore/keda/v2/cmd/operator
keda-adapter keda github.com/kedacore/keda/v2/cmd/adapter
keda-webhooks keda github.com/kedacore/keda/v2/cmd/webhooks
"

# A folder a module, named by what is in its folder here: another version is another folder.
folder() {
    local sum
    sum=$(find "tests/cluster/programs/$1" -type f | LC_ALL=C sort | xargs cat | sha256sum) || exit 1
    echo "$cache/$1-$(echo "$sum" | cut -c1-16)"
}

# Where a program cannot be told on which address to listen, a line of its main is
# another (loopback.sed of the module): its module is built from a copy. Prints the
# go.mod that says so.
loopback() {
    local module=$1 path=$2 at=$3 from main
    if [ ! -f "$at/go.mod" ]; then
        from=$(cd "tests/cluster/programs/$module" && go list -m -f '{{.Dir}}' "$path")
        rm -rf "$at/source"
        cp -R "$from" "$at/source"
        chmod -R u+w "$at/source"
        for main in adapter webhooks; do
            main="$at/source/cmd/$main/main.go"
            sed -f "tests/cluster/programs/$module/loopback.sed" "$main" >"$main.new"
            if cmp -s "$main" "$main.new"; then
                echo "build-programs: loopback.sed changes nothing in $main" >&2
                exit 1
            fi
            mv "$main.new" "$main"
        done
        cp "tests/cluster/programs/$module/go.sum" "$at/go.sum"
        cp "tests/cluster/programs/$module/go.mod" "$at/go.mod.new"
        go mod edit -replace="$path=$at/source" "$at/go.mod.new"
        mv "$at/go.mod.new" "$at/go.mod"
    fi
    echo "$at/go.mod"
}

missing=
while read -r program module package; do
    [ -n "$program" ] || continue
    at=$(folder "$module")
    if [ ! -x "$at/$program" ]; then
        missing="$missing $program"
        if [ "${1:-}" != --check ]; then
            command -v go >/dev/null || {
                echo "build-programs: Go is needed: https://go.dev/dl" >&2
                exit 1
            }
            echo "building $program into $at (minutes, the first time)"
            mkdir -p "$at"
            # The version that programs show is set by their own build scripts; the
            # API server answers /version with it, and KEDA reads that.
            flags=
            if [ "$module" = kubernetes ]; then
                version=$(cd tests/cluster/programs/kubernetes && go list -m -f '{{.Version}}' k8s.io/kubernetes)
                minor=$(echo "$version" | cut -d. -f2)
                for at_package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
                    flags="$flags -X $at_package.gitVersion=$version -X $at_package.gitMajor=1 -X $at_package.gitMinor=$minor"
                done
            fi
            modfile=
            if [ -f "tests/cluster/programs/$module/loopback.sed" ]; then
                modfile=-modfile=$(loopback "$module" "${package%/cmd/*}" "$at")
            fi
            (cd "tests/cluster/programs/$module" &&
                CGO_ENABLED=0 go build $modfile -trimpath -ldflags "-s -w $flags" -o "$at/$program.new" "$package")
            mv "$at/$program.new" "$at/$program"
        fi
    fi
    if [ "$module" = keda ] && [ ! -d "$at/config" ] && [ "${1:-}" != --check ]; then
        from=$(cd "tests/cluster/programs/$module" && go list -m -f '{{.Dir}}' github.com/kedacore/keda/v2)
        cp -R "$from/config" "$at/config.new"
        chmod -R u+w "$at/config.new"
        mv "$at/config.new" "$at/config"
    fi
    mkdir -p .tools/programs
    ln -sfn "$at/$program" ".tools/programs/$program"
done <<<"$programs"
keda_config=$(folder keda)/config
[ -d "$keda_config" ] || missing="$missing keda's CRDs"
ln -sfn "$keda_config" .tools/programs/keda-config

if [ "${1:-}" = --check ] && [ -n "$missing" ]; then
    echo "not built:$missing (run scripts/build-programs.sh)" >&2
    exit 3
fi
