#!/bin/bash
# Installs the distribution's packages that the build, the tests and the demo
# need and that are missing. Says nothing, and takes no time, where all is there.
. "$(dirname "$0")/common.sh"

PACKAGES=(
    build-essential # C and C++ for the bundled libraries
    libclang-dev    # bindgen reads RocksDB's header with it
    pkg-config
    git
    curl
    ca-certificates
    iproute2 # network namespaces and links
    nftables # isolation, and partitions on local networks
)

rust_is_recent() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
    command -v cargo >/dev/null || die "no cargo found: install Rust $wanted or later (rustup.rs)"
    have=$(rustc --version | cut -d' ' -f2)
    at_least "$have" "$wanted" || die "rustc is $have; Rust $wanted or later is needed (rustup update)"
}

missing=()
for package in "${PACKAGES[@]}"; do
    is_installed "$package" || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}"
rust_is_recent
