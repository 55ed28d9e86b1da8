#!/usr/bin/env bash
# What a release consists of, in dist/: the modules, their SBOMs (CycloneDX), OCI
# layouts and checksums. The modules are built once more, from the commit that is
# checked out and in another folder: the same bytes, or this fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh wasm package
scripts/build-wasm.sh

again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    echo "package: the working tree has changes; what is built anew is HEAD" >&2
fi
git clone -q . "$again/canary-gate"
cp -R .tools/wasm-toolchain "$again/wasm-toolchain"
mkdir -p "$again/canary-gate/.tools"
mv "$again/wasm-toolchain" "$again/canary-gate/.tools/"
(cd "$again/canary-gate" && env -u CARGO_TARGET_DIR scripts/build-wasm.sh)
for module in policy.wasm proxy-filter.wasm; do
    cmp "dist/$module" "$again/canary-gate/dist/$module" || {
        echo "package: $module is not reproducible: another folder gives other bytes" >&2
        exit 1
    }
done
echo "both modules are the same bytes from a clean clone in another folder"

# A time and a serial number of their own would make every SBOM another one.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
for crate in policy proxy-filter; do
    PATH="$PWD/.tools/cargo/bin:$PATH" cargo cyclonedx --format json --target wasm32-wasip1 \
        --manifest-path "$crate/Cargo.toml" --override-filename "$crate.cdx" --quiet
    # Where it was built is nobody's business, and would make it another file.
    sed "s#$PWD#/canary-gate#g" "$crate/$crate.cdx.json" >"dist/$crate.cdx.json"
    rm "$crate/$crate.cdx.json"
    # It writes one for every member that the crate uses.
    find . -name "$crate.cdx.json" -not -path "./dist/*" -not -path "./target/*" -delete
done

cargo run --locked -q -p package
