//! What the engine's machine has, before any over-commit.

use bollard::models::SystemInfo;
use serde::{Deserialize, Serialize};

use super::disk::file_system;
use super::gpu::{self, GpuDevice};
use super::{DockerBackend, RuntimeError};

/// What gVisor's runtime is called.
const GVISOR: &str = "runsc";

/// The machine behind the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    /// The file system that holds images, layers and volumes; 0 where the
    /// engine's directory is not on this machine.
    pub disk_bytes: u64,
    pub disk_free_bytes: u64,
    /// In Go's words: `amd64`, `arm64`.
    pub architecture: String,
    pub engine_version: String,
    /// The engine bounds a container's writable layer by itself.
    pub storage_quota: bool,
    /// Workloads run in gVisor (`runsc`).
    pub gvisor: bool,
    /// Container root is not the host's root.
    pub user_namespaces: bool,
    /// What the engine can give to containers.
    #[serde(default)]
    pub gpus: Vec<GpuDevice>,
}

impl DockerBackend {
    pub(super) async fn read_inventory(&self) -> Result<Inventory, RuntimeError> {
        let call = self.docker.info();
        let info =
            self.bounded("asking for the machine", self.config.deadlines.query, call).await?;
        let known = |value: Option<i64>, what: &str| {
            value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0).ok_or_else(|| {
                RuntimeError::Unknown {
                    during: "asking for the machine".into(),
                    cause: format!("the engine does not tell its {what}"),
                }
            })
        };
        let gvisor = workloads_run_by(self.config.runtime.as_deref(), &info)? == GVISOR;
        let gpus = gpu::offered(&info, &self.config.gpu_names);
        let root = info.docker_root_dir.as_deref().unwrap_or("/var/lib/docker");
        let (disk_bytes, disk_free_bytes) =
            file_system(std::path::Path::new(root)).unwrap_or_default();
        let security = info.security_options.unwrap_or_default();
        Ok(Inventory {
            cpu_millis: known(info.ncpu, "number of CPUs")?.saturating_mul(1000),
            memory_bytes: known(info.mem_total, "memory")?,
            disk_bytes,
            disk_free_bytes,
            architecture: go_architecture(&info.architecture.unwrap_or_default()),
            engine_version: info.server_version.unwrap_or_default(),
            storage_quota: has_quota(
                info.driver.as_deref(),
                info.driver_status.as_deref().unwrap_or_default(),
                std::path::Path::new(root),
            ),
            gvisor,
            user_namespaces: security.iter().any(|option| option.contains("name=userns")),
            gpus,
        })
    }
}

/// The runtime of workloads. One that the settings name and the engine lacks is
/// an error: no workload could be started, and none may run by another.
fn workloads_run_by(wanted: Option<&str>, info: &SystemInfo) -> Result<String, RuntimeError> {
    let Some(wanted) = wanted else {
        return Ok(info.default_runtime.clone().unwrap_or_default());
    };
    let mut known: Vec<&str> =
        info.runtimes.iter().flatten().map(|(name, _)| name.as_str()).collect();
    known.sort_unstable();
    match known.contains(&wanted) {
        true => Ok(wanted.into()),
        false => Err(RuntimeError::Setup(format!(
            "the engine has no runtime {wanted} (it has {}); install it and name it under \
             \"runtimes\" in daemon.json, or take workloads.runtime out",
            known.join(", ")
        ))),
    }
}

fn go_architecture(kernel: &str) -> String {
    match kernel {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
    .into()
}

/// overlay2 bounds a layer on xfs mounted with project quotas only.
fn has_quota(driver: Option<&str>, status: &[Vec<String>], root: &std::path::Path) -> bool {
    let on_xfs = status.iter().any(|pair| pair.as_slice() == ["Backing Filesystem", "xfs"]);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    driver == Some("overlay2") && on_xfs && has_project_quota(&mounts, root)
}

/// Looks up the mount that a path lies on.
fn has_project_quota(mounts: &str, path: &std::path::Path) -> bool {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.nth(1)?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .is_some_and(|(_, options)| {
            options.split(',').any(|option| option == "prjquota" || option == "pquota")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_run_by_the_runtime_that_is_named_or_not_at_all() {
        let info: SystemInfo = serde_json::from_value(serde_json::json!({
            "DefaultRuntime": "runc", "Runtimes": { "runc": {}, "runsc": {} },
        }))
        .unwrap();
        assert_eq!(workloads_run_by(None, &info).unwrap(), "runc");
        assert_eq!(workloads_run_by(Some("runsc"), &info).unwrap(), GVISOR);
        let error = workloads_run_by(Some("kata"), &info).unwrap_err();
        assert!(!error.is_unknown(), "it is not waited for");
        assert!(error.to_string().contains("it has runc, runsc"), "{error}");
        let only = SystemInfo { default_runtime: Some("runsc".into()), ..info };
        assert_eq!(workloads_run_by(None, &only).unwrap(), GVISOR);
    }

    #[test]
    fn project_quotas_are_those_of_the_nearest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\n/dev/b /var/lib/docker xfs rw,prjquota 0 0\n";
        let at = |path: &str| has_project_quota(mounts, std::path::Path::new(path));
        assert!(at("/var/lib/docker/overlay2"));
        assert!(!at("/var/lib"));
    }
}
