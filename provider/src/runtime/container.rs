//! What a workload's and a link's container look like: the hardening of
//! every workload stands here, in one place.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountTmpfsOptions, MountType, MountVolumeOptions, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::config::RuntimeConfig;
use super::gpu::{device_requests, GpuDevice};
use super::names::{label, InstanceKey, Names, Role};
use super::network::{endpoint, WorkloadNetwork};
use super::pause::PAUSE_PATH;
use super::secret_env::SecretVariable;
use super::spec::{CanonicalForm, Limits, VolumeClass, VolumeSpec, WorkloadSpec, LEAST_CPU_MILLIS};

/// What published images need of root's powers inside their own namespaces,
/// and no more: to hand files over and read them (`CHOWN`, `FOWNER`,
/// `DAC_OVERRIDE`: a database's entry point owns its data as root and then
/// looks into it), to drop to a user (`SETUID`, `SETGID`) and signal it
/// (`KILL`), to listen below 1024 (`NET_BIND_SERVICE`). Not there, of
/// Docker's default list: `NET_RAW` (forged packets), `MKNOD`, `SYS_CHROOT`,
/// `AUDIT_WRITE`, `SETFCAP`, `SETPCAP`, `FSETID`.
pub const WORKLOAD_CAPABILITIES: [&str; 7] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

const LINK_MEMORY_BYTES: i64 = 16 << 20;
const LINK_PIDS: i64 = 16;
const NANO_CPUS_PER_MILLI: u64 = 1_000_000;
/// What the engine gives a container's /dev/shm unless told otherwise.
const SHARED_MEMORY_BYTES: u64 = 64 << 20;

/// What of the host matters for a container's limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostFacts {
    /// The engine refuses a limit beyond them, though an over-committing
    /// provider sells it.
    pub(super) cores: u64,
    /// The engine can bound a writable layer.
    pub(super) storage_quota: bool,
}

/// The request for a workload's container.
pub(super) fn workload_body(
    spec: &WorkloadSpec,
    names: &Names,
    network: &WorkloadNetwork,
    config: &RuntimeConfig,
    host: HostFacts,
    gpus: &[GpuDevice],
) -> ContainerCreateBody {
    let mut labels = names.labels(&spec.key, Role::Workload);
    labels.extend(
        [
            (label::SPEC, spec.hash()),
            (label::SHAPE, spec.shape()),
            (label::MANIFEST, spec.manifest_version.clone()),
            (label::GENERATION, spec.generation.to_string()),
            (label::IMAGE, spec.image.source.clone()),
            (label::EPHEMERAL, spec.ephemeral_bytes.to_string()),
            (label::VOLUME_LIMITS, volume_limits(spec)),
        ]
        .map(|(name, value)| (name.to_string(), value)),
    );
    if let Some(port) = spec.probe_port() {
        labels.insert(label::PROBE.into(), port.to_string());
    }
    if !gpus.is_empty() {
        let ids: Vec<&str> = gpus.iter().map(|gpu| gpu.id.as_str()).collect();
        labels.insert(label::GPUS.into(), ids.join(","));
    }
    ContainerCreateBody {
        hostname: Some(spec.key.service.clone()),
        image: Some(spec.image.id.clone()),
        entrypoint: none_if_empty(&spec.command),
        cmd: none_if_empty(&spec.args),
        env: Some(environment(spec)),
        exposed_ports: Some(
            spec.ports.iter().map(|p| format!("{}/{}", p.port, p.protocol.as_str())).collect(),
        ),
        labels: Some(labels),
        stop_timeout: i64::try_from(config.stop_grace.as_secs()).ok(),
        host_config: Some(workload_host_config(spec, names, network, config, host, gpus)),
        networking_config: Some(endpoint(network, network.subnet.workload())),
        ..ContainerCreateBody::default()
    }
}

