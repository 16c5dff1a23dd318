#!/bin/bash
# Everything that must hold before a change goes in: format, lints, dependency
# rules and all tests, those on real CometBFT and real Docker included.
# Arguments go to `cargo test` in place of --workspace.
. "$(dirname "$0")/prepare.sh"

# Where the conformance files lie beside the checkout, use them.
if [[ -z ${SDL_FIXTURES:-} && -d ../shared/fixtures/sdl ]]; then
    SDL_FIXTURES=$(cd ../shared/fixtures/sdl && pwd -P)
    export SDL_FIXTURES
fi

# Built once and thrown away: what incremental builds keep is only time and disk.
if [[ -n ${CI:-} ]]; then export CARGO_INCREMENTAL=0; fi

prepare
cosmjs=$(scripts/cosmjs.sh)
eval "$cosmjs"
scripts/lint.sh

# Containers and network namespaces are root's. Cargo and the build are not.
if [[ $EUID -ne 0 ]]; then
    triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${triple}_RUNNER=sudo -E"
fi

BUSYBOX=$(scripts/busybox.sh)
export BUSYBOX
pebble=$(scripts/pebble.sh)
eval "$pebble"
localnet/demo/images/build.sh localnet/demo/images
say "building"
# Programs and tests together, so that both get one set of features.
cargo build "${LOCKED[@]}" --workspace --bins --tests
say "testing"
[[ $# -gt 0 ]] || set -- --workspace
cargo test "${LOCKED[@]}" "$@"
