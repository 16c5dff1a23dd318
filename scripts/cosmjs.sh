#!/bin/bash
# Prints the variable NODE for the test with CosmJS, making ready what it needs
# first: Node.js (the distribution's, where there is none) and the packages that
# tests/cosmjs/package-lock.json names, from the registry that npm is set up for.
. "$(dirname "$0")/common.sh"

# CosmJS's own packages are written for it.
WANTED=20

version() { node --version 2>/dev/null | sed 's/^v//'; }

command -v node >/dev/null && command -v npm >/dev/null || apt_install nodejs npm
if ! at_least "$(version)" "$WANTED"; then
    [[ -z ${CI:-} ]] || die "Node.js is $(version); $WANTED or later is needed"
    say "Node.js is $(version), not $WANTED or later: the test with CosmJS will be skipped"
    exit 0
fi

cd "$ROOT/tests/cosmjs"
# npm notes what it has installed in this file.
if ! [[ node_modules/.package-lock.json -nt package-lock.json ]]; then
    say "installing CosmJS"
    npm ci --silent >&2
fi
printf 'export NODE=%q\n' "$(command -v node)"
