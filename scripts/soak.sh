#!/bin/bash
# Keeps 50 leases under random kills of daemons, data planes, nodes and an engine
# of its own for 15 minutes, then checks that every active lease serves, nothing
# else runs, and the ledgers equal the chain. Arguments are those of
# `stoa-localnet soak`, such as --seconds 300 --seed 7. The exit code tells.
. "$(dirname "$0")/prepare.sh"

prepare
build
engine=$(mktemp -d "${TMPDIR:-/tmp}/stoa-soak-engine.XXXXXX")
trap 'as_root scripts/engine.sh stop "$engine"; scripts/docker.sh stop' EXIT
say "starting an engine of its own in $engine"
as_root scripts/engine.sh start "$engine"
# Cleaning up looks at that engine too.
export DOCKER_HOST=unix://$engine/docker.sock
run_localnet soak --engine "$engine" "$@"
