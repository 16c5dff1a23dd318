#!/bin/bash
# Prints a directory with the distribution's haproxy and stunnel and their
# libraries, unpacked into the cache: the benchmark of tunnels runs beside
# them, and nothing is installed or started by it.
. "$(dirname "$0")/common.sh"

LIBRARIES=(liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 libwrap0)

fetch() {
    local work
    work=$(mktemp -d "$CACHE/proxies.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    chmod 755 "$work"
    cd "$work"
    apt-get -qq download haproxy stunnel4 >&2 2>/dev/null || {
        as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
        apt-get -qq download haproxy stunnel4 >&2
    }
    # Which of these there are, and need be, is the distribution's affair.
    for library in "${LIBRARIES[@]}"; do apt-get -qq download "$library" >&2 2>/dev/null || true; done
    for package in ./*.deb; do dpkg-deb --extract "$package" unpacked; done
    mkdir made
    find unpacked -type f \( -path '*/sbin/haproxy' -o -path '*/bin/stunnel4' \) -exec cp {} made \;
    find unpacked -name 'lib*.so*' -exec cp -P {} made \;
    mv made "$CACHE/proxies"
}

works() {
    LD_LIBRARY_PATH=$CACHE/proxies "$CACHE/proxies/haproxy" -v >/dev/null 2>&1 &&
        LD_LIBRARY_PATH=$CACHE/proxies "$CACHE/proxies/stunnel4" -version >/dev/null 2>&1
}

if ! works; then
    say "fetching haproxy and stunnel for the benchmark"
    rm -rf "$CACHE/proxies"
    fetch
    works || die "the distribution's haproxy or stunnel does not run"
fi
echo "$CACHE/proxies"
