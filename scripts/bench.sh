#!/bin/bash
# Measures a release build and writes bench/results/latest.json. Arguments go to
# the bench program.
# What takes an engine enters network namespaces too: run it as root, or leave
# it out with --no-engine.
. "$(dirname "$0")/prepare.sh"

prepare
export STOA_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release
say "building Stoa for release"
cargo build "${LOCKED[@]}" --release --workspace --bins --example measure --example links --example overlay
PROXIES=$("$ROOT/scripts/proxies.sh")
export PROXIES
localnet/demo/images/build.sh localnet/demo/images
cargo run "${LOCKED[@]}" --release --package stoa-bench -- "$@"
