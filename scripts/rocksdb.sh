#!/bin/bash
# Builds RocksDB once, into the cache outside the checkout, and prints the
# variables with which Cargo links that library instead of compiling its own:
#
#   exports=$(scripts/rocksdb.sh) && eval "$exports"
#
# Only librocksdb.a is kept. lz4 and zstd come from their own small crates,
# which Cargo builds with the workspace as usual. Removing the cache costs
# nothing but the time to build it again.
. "$(dirname "$0")/common.sh"
cd "$ROOT"

# What decides the library's bytes: the crate and its features, the C++
# compiler, and the CPU features that the crate's build passes on from rustc.
recipe() {
    cargo tree "${LOCKED[@]}" --quiet --invert librocksdb-sys --depth 0 \
        --charset ascii --format '{p} {f}'
    "${CXX:-c++}" --version | sed -n 1p
    rustc --print cfg | grep '^target_'
    printf 'CXX=%s CXXFLAGS=%s RUSTFLAGS=%s ROCKSDB_CXX_STD=%s\n' \
        "${CXX:-}" "${CXXFLAGS:-}" "${RUSTFLAGS:-}" "${ROCKSDB_CXX_STD:-}"
    printf 'opt-level=2 debug=false\n'
}

# build RECIPE DIR: compiles in a temporary directory and renames, so that DIR
# is either absent or complete.
build() {
    local work library
    rm -rf "$CACHE"/rocksdb/.build-* # left by a run that was killed
    work=$(mktemp -d "$CACHE/rocksdb/.build-XXXXXX")
    # shellcheck disable=SC2064 # the directory of now is meant
    trap "rm -rf '$work'" EXIT

    say "building RocksDB, once: about 10 minutes on two cores"
    env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC \
        CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=2 CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo build "${LOCKED[@]}" --quiet --release --package librocksdb-sys \
        --target-dir "$work/target" >&2 9>&-

    library=$(find "$work/target/release/build" -path '*/librocksdb-sys-*/out/librocksdb.a')
    [[ -f $library ]] || die "cargo built librocksdb-sys but left no librocksdb.a in $work"
    mkdir "$work/out"
    mv "$library" "$work/out/"
    printf '%s\n' "$1" >"$work/out/built-from"
    mv --no-target-directory "$work/out" "$2"
}

main() {
    local text version digest dir
    text=$(recipe)
    version=$(sed -n '1s/^librocksdb-sys v\([^ ]*\).*/\1/p' <<<"$text")
    [[ -n $version ]] || die "librocksdb-sys is not in the workspace's dependencies: $text"
    digest=$(sha256sum <<<"$text")
    dir=$CACHE/rocksdb/$version-${digest:0:16}

    if [[ ! -f $dir/librocksdb.a ]]; then
        hold_lock "$CACHE/rocksdb/lock"
        [[ -f $dir/librocksdb.a ]] || build "$text" "$dir"
    fi
    printf 'export ROCKSDB_LIB_DIR=%q ROCKSDB_STATIC=1\n' "$dir"
}

# A function, read whole before it runs: a pull meanwhile must not disturb it.
main
exit
