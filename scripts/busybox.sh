#!/bin/bash
# Prints the path of a static busybox that has httpd, for the demo's images:
# the machine's own if it is one, else the distribution's busybox-static,
# unpacked into the cache (installing it would put out a busybox that the
# machine's initramfs may rely on).
. "$(dirname "$0")/common.sh"

suits() {
    # Not grep -q: it would end before the list does, and that counts as an error.
    [[ -x $1 ]] && "$1" --list 2>/dev/null | grep -x httpd >/dev/null && ! ldd "$1" >/dev/null 2>&1
}

fetch() {
    local work
    work=$(mktemp -d "$CACHE/busybox.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    chmod 755 "$work"
    cd "$work"
    apt-get -qq download busybox-static >&2 2>/dev/null || {
        as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
        apt-get -qq download busybox-static >&2
    }
    dpkg-deb --extract ./*.deb unpacked
    mv "$(find unpacked -type f -path '*/bin/busybox')" "$CACHE/busybox"
}

for candidate in "$(command -v busybox || true)" "$CACHE/busybox"; do
    if suits "$candidate"; then
        readlink -f "$candidate"
        exit
    fi
done
say "fetching busybox-static for the demo's images"
fetch
suits "$CACHE/busybox" || die "the distribution's busybox-static has no httpd"
echo "$CACHE/busybox"
