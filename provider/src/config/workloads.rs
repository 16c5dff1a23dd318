//! How workloads are run: their bounds, where their volumes lie, what their
//! GPUs are called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::PERSISTENT_CLASSES;
use super::load::ConfigError;
use crate::runtime::{EgressLimits, FirewallChoice, GpuNaming, RuntimeConfig, VolumePlaces};

/// What holds for every workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workloads {
    /// Which of the engine's runtimes runs them: `runsc` is gVisor. Empty: the
    /// engine's own default.
    pub runtime: String,
    /// Processes and threads of an instance.
    pub pids_limit: u32,
    /// Open files of a process; lowered to this process's own hard limit.
    pub open_files: u32,
    /// Of a container's log: the size of a file, and how many are kept.
    pub log_file_megabytes: u32,
    pub log_files: u32,
    /// An instance whose exposed port is silent counts as ready after so long
    /// all the same, for a first start: what a tenant has got wrong must not
    /// cost its provider the lease.
    pub silent_seconds: u64,
    /// Sets rules in the host's firewall that keep workloads from the host and
    /// from everything that is not the public internet. Without them no
    /// workload reaches the internet.
    pub firewall: bool,
    /// Which program sets them.
    pub firewall_program: FirewallChoice,
    /// Where the volumes of a persistent class lie; the engine's own
    /// directory where a class is not named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: VolumePlaces,
    /// What devices are, where their own names do not say it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuNaming>,
    /// What they may do on the internet.
    pub egress: EgressLimits,
}

impl Default for Workloads {
    fn default() -> Self {
        Self {
            runtime: String::new(),
            pids_limit: 1024,
            open_files: 65_536,
            log_file_megabytes: 10,
            log_files: 3,
            silent_seconds: 60,
            firewall: true,
            firewall_program: FirewallChoice::Auto,
            volumes: VolumePlaces::new(),
            gpus: vec![],
            egress: EgressLimits::default(),
        }
    }
}

impl Workloads {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !self.runtime.bytes().all(clean) {
            return Err(ConfigError::Wrong(format!(
                "workloads.runtime: `{}` is no runtime's name; right is such as runsc, or nothing",
                self.runtime
            )));
        }
        for class in self.volumes.keys() {
            if !PERSISTENT_CLASSES.contains(&class.as_str()) {
                return Err(ConfigError::Wrong(format!(
                    "workloads.volumes: `{class}` is none of {}",
                    PERSISTENT_CLASSES.join(", ")
                )));
            }
        }
        if let Some(gpu) = self.gpus.iter().find(|gpu| gpu.id.is_empty() || gpu.model.is_empty()) {
            let problem = format!("workloads.gpus: `{}` needs an id and a model", gpu.id);
            return Err(ConfigError::Wrong(problem));
        }
        Ok(())
    }

    pub(crate) fn put_into(&self, runtime: &mut RuntimeConfig) {
        runtime.runtime = Some(self.runtime.clone()).filter(|name| !name.is_empty());
        runtime.pids_limit = i64::from(self.pids_limit);
        runtime.open_files_limit = i64::from(self.open_files);
        runtime.log_file_megabytes = self.log_file_megabytes;
        runtime.log_files = self.log_files;
        runtime.volume_places = self.volumes.clone();
        runtime.gpu_names = self.gpus.clone();
        runtime.firewall = self.firewall.then_some(self.firewall_program);
        runtime.egress = self.egress.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::VolumePlace;

    #[test]
    fn places_of_volumes_are_directories_or_drivers() {
        let text = r#"
            runtime = "runsc"
            [volumes]
            beta1 = { directory = "/mnt/ssd" }
            beta2 = { driver = "local", options = { type = "nfs", device = ":/x" } }
            [[gpus]]
            id = "GPU-1"
            model = "a100"
            [egress]
            megabits = 10
            deny = ["8.8.8.0/24"]
        "#;
        let workloads: Workloads = toml::from_str(text).unwrap();
        workloads.validate().unwrap();
        let beta1 = VolumePlace::Directory { directory: "/mnt/ssd".into() };
        assert_eq!(workloads.volumes["beta1"], beta1);
        assert!(matches!(&workloads.volumes["beta2"],
            VolumePlace::Driver { driver, options } if driver == "local" && options.len() == 2));
        let mut runtime = RuntimeConfig::new("p");
        workloads.put_into(&mut runtime);
        assert_eq!(runtime.volume_places, workloads.volumes);
        assert_eq!((runtime.egress.megabits, runtime.egress.connections), (10, 8192));
        assert_eq!(runtime.firewall, Some(FirewallChoice::Auto));
        assert_eq!(runtime.runtime.as_deref(), Some("runsc"));
        Workloads::default().put_into(&mut runtime);
        assert_eq!(runtime.runtime, None);
        assert_eq!(
            toml::from_str::<Workloads>(&toml::to_string(&workloads).unwrap()),
            Ok(workloads)
        );

        let wrong: Workloads = toml::from_str("runtime = \"/usr/bin/runsc\"").unwrap();
        assert!(wrong.validate().unwrap_err().to_string().contains("such as runsc"));
        let wrong: Workloads = toml::from_str("volumes.ram = { directory = \"/x\" }").unwrap();
        assert!(wrong.validate().unwrap_err().to_string().contains("beta3"));
        assert!(toml::from_str::<Workloads>("volumes.beta1 = { folder = \"/x\" }").is_err());
        assert!(toml::from_str::<Workloads>("egress.deny = [\"8.8.8.8\"]").is_err());
        assert!(toml::from_str::<Workloads>("firewall_program = \"pf\"").is_err());
    }
}
