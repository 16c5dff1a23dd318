//! Containers that mean ill. Each tries what it can from inside, on a real
//! engine; the host and the neighbours must not notice.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use stoa_provider::runtime::{
    Backend, InstanceKey, LogRequest, ObservedContainer, WorkloadSpec, WORKLOAD_CAPABILITIES,
};
use support::{docker, exec, exec_fails, Provider};

/// How often and after what pause something is looked at again.
const LOOKS: u32 = 150;
const PAUSE: Duration = Duration::from_millis(200);

/// Their bits, from linux/capability.h.
const BITS: [(&str, u32); 7] = [
    ("CHOWN", 0),
    ("DAC_OVERRIDE", 1),
    ("FOWNER", 3),
    ("KILL", 5),
    ("SETGID", 6),
    ("SETUID", 7),
    ("NET_BIND_SERVICE", 10),
];

fn capabilities(container: &str, set: &str) -> u64 {
    let line = exec(container, &format!("grep {set}: /proc/1/status"));
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

#[tokio::test]
async fn a_container_has_no_power_over_its_host_and_cannot_gain_any() {
    let provider = Provider::start("powers").await;
    let image = provider.busybox().await;
    let spec = provider.spec("powers-lease", "web", &image);
    provider.backend.apply(&spec).await.unwrap();
    let name = provider.backend.names().instance(&spec.key).workload;

    // What it has is the list, in every set and to the bit.
    let listed: u64 = WORKLOAD_CAPABILITIES
        .iter()
        .map(|name| 1 << BITS.iter().find(|(known, _)| known == name).unwrap().1)
        .sum();
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(capabilities(&name, set), listed, "{set}");
    }
    assert_eq!(capabilities(&name, "CapAmb"), 0);

    // Mounts, devices, namespaces, another root, raw packets, the clock.
    for attempt in [
        "busybox mount -t tmpfs none /mnt || busybox mount -t tmpfs none /www",
        "busybox mount -o remount,rw /proc/sys",
        "busybox mount -o remount,rw /sys",
        "busybox umount /proc/kcore",
        "busybox mknod /disk b 8 0",
        "busybox mknod /mem c 1 1",
        "busybox unshare -m /bin/sh -c true",
        "busybox unshare -U /bin/sh -c true",
        "busybox chroot / /bin/sh -c true",
        "busybox arping -c 1 -w 1 -I eth0 10.0.0.1",
        "busybox date -s 2001-01-01; [ $(busybox date +%Y) = 2001 ]",
        "busybox hostname other",
        "busybox ip link set eth0 down",
        "busybox renice -n -5 -p 1",
        "busybox dmesg",
    ] {
        exec_fails(&name, attempt);
    }

    // Of the kernel's files what says or changes something is masked or fixed.
    for file in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"] {
        let read = exec(&name, &format!("head -c 1 {file} 2>/dev/null | busybox wc -c"));
        assert_eq!(read.trim(), "0", "{file}");
    }
    assert_eq!(exec(&name, "busybox ls /sys/firmware").trim(), "");
    for file in [
        "/proc/sys/kernel/panic",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        exec_fails(&name, &format!("echo 1 2>/dev/null >{file}"));
    }
    // With the first version of cgroups this directory is a file system in
    // the container's own memory; the controllers are below it.
    let group = "[ -d /sys/fs/cgroup/memory ] && cd /sys/fs/cgroup/memory || cd /sys/fs/cgroup";
    exec_fails(&name, &format!("({group}; busybox mkdir own)"));
    exec_fails(&name, "busybox grep -v ':/$' /proc/self/cgroup");

    // The engine, the host's devices, its processes and its IPv6.
    exec_fails(&name, "busybox ls /var/run/docker.sock || busybox ls /run/docker.sock");
    exec_fails(&name, "busybox grep docker.sock /proc/self/mountinfo");
    for device in ["mem", "kmem", "kmsg", "sda", "vda", "nvme0n1", "kvm", "fuse", "loop0", "disk"] {
        exec_fails(&name, &format!("busybox ls /dev/{device}"));
    }
    assert_eq!(exec(&name, "busybox cat /proc/net/if_inet6"), "");
    let processes = exec(&name, "busybox ls /proc | busybox grep -c '^[0-9]'");
    assert!(processes.trim().parse::<u32>().unwrap() < 10, "only its own: {processes}");

    // A program that belongs to root and is marked so does not make root.
    exec(&name, "echo 'root::0:0::/:/bin/sh' > /etc/passwd; echo 'me:x:1000:1000::/:/bin/sh' >> /etc/passwd");
    exec(&name, "busybox cp /bin/busybox /own && busybox chmod 4755 /own");
    assert_eq!(exec(&name, "busybox stat -c '%a %u' /own").trim(), "4755 0", "it is marked");
    let gained = docker(&[
        "exec",
        "--user",
        "1000",
        &name,
        "/bin/sh",
        "-c",
        "/own su root -c 'busybox id -u'; exit 0",
    ]);
    assert_eq!(gained.trim(), "", "it must not become root");
}

