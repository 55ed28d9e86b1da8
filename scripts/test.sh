#!/usr/bin/env bash
# Runs every test and ends with one line that counts them all.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
log=target/test.log
mkdir -p target
cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, ignored }' "$log"
exit "$status"