fn workload_host_config(
    spec: &WorkloadSpec,
    names: &Names,
    network: &WorkloadNetwork,
    config: &RuntimeConfig,
    host: HostFacts,
    gpus: &[GpuDevice],
) -> HostConfig {
    let limits = limits_of(spec, host);
    HostConfig {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        nano_cpus: limits.nano_cpus,
        cpu_shares: limits.cpu_shares,
        device_requests: device_requests(gpus),
        runtime: config.runtime.clone(),
        // In the container's memory, as all tmpfs: never more than that.
        shm_size: Some(clamped(SHARED_MEMORY_BYTES.min(spec.limits().memory_bytes))),
        pids_limit: Some(config.pids_limit),
        ulimits: Some(vec![ulimit("nofile", config.open_files_limit), ulimit("core", 0)]),
        init: Some(true),
        cap_add: Some(WORKLOAD_CAPABILITIES.map(String::from).to_vec()),
        readonly_rootfs: Some(spec.read_only_root),
        storage_opt: (host.storage_quota && spec.ephemeral_bytes > 0)
            .then(|| HashMap::from([("size".to_string(), spec.ephemeral_bytes.to_string())])),
        mounts: Some(spec.volumes.iter().map(|v| mount(&spec.key, v, names)).collect()),
        // A name that the workload looks up goes to its link's address and
        // nowhere else: never to the host's resolver. The engine forwards it
        // from inside the workload's namespace, on internal networks too
        // (seen with 20.10, 26.1 and 28.5). The host's search domains are
        // nobody's business.
        dns: Some(vec![network.subnet.link().to_string()]),
        dns_search: Some(vec![".".into()]),
        ..hardened(network, config)
    }
}

/// What may be used, in the engine's words: for making a container as well as
/// for changing one that runs.
pub(super) fn limits_of(spec: &WorkloadSpec, host: HostFacts) -> ContainerUpdateBody {
    let Limits { memory_bytes, cpu_shares } = spec.limits();
    let millis = spec.cpu_millis.max(LEAST_CPU_MILLIS).min(host.cores.saturating_mul(1000));
    ContainerUpdateBody {
        memory: Some(clamped(memory_bytes)),
        memory_swap: Some(clamped(memory_bytes)),
        nano_cpus: Some(clamped(millis.saturating_mul(NANO_CPUS_PER_MILLI))),
        cpu_shares: Some(clamped(cpu_shares)),
        ..ContainerUpdateBody::default()
    }
}

/// The request for the instance's link container: it holds a network
/// namespace and does nothing.
pub(super) fn link_body(
    key: &InstanceKey,
    image: &str,
    names: &Names,
    network: &WorkloadNetwork,
    config: &RuntimeConfig,
) -> ContainerCreateBody {
    let mut labels = names.labels(key, Role::Link);
    labels.insert(label::SPEC.into(), link_hash(image, network));
    ContainerCreateBody {
        hostname: Some("link".into()),
        // As its namespace's first process, pause takes no SIGTERM: to ask
        // first would only cost the grace period at every end.
        stop_signal: Some("SIGKILL".into()),
        image: Some(image.into()),
        entrypoint: Some(vec![PAUSE_PATH.into()]),
        labels: Some(labels),
        host_config: Some(HostConfig {
            memory: Some(LINK_MEMORY_BYTES),
            memory_swap: Some(LINK_MEMORY_BYTES),
            pids_limit: Some(LINK_PIDS),
            readonly_rootfs: Some(true),
            ..hardened(network, config)
        }),
        networking_config: Some(endpoint(network, network.subnet.link())),
        ..ContainerCreateBody::default()
    }
}

/// What a link container must be like; it is made anew where this changes.
pub(super) fn link_hash(image: &str, network: &WorkloadNetwork) -> String {
    let mut form = CanonicalForm::new("stoa/link/1");
    form.text(image).text(&network.id).text(&network.subnet.to_string());
    form.finish()
}

