#!/bin/bash
# From a bare machine with Rust to a deployment that a browser reaches: makes
# ready, builds, and runs `stoa-localnet demo`, whose exit code is this one's.
. "$(dirname "$0")/prepare.sh"

prepare
build
run_localnet demo "$@"
