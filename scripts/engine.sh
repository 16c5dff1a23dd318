#!/bin/bash
# engine.sh start DIR   starts a Docker engine of its own beside the machine's, in
#                       a network namespace of its own, as if on another machine;
#                       all it has lies in DIR (new), its socket is DIR/docker.sock
# engine.sh kill DIR    kills that engine as a power cut would: SIGKILL, with the
#                       containers' shims left alone
# engine.sh again DIR   starts a killed one again, with what it had
# engine.sh stop DIR    ends it with everything that it ran, and removes DIR
#
# The namespace is joined to this machine by one veth pair: DIR/host and DIR/guest
# hold the two addresses, DIR/netns the namespace's name, DIR/link the pair's end here.
# Needs root.
. "$(dirname "$0")/common.sh"

verb=${1:-} dir=${2:-}
[[ -n $dir && $(id -u) == 0 ]] || die "say 'start', 'kill', 'again' or 'stop' and a directory, as root"
WAIT_SECONDS=60

pid() { cat "$dir/docker.pid" 2>/dev/null; }

# A name and a /30 that follow from the directory; the next where they are taken.
join_network() {
    local number try name a b
    number=$((16#$(printf %s "$dir" | sha256sum | cut -c1-6)))
    for ((try = 0; try < 64; try++, number++)); do
        printf -v name 'xe%06x' $((number % 0xffffff))
        a=$(((number / 64) % 256)) b=$(((number % 64) * 4))
        ip netns add "$name" 2>/dev/null || continue
        if ip link add "$name" type veth peer name eth0 netns "$name" 2>/dev/null &&
            [[ -z $(ip -4 route show "10.231.$a.$b/30") ]] &&
            ip address add "10.231.$a.$((b + 1))/30" dev "$name"; then
            break
        fi
        ip link del "$name" 2>/dev/null || true
        ip netns del "$name"
        name=
    done
    [[ -n $name ]] || die "no free name for a network namespace"
    ip link set "$name" up
    ip -n "$name" address add "10.231.$a.$((b + 2))/30" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" link set lo up
    ip -n "$name" route add default via "10.231.$a.$((b + 1))"
    echo "$name" >"$dir/netns"
    echo "$name" >"$dir/link"
    echo "10.231.$a.$((b + 1))" >"$dir/host"
    echo "10.231.$a.$((b + 2))" >"$dir/guest"
}

launch() {
    local second name
    name=$(cat "$dir/netns")
    # Its own containerd does not know one that was killed; old ones must be gone.
    rm -f "$dir/docker.pid" "$dir/exec/containerd/containerd.pid"
    nsenter --net="/run/netns/$name" setsid dockerd --host "unix://$dir/docker.sock" \
        --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
        --cgroup-parent "/$name" --storage-driver "${STOA_ENGINE_DRIVER:-$(driver)}" \
        >>"$dir/log" 2>&1 </dev/null 9>&- &
    local started=$!
    for ((second = 0; second < WAIT_SECONDS * 10; second++)); do
        curl -fs --max-time 5 --unix-socket "$dir/docker.sock" http://engine/_ping >/dev/null 2>&1 && return
        [[ -d /proc/$started ]] || break
        sleep 0.1
    done
    tail -n 20 "$dir/log" >&2
    die "the engine in $dir did not come up"
}

# overlay2 does not stand on overlay, such as inside a container.
driver() {
    case $(stat -f -c %T "$dir") in
        overlayfs) echo vfs ;;
        *) echo overlay2 ;;
    esac
}

# The engine and its containerd, which is its child.
kill_engine() {
    local engine containerd
    engine=$(pid) || return 0
    containerd=$(cat "$dir/exec/containerd/containerd.pid" 2>/dev/null || true)
    kill -KILL "$engine" ${containerd:+"$containerd"} 2>/dev/null || true
    while [[ -d /proc/$engine ]] && ! grep -q '^State:.Z' "/proc/$engine/status" 2>/dev/null; do
        sleep 0.05
    done
}

# Everything that names the directory: shims, their containers, mounts.
sweep() {
    local process name mountpoint group
    name=$(cat "$dir/netns" 2>/dev/null || true)
    for process in $(grep -lsF -- "$dir/exec/" /proc/[0-9]*/cmdline | cut -d/ -f3); do kill -KILL "$process" 2>/dev/null || true; done
    if [[ -n $name ]]; then
        for group in /sys/fs/cgroup/*/"$name" /sys/fs/cgroup/"$name"; do
            [[ -d $group ]] || continue
            find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |
                while read -r process; do kill -KILL "$process" 2>/dev/null || true; done
        done
        for process in $(ip netns pids "$name" 2>/dev/null); do kill -KILL "$process" 2>/dev/null || true; done
    fi
    sleep 0.2
    awk -v at="$dir/" 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r |
        while read -r mountpoint; do umount -l "$mountpoint" 2>/dev/null || true; done
    if [[ -n $name ]]; then
        for group in /sys/fs/cgroup/*/"$name" /sys/fs/cgroup/"$name"; do
            [[ -d $group ]] && find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
        done
        ip link del "$name" 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    fi
    rm -rf "$dir"
}

case $verb in
    start)
        mkdir -p "$dir"
        join_network
        launch
        ;;
    kill) kill_engine ;;
    again) launch ;;
    stop)
        kill_engine
        sweep
        ;;
    *) die "say 'start', 'kill', 'again' or 'stop' and a directory" ;;
esac
