#!/usr/bin/env bash
# Builds real programs from their own modules, at the versions of
# tests/cluster/programs/*/go.mod, once: into a folder outside target/, named by what
# was built, that a clean checkout finds again.
#
#   scripts/build-programs.sh cluster   what `make cluster` runs: Kubernetes, etcd,
#                                       KEDA, Kubewarden, helm, and CRDs of others
#   scripts/build-programs.sh shipped   what `make shipped` runs: helm, actionlint
#
# `--check` as a second argument builds nothing, and fails where something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${CANARY_GATE_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/canary-gate/programs}
group=${1:?cluster or shipped}
check=${2:-}
case "$group $check" in
    "cluster " | "shipped " | "cluster --check" | "shipped --check") ;;
    *) echo "usage: build-programs.sh cluster|shipped [--check]" >&2; exit 2 ;;
esac

# groups, program, module's folder, package: of Go, or a crate of the module's workspace
programs="
cluster kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
cluster kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager
cluster etcd etcd go.etcd.io/etcd/server/v3
cluster keda-operator keda github.com/kedacore/keda/v2/cmd/operator
cluster keda-adapter keda github.com/kedacore/keda/v2/cmd/adapter
cluster keda-webhooks keda github.com/kedacore/keda/v2/cmd/webhooks
cluster kubewarden-controller kubewarden github.com/kubewarden/adm-controller/cmd/controller
cluster policy-server kubewarden crate:policy-server
cluster kwctl kubewarden crate:kwctl
cluster,shipped helm helm helm.sh/helm/v3/cmd/helm
shipped actionlint actionlint github.com/rhysd/actionlint/cmd/actionlint
"

# groups, name here, module's folder, module, path in it
files="
cluster,shipped keda-config keda github.com/kedacore/keda/v2 config
shipped keda-source keda github.com/kedacore/keda/v2 .
shipped apps.openapi.json kubernetes k8s.io/kubernetes api/openapi-spec/v3/apis__apps__v1_openapi.json
shipped batch.openapi.json kubernetes k8s.io/kubernetes api/openapi-spec/v3/apis__batch__v1_openapi.json
shipped autoscaling.openapi.json kubernetes k8s.io/kubernetes api/openapi-spec/v3/apis__autoscaling__v2_openapi.json
shipped argo-crds crds github.com/argoproj/argo-rollouts manifests/crds
cluster kubewarden-charts kubewarden github.com/kubewarden/adm-controller charts
cluster envoy-gateway-crds crds github.com/envoyproxy/gateway charts/gateway-helm/charts/crds/crds
cluster istio-crds.yaml crds istio.io/api kubernetes/customresourcedefinitions.gen.yaml
"

# A folder a module, named by what is in its folder here: another version is another folder.
folder() {
    local sum
    sum=$(find "tests/cluster/programs/$1" -type f | LC_ALL=C sort | xargs cat | openssl sha256 -r) || exit 1
    echo "$cache/$1-$(echo "$sum" | cut -c1-16)"
}

# Where a module's source is, downloaded.
source_of() {
    (cd "tests/cluster/programs/$1" && go mod download "$2" && go list -m -f '{{.Dir}}' "$2")
}

# A copy of it that may be written to.
copy() {
    rm -rf "$2.new"
    cp -R "$1" "$2.new"
    chmod -R u+w "$2.new"
    mv "$2.new" "$2"
}

