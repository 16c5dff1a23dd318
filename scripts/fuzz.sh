#!/bin/bash
# Runs a fuzz target of chain/fuzz, by default for a minute:
#
#   scripts/fuzz.sh finalize_block [SECONDS] [libFuzzer's options]
#
# What it finds is in target/fuzz/TARGET; what it has learned too, for the next time.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
eval "$(scripts/env.sh)"

target=${1:?name a target: $(ls chain/fuzz/fuzz_targets | sed 's/\.rs$//' | paste -sd' ')}
seconds=${2:-60}
shift $(($# > 2 ? 2 : $#))
export RUSTC_WORKSPACE_WRAPPER=$ROOT/scripts/sancov-rustc.sh
cargo build "${LOCKED[@]}" -p stoad-fuzz --features fuzzing --bin "$target"
found=$ROOT/target/fuzz/$target
mkdir -p "$found/corpus"
# Inputs are read as choices: from nothing, libFuzzer would be long in coming to any of some length.
if [[ -z $(ls -A "$found/corpus") ]]; then
    for number in {1..64}; do head -c $((number * 32)) /dev/urandom >"$found/corpus/seed$number"; done
fi
"${CARGO_TARGET_DIR:-$ROOT/target}/debug/$target" "$found/corpus" -artifact_prefix="$found/" \
    -max_total_time="$seconds" -len_control=0 -timeout=60 -rss_limit_mb=4096 "$@"
