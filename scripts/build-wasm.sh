#!/usr/bin/env bash
# Builds both wasm modules into dist/, with the toolchain that setup.sh settled on, and
# checks that the deciding part of the policy compiles without a host.
# --with-instrumented: also target/instrumented/proxy-filter.wasm, which traps on demand and counts allocations.
# --with-bare: also target/bare/, the yardsticks of the bench.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-wasip1
# A directory of its own: two compilers must not share one.
export CARGO_TARGET_DIR=target/wasm

# Where it was built is in no module: panics name their files.
sysroot=$(rustc --print sysroot)
flags="--remap-path-prefix=$PWD=/canary-gate --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$sysroot=/rust"

build() {
    run_cargo "$target" build --release "$@"
}

# A command of cargo for a target, by the toolchain that there is.
run_cargo() {
    local target=$1 command=$2
    shift 2
    local args=("$command" --locked --target "$target" "$@")
    case "$(cat .tools/wasm-toolchain)" in
        rustup)
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$flags" cargo "${args[@]}"
            ;;
        debian)
            local host
            host=$(rustc -vV | sed -n 's/^host: //p')
            # -Zbuild-std compiles the standard library, which Debian ships as source.
            RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_WASM32_WASIP1_LINKER="$sysroot/lib/rustlib/$host/bin/rust-lld" \
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$flags -L/usr/lib/wasm32-wasi" \
                /usr/bin/cargo "${args[@]}" -Zbuild-std=std,panic_abort
            ;;
        *)
            echo "build-wasm: run scripts/setup.sh wasm first" >&2
            exit 1
            ;;
    esac
}

# Copies only what changed, so that nothing downstream looks newer than it is.
install_as() {
    mkdir -p "$(dirname "$2")"
    cmp -s "$1" "$2" || cp "$1" "$2"
}

build -p policy -p proxy-filter
# A browser has neither waPC nor a clock for it.
run_cargo wasm32-unknown-unknown check -p policy --lib --no-default-features
install_as "$CARGO_TARGET_DIR/$target/release/policy.wasm" dist/policy.wasm
install_as "$CARGO_TARGET_DIR/$target/release/proxy_filter.wasm" dist/proxy-filter.wasm

if [ "${1:-}" = --with-instrumented ]; then
    export CARGO_TARGET_DIR=target/wasm-instrumented
    build -p proxy-filter --features instrumented
    install_as "$CARGO_TARGET_DIR/$target/release/proxy_filter.wasm" target/instrumented/proxy-filter.wasm
fi

if [ "${1:-}" = --with-bare ]; then
    build -p bare-policy -p bare-filter
    install_as "$CARGO_TARGET_DIR/$target/release/bare_policy.wasm" target/bare/bare_policy.wasm
    install_as "$CARGO_TARGET_DIR/$target/release/bare_filter.wasm" target/bare/bare_filter.wasm
fi
