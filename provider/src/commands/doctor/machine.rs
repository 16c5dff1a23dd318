//! The container engine and the machine behind it.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;

use super::Finding;
use crate::bidding::Capacity;
use crate::config::Config;
use crate::runtime::{self, Backend, DockerBackend, RuntimeError};

const ENGINE_TIMEOUT: Duration = Duration::from_secs(20);
/// Less free space than this part of the disk is little.
const LITTLE_SPACE: u64 = 10;

pub(super) async fn look(config: &Config, provider: &str) -> Vec<Finding> {
    match tokio::time::timeout(ENGINE_TIMEOUT, look_at_engine(config, provider)).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![failed(config, &error)],
        Err(_) => vec![unreached(config, "no answer")],
    }
}

/// What the engine lacks says itself what helps.
fn failed(config: &Config, error: &anyhow::Error) -> Finding {
    match error.downcast_ref::<RuntimeError>() {
        Some(RuntimeError::Setup(words)) => {
            let (found, remedy) = words.split_once("; ").unwrap_or((words, "see the guide"));
            Finding::bad("engine", found, remedy)
        }
        _ => unreached(config, &error.to_string()),
    }
}

fn unreached(config: &Config, why: &str) -> Finding {
    Finding::bad(
        "engine",
        format!("{}: {why}", config.engine.socket.display()),
        "install and start Docker (systemctl start docker), or name its socket in engine.socket",
    )
}

async fn look_at_engine(config: &Config, provider: &str) -> anyhow::Result<Vec<Finding>> {
    // Without a key there is no id yet; any will do for looking.
    let id = if provider.is_empty() { "doctor" } else { provider };
    let backend = DockerBackend::connect(config.runtime(id)?).await?;
    let inventory = backend.inventory().await?;
    let mut findings: Vec<Finding> = backend.checks().await?.into_iter().map(of_check).collect();
    findings.extend(storage(config).await);
    findings.push(capacity(config, &Capacity::new(config, &inventory)));
    if inventory.disk_bytes > 0 {
        let words = format!(
            "{} of {} GiB free",
            inventory.disk_free_bytes >> 30,
            inventory.disk_bytes >> 30
        );
        let little = inventory.disk_free_bytes < inventory.disk_bytes / LITTLE_SPACE;
        findings.push(match little {
            true => {
                Finding::warning("engine's disk", words, "remove unused images: docker image prune")
            }
            false => Finding::good("engine's disk", words),
        });
    }
    Ok(findings)
}

/// The daemon's own checks say in one line what was found and what helps.
fn of_check(check: runtime::Check) -> Finding {
    match check.verdict {
        runtime::Verdict::Good => Finding::good(check.name, check.words),
        runtime::Verdict::Warning => {
            let (found, remedy) = check.words.split_once("; ").unwrap_or((&check.words, ""));
            let remedy =
                if remedy.is_empty() { "see the guide: What runs on the host" } else { remedy };
            Finding::warning(check.name, found, remedy)
        }
    }
}

/// Storage driver and cgroups, as the engine tells of itself.
async fn storage(config: &Config) -> Vec<Finding> {
    let socket = config.engine.socket.to_string_lossy();
    let connected = Docker::connect_with_unix(&socket, 10, bollard::API_DEFAULT_VERSION);
    let info = match connected {
        Ok(docker) => match docker.negotiate_version().await {
            Ok(docker) => docker.info().await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let info = match info {
        Ok(info) => info,
        Err(error) => return vec![unreached(config, &error.to_string())],
    };
    let driver = info.driver.unwrap_or_default();
    let storage = match driver.as_str() {
        "overlay2" | "overlayfs" | "btrfs" | "zfs" => Finding::good("storage driver", driver),
        _ => Finding::warning(
            "storage driver",
            driver,
            "overlay2 is quicker and takes less space: \"storage-driver\": \"overlay2\" in \
             daemon.json",
        ),
    };
    let version = info.cgroup_version.map(|version| version.to_string()).unwrap_or_default();
    let driver = info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default();
    let words = format!("version {version}, driver {driver}");
    let limits = [
        ("memory", info.memory_limit),
        ("swap", info.swap_limit),
        ("cpu", info.cpu_cfs_quota),
        ("processes", info.pids_limit),
    ];
    let missing = limits.into_iter().filter(|(_, has)| *has == Some(false));
    let missing: Vec<&str> = missing.map(|(name, _)| name).collect();
    let cgroups = if !missing.is_empty() {
        Finding::bad(
            "cgroups",
            format!("{words}; no limits of {}", missing.join(", ")),
            "boot the kernel with these controllers: cgroup_enable=memory swapaccount=1",
        )
    } else if version == "1" {
        let remedy = "version 2 separates tenants better: systemd.unified_cgroup_hierarchy=1";
        Finding::warning("cgroups", words, remedy)
    } else {
        Finding::good("cgroups", words)
    };
    vec![storage, cgroups, socket_rights(&config.engine.socket)]
}

fn socket_rights(socket: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let name = "engine's socket";
    let open = std::fs::metadata(socket).is_ok_and(|found| found.permissions().mode() & 0o006 != 0);
    if open {
        return Finding::warning(
            name,
            format!("{} is open to every user", socket.display()),
            format!("chmod 660 {}: whoever reaches it is root", socket.display()),
        );
    }
    Finding::good(name, socket.display().to_string())
}

fn capacity(config: &Config, capacity: &Capacity) -> Finding {
    let (name, words) = ("capacity for sale", capacity.total.to_string());
    let less = capacity.total.cpu < config.capacity.cpu.0
        || capacity.total.memory < config.capacity.memory.0
        || capacity.total.storage < config.capacity.storage.0;
    if less {
        return Finding::warning(
            name,
            format!("{words}: less than [capacity] declares"),
            "declare what the machine has, or over-commit",
        );
    }
    Finding::good(name, words)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::tests_support::{config, machine};

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_bad_and_told_with_a_remedy() {
        let mut config = config();
        config.engine.socket = "/nonexistent/docker.sock".into();
        let findings = look(&config, "").await;
        assert_eq!((findings.len(), findings[0].verdict), (1, Verdict::Bad));
        assert!(findings[0].remedy.contains("Docker"));
    }

    #[test]
    fn a_runtime_that_the_engine_lacks_is_told_with_its_own_remedy() {
        let words = "the engine has no runtime runsc (it has runc); install it";
        let finding = failed(&config(), &RuntimeError::Setup(words.into()).into());
        assert_eq!((finding.verdict, finding.remedy.as_str()), (Verdict::Bad, "install it"));
        assert!(finding.found.ends_with("(it has runc)"), "{finding:?}");
    }

    #[test]
    fn declaring_more_than_the_machine_has_is_a_warning() {
        let mut config = config();
        let good = capacity(&config, &Capacity::new(&config, &machine()));
        assert_eq!(good.verdict, Verdict::Good);
        config.capacity.cpu = crate::config::Cores(999_000);
        let less = capacity(&config, &Capacity::new(&config, &machine()));
        assert_eq!(less.verdict, Verdict::Warning);
    }
}
