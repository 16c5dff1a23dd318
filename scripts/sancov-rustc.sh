#!/bin/bash
# Cargo calls this in place of rustc for the workspace's own crates when it builds fuzz targets: with
# the passes that tell libFuzzer which code was reached, as a stable compiler takes them.
rustc=$1
shift
# Programs that run while it compiles have no libFuzzer in them.
[[ " $* " != *" --crate-name build_script_"* ]] || exec "$rustc" "$@"
exec "$rustc" "$@" -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table
