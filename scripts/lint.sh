#!/bin/bash
# What needs no network and no engine: format, lints, and the rules on what the
# crates may depend on.
. "$(dirname "$0")/common.sh"
cd "$ROOT"

scripts/deps.sh
exports=$(scripts/rocksdb.sh)
eval "$exports"

say "format"
cargo fmt --check
for script in scripts/*.sh localnet/demo/images/*.sh .ci/run; do
    bash -n "$script"
done
say "dependencies"
scripts/check-deps.sh
say "clippy"
cargo clippy "${LOCKED[@]}" --workspace --all-targets -- -D warnings
