# shellcheck shell=bash
# What the demo and the tests begin with: packages, a Docker engine, CometBFT
# and RocksDB. Sourced. The engine is stopped when the script ends, however it
# ends, if it was started here.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

prepare() {
    local exports
    scripts/deps.sh
    trap 'scripts/docker.sh stop' EXIT
    scripts/docker.sh start
    exports=$(scripts/env.sh)
    eval "$exports"
}

# The programs and the demo's images. With STOA_NO_BUILD the programs are those
# that are there: the tests' own, built together with the tests.
build() {
    if [[ -z ${STOA_NO_BUILD:-} ]]; then
        say "building Stoa"
        cargo build "${LOCKED[@]}" --workspace --bins
    fi
    localnet/demo/images/build.sh localnet/demo/images
}

# run_localnet ARGUMENT...: runs stoa-localnet as root (the providers' data
# plane enters network namespaces) and returns its exit code. Ctrl-C reaches it
# from the terminal; other signals are passed on, so that it can clean up.
run_localnet() {
    local sudo=() child status=0
    [[ $EUID -eq 0 ]] || sudo=(sudo)
    "${sudo[@]}" env "PATH=$PATH" "COMETBFT=$COMETBFT" "STOA_BIN=$STOA_BIN" ${DOCKER_HOST:+"DOCKER_HOST=$DOCKER_HOST"} \
        "$STOA_BIN/stoa-localnet" "$@" &
    child=$!
    trap : INT
    # shellcheck disable=SC2064 # the child of now is meant
    trap "as_root kill $child" TERM HUP
    # `wait` also returns at each signal; the child is gone when it is no longer there.
    wait "$child" || status=$?
    while [[ -d /proc/$child ]]; do
        status=0
        wait "$child" || status=$?
    done
    return "$status"
}
