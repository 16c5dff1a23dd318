#!/bin/bash
# docker.sh start   sees to it that a Docker engine answers: nothing to do where
#                   one does; else installs the distribution's docker.io, and
#                   starts it with systemd where that runs, else by itself
# docker.sh stop    stops what `start` started, once its last user is gone, and
#                   nothing that was running before
#
# A user is the process that called this script. DOCKER_HOST is honoured;
# STOA_DOCKERD_ARGS adds arguments to a dockerd that is started here.
. "$(dirname "$0")/common.sh"

HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}
RUN=$CACHE/docker
LOG=$RUN/dockerd.log
STARTED=$RUN/started # "systemd", or "PID START_TIME" of our dockerd
USERS=$RUN/users     # one empty file a user, named by its process id
WAIT_SECONDS=90

answers() {
    case $HOST in
        unix://*) as_root curl -fs --max-time 5 --unix-socket "${HOST#unix://}" http://engine/_ping ;;
        tcp://*) curl -fs --max-time 5 "http://${HOST#tcp://}/_ping" ;;
        *) docker info ;;
    esac >/dev/null 2>&1
}

has_systemd() { [[ -d /run/systemd/system ]]; }

# The time at which process $1 started, in clock ticks since boot, and nothing
# where it has ended: with it a process id that the kernel has given away again
# is not taken for ours.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

still_runs() { [[ -n $1 && -n $2 && $(start_time "$1") == "$2" ]]; }

install_engine() {
    command -v dockerd >/dev/null && return
    # apparmor: without its parser an engine on a kernel with AppArmor starts no container.
    apt_install docker.io iptables apparmor
    # Started by its installation, without an init that keeps it: ours is to be
    # the only one.
    has_systemd || as_root service docker stop >/dev/null 2>&1 || true
}

# Where no init system mounts control groups: the second version if it has the
# controllers that limits need, else the first, one mount a controller.
mount_cgroups() {
    local controller
    [[ -e /sys/fs/cgroup/cgroup.controllers || -d /sys/fs/cgroup/memory ]] && return
    say "mounting control groups"
    as_root mount -t cgroup2 cgroup2 /sys/fs/cgroup
    grep -qw memory /sys/fs/cgroup/cgroup.controllers && return
    as_root umount /sys/fs/cgroup
    as_root mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups | while read -r controller; do
        as_root mkdir "/sys/fs/cgroup/$controller"
        as_root mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
}

start_with_systemd() {
    say "starting Docker with systemd"
    echo systemd >"$STARTED"
    as_root systemctl start docker.service
}

start_by_itself() {
    local pid arguments
    read -ra arguments <<<"${STOA_DOCKERD_ARGS:-}"
    mount_cgroups
    say "starting dockerd; its log is $LOG"
    : >"$LOG"
    # The shell in between gives dockerd its own session, so that Ctrl-C in the
    # terminal does not reach it, and tells its process id.
    # shellcheck disable=SC2016
    pid=$(as_root setsid sh -c 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null 9>&- & echo $!' \
        sh "$LOG" dockerd "${arguments[@]}")
    echo "$pid $(start_time "$pid")" >"$STARTED"
}

wait_until_answers() {
    local pid since second
    read -r pid since <"$STARTED"
    for ((second = 0; second < WAIT_SECONDS; second++)); do
        answers && return
        if [[ $pid != systemd ]] && ! still_runs "$pid" "$since"; then break; fi
        sleep 1
    done
    [[ $pid == systemd ]] || tail -n 20 "$LOG" >&2
    die "the Docker engine did not come up at $HOST"
}

start() {
    mkdir -p "$USERS"
    hold_lock "$RUN/lock"
    if ! answers; then
        rm -f "$STARTED"
        install_engine
        if has_systemd; then start_with_systemd; else start_by_itself; fi
        wait_until_answers
    fi
    : >"$USERS/$PPID"
}

# Forgets this user and those that are gone; true if others are left.
used_by_others() {
    local user
    rm -f "$USERS/$PPID"
    for user in "$USERS"/*; do
        [[ -e $user ]] || continue
        [[ -d /proc/$(basename "$user") ]] && return
        rm -f "$user"
    done
    return 1
}

stop() {
    local pid since second
    hold_lock "$RUN/lock"
    used_by_others && return
    [[ -f $STARTED ]] || return 0
    read -r pid since <"$STARTED"
    rm -f "$STARTED"
    if [[ $pid == systemd ]]; then
        say "stopping Docker"
        as_root systemctl stop docker.socket docker.service
    elif still_runs "$pid" "$since"; then
        say "stopping dockerd"
        as_root kill "$pid"
        for ((second = 0; second < WAIT_SECONDS; second++)); do
            still_runs "$pid" "$since" || return 0
            sleep 1
        done
        die "dockerd ($pid) does not stop; see $LOG"
    fi
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    *) die "say 'start' or 'stop'" ;;
esac