/// What every container of ours has: no capability, no way to gain one, its
/// own namespaces, bounded logs, a start after the engine's restart.
fn hardened(network: &WorkloadNetwork, config: &RuntimeConfig) -> HostConfig {
    HostConfig {
        network_mode: Some(network.name.clone()),
        cap_drop: Some(vec!["ALL".into()]),
        // The engine's default seccomp profile holds as long as none is named.
        security_opt: Some(vec!["no-new-privileges:true".into()]),
        privileged: Some(false),
        ipc_mode: Some("private".into()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        log_config: Some(log_config(config)),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        publish_all_ports: Some(false),
        ..HostConfig::default()
    }
}

fn log_config(config: &RuntimeConfig) -> HostConfigLogConfig {
    let settings = [
        ("max-size", format!("{}m", config.log_file_megabytes)),
        ("max-file", config.log_files.to_string()),
    ];
    HostConfigLogConfig {
        typ: Some("json-file".into()),
        config: Some(settings.into_iter().map(|(k, v)| (k.to_string(), v)).collect()),
    }
}

fn mount(key: &InstanceKey, volume: &VolumeSpec, names: &Names) -> Mount {
    let base = Mount {
        target: Some(volume.mount.clone()),
        read_only: Some(volume.read_only),
        ..Mount::default()
    };
    match volume.class {
        VolumeClass::Ram => Mount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: Some(clamped(volume.bytes)),
                mode: Some(0o1777),
                ..MountTmpfsOptions::default()
            }),
            ..base
        },
        // Filled before the container is made, and removed with it by us.
        VolumeClass::Ephemeral if volume.data.is_some() => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(names.passing_volume(key, &volume.name)),
            volume_options: Some(nothing_of_the_image()),
            ..base
        },
        // The engine has no unnamed volume that is read-only. Nothing can be
        // in one, so it takes no memory either.
        VolumeClass::Ephemeral if volume.read_only => Mount { typ: Some(MountType::TMPFS), ..base },
        // Without a name it is the container's own and goes with it.
        VolumeClass::Ephemeral => Mount {
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions {
                labels: Some(volume_labels(key, volume, names)),
                ..MountVolumeOptions::default()
            }),
            ..base
        },
        VolumeClass::Persistent => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(names.volume(key, &volume.name)),
            volume_options: volume.data.is_some().then(nothing_of_the_image),
            ..base
        },
    }
}

/// The engine would put into an empty volume what the image has at its mount.
fn nothing_of_the_image() -> MountVolumeOptions {
    MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }
}

/// A container by which a volume is filled: of the image that holds the
/// content. The one that is written to has the volume at a target. It is never
/// started.
pub(super) fn filler_body(
    key: &InstanceKey,
    image: &str,
    names: &Names,
    volume: Option<(&str, &str)>,
) -> ContainerCreateBody {
    let mount = volume.map(|(volume, target)| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.into()),
        target: Some(target.into()),
        read_only: Some(false),
        volume_options: Some(nothing_of_the_image()),
        ..Mount::default()
    });
    ContainerCreateBody {
        image: Some(image.into()),
        // Nothing of that name is in the image.
        entrypoint: Some(vec![PAUSE_PATH.into()]),
        labels: Some(names.labels(key, Role::Filler)),
        network_disabled: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("none".into()),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges:true".into()]),
            mounts: Some(mount.into_iter().collect()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The value of [`label::VOLUME_LIMITS`]. A volume's name holds neither of
/// the two separators.
fn volume_limits(spec: &WorkloadSpec) -> String {
    let persistent = spec.volumes.iter().filter(|v| v.class == VolumeClass::Persistent);
    persistent.map(|v| format!("{}={}", v.name, v.bytes)).collect::<Vec<_>>().join(",")
}

/// Labels of a volume of either lasting.
pub(super) fn volume_labels(
    key: &InstanceKey,
    volume: &VolumeSpec,
    names: &Names,
) -> HashMap<String, String> {
    let mut labels = names.labels(key, Role::Volume);
    labels.insert(label::VOLUME.into(), volume.name.clone());
    if volume.class == VolumeClass::Persistent {
        labels.insert(label::CLASS.into(), volume.storage_class.clone());
    } else if volume.data.is_some() {
        labels.insert(label::PASSING.into(), "true".into());
    }
    if let Some(data) = &volume.data {
        labels.insert(label::DATA.into(), data.clone());
    }
    labels
}

fn environment(spec: &WorkloadSpec) -> Vec<String> {
    let plain = spec.env.iter().map(|pair| env_pair(pair));
    plain.chain(spec.secrets.iter().map(SecretVariable::pair)).collect()
}

/// In an SDL file `KEY` alone is an empty variable; to the engine it would
/// mean to remove one.
fn env_pair(pair: &str) -> String {
    if pair.contains('=') {
        pair.to_string()
    } else {
        format!("{pair}=")
    }
}

fn none_if_empty(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.into()), soft: Some(value), hard: Some(value) }
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
