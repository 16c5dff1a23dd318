#!/bin/bash
# Prints the variables that builds and tests use, making what they name first
# where it is missing. For a shell to work in:
#
#   eval "$(scripts/env.sh)"
. "$(dirname "$0")/common.sh"

# One at a time: both keep every core busy.
cometbft=$("$ROOT/scripts/cometbft.sh")
rocksdb=$("$ROOT/scripts/rocksdb.sh")
printf '%s\n' "$cometbft" "$rocksdb"
printf 'export STOA_BIN=%q\n' "${CARGO_TARGET_DIR:-$ROOT/target}/debug"
