#!/bin/bash
# Keeps a local network of 4 validators and 3 providers in the foreground until
# Ctrl-C. Arguments are those of `stoa-localnet up`.
. "$(dirname "$0")/prepare.sh"

prepare
say "building Stoa"
cargo build "${LOCKED[@]}" --workspace --bins
localnet/demo/images/build.sh localnet/demo/images # something to deploy
run_localnet up --validators 4 --providers 3 "$@"