/// Runs a shell line for ever in place of the page.
fn rogue(mut spec: WorkloadSpec, line: &str) -> WorkloadSpec {
    spec.command = vec!["/bin/sh".into(), "-c".into()];
    spec.args = vec![line.into()];
    spec
}

async fn workload(provider: &Provider, key: &InstanceKey) -> ObservedContainer {
    provider.backend.observe_instance(key).await.unwrap().workload.unwrap()
}

#[tokio::test]
async fn a_fork_bomb_a_memory_hog_and_a_log_flood_stay_within_what_they_were_sold() {
    const PROCESSES: u64 = 48;
    let provider = Provider::start_with("rogues", |config| {
        config.pids_limit = PROCESSES as i64;
        (config.log_file_megabytes, config.log_files) = (1, 2);
    })
    .await;
    let image = provider.busybox().await;
    let spec = |service| provider.spec("rogues-lease", service, &image);
    let neighbour = spec("neighbour");
    let bomb = rogue(spec("bomb"), "b() { b | b & b; }; while true; do (b); sleep 0.2; done");
    let hog = rogue(spec("hog"), "busybox tail /dev/zero");
    let flood = rogue(spec("flood"), "while true; do busybox seq 1000000; done");
    for spec in [&neighbour, &bomb, &hog, &flood] {
        provider.backend.apply(spec).await.unwrap();
    }

    // The bomb comes to its limit and not over it.
    let request = LogRequest { follow: true, tail: None, since: None };
    let mut log = provider.backend.logs(&bomb.key, request);
    let refused = tokio::time::timeout(Duration::from_secs(60), async {
        while let Some(piece) = log.next().await {
            if String::from_utf8_lossy(&piece.unwrap().bytes).contains("can't fork") {
                return true;
            }
        }
        false
    });
    assert!(refused.await.unwrap(), "it never came to its limit");
    let processes = provider.backend.stats(&bomb.key).await.unwrap().processes;
    assert!(processes <= PROCESSES, "{processes} processes");

    // The hog ends for want of memory, alone.
    let mut ended = false;
    for _ in 0..LOOKS {
        let found = workload(&provider, &hog.key).await;
        ended = found.out_of_memory && found.exit_code == 137;
        if ended {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    assert!(ended, "{:?}", workload(&provider, &hog.key).await);

    // The flood's log is cut as it grows.
    let id = workload(&provider, &flood.key).await.id;
    let path = docker(&["inspect", "-f", "{{.LogPath}}", &id]);
    let directory = Path::new(path.trim()).parent().unwrap().to_owned();
    let logs = || {
        let files = std::fs::read_dir(&directory).unwrap().flatten();
        let files = files.filter(|file| file.file_name().to_string_lossy().contains("-json.log"));
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).collect::<Vec<u64>>()
    };
    for _ in 0..LOOKS {
        if logs().len() == 2 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let sizes = logs();
    assert_eq!(sizes.len(), 2, "it was cut: {sizes:?}");
    assert!(sizes.iter().sum::<u64>() < 2_500_000, "{sizes:?}");

    // Nobody else noticed.
    let found = workload(&provider, &neighbour.key).await;
    assert!(found.is_running() && found.restarts == 0, "{found:?}");
    let name = provider.backend.names().instance(&neighbour.key).workload;
    let page = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 127.0.0.1 8080";
    assert!(exec(&name, page).contains("hello"));
}