# Where a program cannot be told on which address to listen, a line of its main is
# another (loopback.sed of the module): its module is built from a copy. Prints the
# go.mod that says so.
loopback() {
    local module=$1 path=$2 at=$3 main line changed
    # A substitution does not inherit it.
    set -e
    if [ ! -f "$at/go.mod" ] || [ ! -d "$at/source" ]; then
        rm -rf "$at/source"
        copy "$(source_of "$module" "$path")" "$at/source"
        grep -v '^#' "tests/cluster/programs/$module/loopback.sed" | while read -r line; do
            changed=
            for main in "$at"/source/cmd/*/main.go; do
                sed "$line" "$main" >"$main.new"
                cmp -s "$main" "$main.new" || changed=yes
                mv "$main.new" "$main"
            done
            if [ -z "$changed" ]; then
                echo "build-programs: this line of loopback.sed changes nothing: $line" >&2
                rm -rf "$at/source"
                exit 1
            fi
        done
        cp "tests/cluster/programs/$module/go.sum" "$at/go.sum"
        cp "tests/cluster/programs/$module/go.mod" "$at/go.mod.new"
        go mod edit -replace="$path=$at/source" "$at/go.mod.new"
        mv "$at/go.mod.new" "$at/go.mod"
    fi
    echo "$at/go.mod"
}

build_go() {
    local program=$1 module=$2 package=$3 at=$4 flags='' modfile='' version minor of
    # The version that programs show is set by their own build scripts; the
    # API server answers /version with it, and KEDA reads that.
    if [ "$module" = kubernetes ]; then
        version=$(cd tests/cluster/programs/kubernetes && go list -m -f '{{.Version}}' k8s.io/kubernetes)
        minor=$(echo "$version" | cut -d. -f2)
        for of in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
            flags="$flags -X $of.gitVersion=$version -X $of.gitMajor=1 -X $of.gitMinor=$minor"
        done
    fi
    if [ -f "tests/cluster/programs/$module/loopback.sed" ]; then
        modfile=-modfile=$(loopback "$module" "${package%/cmd/*}" "$at")
    fi
    (cd "tests/cluster/programs/$module" &&
        CGO_ENABLED=0 go build ${modfile:+"$modfile"} -trimpath -ldflags "-s -w $flags" -o "$at/$program.new" "$package")
}

# A crate that comes with a Go module: by this project's compiler, and lightly
# optimised, since what it runs is compiled by itself.
build_rust() {
    local program=$1 module=$2 crate=$3 at=$4 toolchain from part
    if [ ! -d "$at/crates" ]; then
        from=$(source_of "$module" github.com/kubewarden/adm-controller)
        for part in Cargo.toml Cargo.lock crates; do copy "$from/$part" "$at/$part"; done
    fi
    toolchain=$(rustup show active-toolchain | cut -d' ' -f1)
    (cd "$at" && RUSTUP_TOOLCHAIN=$toolchain CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR=$at/target \
        cargo build --locked -q --release -p "$crate")
    cp "$at/target/release/$program" "$at/$program.new"
}

in_group() { case ",$1," in *",$group,"*) true ;; *) false ;; esac }

mkdir -p .tools/programs
missing=
while read -r groups program module package; do
    in_group "$groups" || continue
    at=$(folder "$module")
    if [ ! -x "$at/$program" ]; then
        missing="$missing $program"
        if [ "$check" != --check ]; then
            command -v go >/dev/null || {
                echo "build-programs: Go is needed: https://go.dev/dl" >&2
                exit 1
            }
            echo "building $program into $at (minutes, the first time)"
            mkdir -p "$at"
            case "$package" in
                crate:*) build_rust "$program" "$module" "${package#crate:}" "$at" ;;
                *) build_go "$program" "$module" "$package" "$at" ;;
            esac
            mv "$at/$program.new" "$at/$program"
        fi
    fi
    ln -sfn "$at/$program" ".tools/programs/$program"
done <<<"$programs"
while read -r groups name module path part; do
    in_group "$groups" || continue
    at=$(folder "$module")
    if [ ! -e "$at/$name" ]; then
        missing="$missing $name"
        if [ "$check" != --check ]; then
            mkdir -p "$at"
            copy "$(source_of "$module" "$path")/$part" "$at/$name"
        fi
    fi
    ln -sfn "$at/$name" ".tools/programs/$name"
done <<<"$files"

if [ "$check" = --check ] && [ -n "$missing" ]; then
    echo "not built:$missing (run scripts/build-programs.sh $group)" >&2
    exit 3
fi
