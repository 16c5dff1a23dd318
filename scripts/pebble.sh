#!/bin/bash
# Builds Pebble, the small ACME server that tests get certificates from, once,
# into the cache, and prints where it is:
#
#   exports=$(scripts/pebble.sh) && eval "$exports"      sets PEBBLE
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/go.sh"

VERSION=2.10.1
# What its go.mod asks for.
GO_MIN=1.24.0

dir=$CACHE/pebble/$VERSION
work=
trap cleanup EXIT

build() {
    local go
    work=$(mktemp -d "$CACHE/pebble/.build-XXXXXX")
    choose_go
    say "building Pebble v$VERSION, once, with $("$go" env GOVERSION)"
    mkdir "$work/out"
    # Its modules come through Go's checksum database, as CometBFT's do.
    GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 GOBIN=$work/out \
        "$go" install -trimpath "github.com/letsencrypt/pebble/v2/cmd/pebble@v$VERSION" >&2
    "$work/out/pebble" -version >/dev/null || die "the pebble that was built does not run"
    mv --no-target-directory "$work/out" "$dir"
}

if [[ ! -x $dir/pebble ]]; then
    hold_lock "$CACHE/pebble/lock"
    [[ -x $dir/pebble ]] || build
fi
printf 'export PEBBLE=%q\n' "$dir/pebble"
