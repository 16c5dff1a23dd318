# shellcheck shell=bash disable=SC2034
# What the scripts share: where things are, how they speak, how they become
# root. Sourced, never run.
set -euo pipefail
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${STOA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stoa}
mkdir -p "$CACHE"

# Progress goes to stderr: stdout is for what a script hands to its caller.
say() { printf '\033[2m[%s]\033[0m %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Cargo is often installed for one user only, and not on the PATH of a
# non-interactive shell.
if [[ -d ${CARGO_HOME:-$HOME/.cargo}/bin ]]; then PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"; fi
# Engines and network tools live where a plain user's PATH does not look.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$*' needs root: run this as root, or install sudo and give this user the right to use it"
    fi
}

# A checker must not change Cargo.lock; a developer may.
LOCKED=()
if [[ -n ${CI:-} ]]; then LOCKED=(--locked); fi

# hold_lock FILE: waits for, then holds, an exclusive lock until the script
# ends. Close descriptor 9 for children that outlive the script.
hold_lock() {
    mkdir -p "$(dirname "$1")"
    exec 9>"$1"
    if ! flock --nonblock 9; then
        say "waiting for another run to release $1"
        flock 9
    fi
}

# apt_install PACKAGE...: installs from the distribution, asking nothing. What
# apt says is shown only where it fails.
apt_install() {
    local log=$CACHE/apt.log apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
    command -v apt-get >/dev/null ||
        die "this machine has no apt-get; install by hand what corresponds to Debian's: $*"
    say "installing $*"
    as_root "${apt[@]}" update >"$log" 2>&1 ||
        say "apt-get update failed; trying with the package lists at hand"
    as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --yes --no-install-recommends "$@" \
        >>"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        die "apt-get could not install $*; the whole log is $log"
    }
}

# is_installed PACKAGE
is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# at_least VERSION MINIMUM
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | sed -n 1p) == "$2" ]]; }
