#!/usr/bin/env bash
# Builds both wasm modules into dist/, with the toolchain that setup.sh settled on.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-wasip1
# A directory of its own: two compilers must not share one.
export CARGO_TARGET_DIR=target/wasm
args=(build --release --locked --target "$target" -p policy -p proxy-filter)

case "$(cat .tools/wasm-toolchain)" in
    rustup)
        cargo "${args[@]}"
        ;;
    debian)
        sysroot=$(rustc --print sysroot)
        host=$(rustc -vV | sed -n 's/^host: //p')
        # -Zbuild-std compiles the standard library, which Debian ships as source.
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_WASIP1_LINKER="$sysroot/lib/rustlib/$host/bin/rust-lld" \
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-L/usr/lib/wasm32-wasi" \
            /usr/bin/cargo "${args[@]}" -Zbuild-std=std,panic_abort
        ;;
    *)
        echo "build-wasm: run scripts/setup.sh wasm first" >&2
        exit 1
        ;;
esac

mkdir -p dist
# Copies only what changed, so that nothing downstream looks newer than it is.
for pair in policy:policy proxy_filter:proxy-filter; do
    from="$CARGO_TARGET_DIR/$target/release/${pair%%:*}.wasm" to="dist/${pair##*:}.wasm"
    cmp -s "$from" "$to" || cp "$from" "$to"
done
