#!/bin/bash
# Builds CometBFT once, into the cache, and prints where it is:
#
#   exports=$(scripts/cometbft.sh) && eval "$exports"      sets COMETBFT
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/go.sh"

VERSION=0.38.25
GO_MIN=1.22.11 # what CometBFT's go.mod asks for

dir=$CACHE/cometbft/$VERSION
work=
trap cleanup EXIT

build() {
    local go
    work=$(mktemp -d "$CACHE/cometbft/.build-XXXXXX")
    choose_go
    say "building CometBFT v$VERSION, once, with $("$go" env GOVERSION)"
    mkdir "$work/out"
    GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 GOBIN=$work/out \
        "$go" install -trimpath "github.com/cometbft/cometbft/cmd/cometbft@v$VERSION" >&2
    [[ $("$work/out/cometbft" version) == "$VERSION"* ]] ||
        die "the cometbft that was built does not say that it is $VERSION"
    mv --no-target-directory "$work/out" "$dir"
}

if [[ ! -x $dir/cometbft ]]; then
    hold_lock "$CACHE/cometbft/lock"
    [[ -x $dir/cometbft ]] || build
fi
printf 'export COMETBFT=%q\n' "$dir/cometbft"
