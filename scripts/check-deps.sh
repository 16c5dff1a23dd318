#!/bin/bash
# Fails where a crate depends on what it must not: the state machine on anything
# that waits or stores, anything on a second TLS library, or the tree on a second
# line of the crates that have to be one.
. "$(dirname "$0")/common.sh"
cd "$ROOT"

# Each "name version" once, of what the given `cargo tree` arguments select.
packages() {
    cargo tree "${LOCKED[@]}" --quiet --prefix none --format '{p}' "$@" | awk '{ print $1, $2 }' | sort -u
}

failed=0
complain() {
    printf 'dependencies: %s\n' "$*" >&2
    failed=1
}

core=$(packages --package stoa-chain --edges normal)
for banned in tokio rocksdb hyper tonic; do
    ! grep -q "^$banned " <<<"$core" ||
        complain "stoa-chain depends on $banned (cargo tree -p stoa-chain -e normal -i $banned)"
done

all=$(packages --workspace --edges normal,build,dev)
for banned in aws-lc-rs aws-lc-sys openssl-sys; do
    ! grep -q "^$banned " <<<"$all" ||
        complain "$banned is in the tree; TLS is rustls with ring (cargo tree --workspace -i $banned)"
done

# Before 1.0 the minor version is what tells incompatible lines apart.
for name in prost tonic rustls tendermint; do
    lines=$(sed -n "s/^$name v\(0\.[0-9]*\|[0-9]*\).*/\1/p" <<<"$all" | sort -u)
    [[ $(wc -w <<<"$lines") -le 1 ]] ||
        complain "more than one line of $name: ${lines//$'\n'/, } (cargo tree --workspace --duplicates)"
done

exit "$failed"
