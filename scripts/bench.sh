#!/bin/bash
# Measures a release build and writes bench/results/latest.json. Arguments go to
# the bench program.
. "$(dirname "$0")/common.sh"
cd "$ROOT"

scripts/deps.sh
exports=$(scripts/env.sh)
eval "$exports"
export STOA_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release
say "building Stoa for release"
cargo build "${LOCKED[@]}" --release --workspace --bins
cargo run "${LOCKED[@]}" --release --package stoa-bench -- "$@"
