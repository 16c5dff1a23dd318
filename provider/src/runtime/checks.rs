//! Whether this machine is fit, in words for the operator. Changes nothing.

use bollard::query_parameters::ListNetworksOptions;
use serde::{Deserialize, Serialize};

use super::firewall::{is_bridge_suffix, Firewall};
use super::names::label;
use super::subnet::{AddressPool, Taken};
use super::volumes::{VolumePlace, VolumePlaces};
use super::{DockerBackend, RuntimeError};

/// One look at the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub verdict: Verdict,
    /// What was found, and for a warning what would be better.
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    /// Works, with less.
    Warning,
}

impl DockerBackend {
    /// Reports what is good and what could be better. An error only where the
    /// engine cannot be asked.
    pub(super) async fn run_checks(&self) -> Result<Vec<Check>, RuntimeError> {
        let inventory = self.read_inventory().await?;
        let mut checks = vec![
            Check::good("engine", format!("version {}", inventory.engine_version)),
            check_firewall(&self.firewall).await,
            check_forwarding(),
            self.check_pool().await?,
        ];
        checks.extend(check_volume_places(&self.config.volume_places));
        checks.push(if inventory.storage_quota {
            Check::good("storage quota", "the engine bounds writable layers".into())
        } else {
            let words = "the engine does not bound writable layers (that takes overlay2 on xfs \
                         with pquota): storage is measured instead";
            Check::warning("storage quota", words.into())
        });
        checks.push(if inventory.user_namespaces {
            Check::good("user namespaces", "container root is an ordinary user here".into())
        } else {
            let words = "container root is this machine's root, bounded by capabilities and \
                         seccomp; `userns-remap` in daemon.json adds a wall";
            Check::warning("user namespaces", words.into())
        });
        if inventory.gvisor {
            checks.push(Check::good("gVisor", "workloads run in it, by runsc".into()));
        }
        Ok(checks)
    }

    /// The pool must not cover a network of somebody else's, or tenants
    /// could shadow it.
    async fn check_pool(&self) -> Result<Check, RuntimeError> {
        let call = self.docker.list_networks(None::<ListNetworksOptions>);
        let networks = self.bounded("listing networks", self.config.deadlines.query, call).await?;
        let pool = self.config.pool;
        let foreign = networks.iter().find(|network| {
            let ours = network.labels.as_ref().is_some_and(|l| l.contains_key(label::PROVIDER));
            let configs = network.ipam.as_ref().and_then(|ipam| ipam.config.as_ref());
            let subnets = configs.into_iter().flatten().filter_map(|c| c.subnet.as_deref());
            !ours && subnets.filter_map(Taken::parse).any(|taken| pool.overlaps(taken))
        });
        if let Some(network) = foreign {
            let name = network.name.clone().unwrap_or_default();
            let words = format!("{pool} overlaps the engine's network {name}; choose another pool");
            return Ok(Check::warning("address pool", words));
        }
        let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        Ok(match overlapping_route(&routes, pool) {
            Some(interface) => Check::warning(
                "address pool",
                format!("{pool} overlaps a route of {interface}; choose another pool"),
            ),
            None => Check::good("address pool", format!("{pool}, {} networks", pool.slots())),
        })
    }
}

impl Check {
    fn good(name: &'static str, words: String) -> Self {
        Self { name, verdict: Verdict::Good, words }
    }

    fn warning(name: &'static str, words: String) -> Self {
        Self { name, verdict: Verdict::Warning, words }
    }
}

/// A disk that is not mounted holds up what has volumes on it, and nothing
/// else.
fn check_volume_places(places: &VolumePlaces) -> Vec<Check> {
    let name = "volumes";
    let directories = places.iter().filter_map(|(class, place)| match place {
        VolumePlace::Directory { directory } => Some((class, directory)),
        VolumePlace::Driver { .. } => None,
    });
    directories
        .map(|(class, directory)| match directory.is_dir() {
            true => Check::good(name, format!("{class} in {}", directory.display())),
            false => {
                let shown = directory.display();
                let words = format!("{class}: {shown} is no directory; make it, or mount its disk");
                Check::warning(name, words)
            }
        })
        .collect()
}

async fn check_firewall(firewall: &Firewall) -> Check {
    let name = "host firewall";
    match firewall.find().await {
        Some(by) => {
            let words = format!("workloads reach neither the host nor private networks ({by})");
            Check::good(name, words)
        }
        None => {
            let words = "its rules against workloads are not there, and no workload reaches the \
                         internet; `stoa-provider firewall install`, as root, says why not (the \
                         daemon does it by itself: workloads.firewall)";
            Check::warning(name, words.into())
        }
    }
}

/// The engine switches it on, unless it is told to leave the host alone.
fn check_forwarding() -> Check {
    let name = "forwarding";
    let on = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    if on.is_ok_and(|on| on.trim() == "1") {
        return Check::good(name, "the kernel forwards IPv4".into());
    }
    let words = "the kernel forwards no IPv4, and no workload reaches the internet; sysctl -w \
                 net.ipv4.ip_forward=1";
    Check::warning(name, words.into())
}

/// The interface of a route, other than the default and our bridges, that
/// lies in the pool. `/proc/net/route` has little-endian hex.
fn overlapping_route(routes: &str, pool: AddressPool) -> Option<String> {
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (interface, destination, mask) = (fields.first()?, fields.get(1)?, fields.get(7)?);
        let destination = u32::from_str_radix(destination, 16).ok()?.swap_bytes();
        let prefix = u32::from_str_radix(mask, 16).ok()?.count_ones();
        let ours = interface.strip_prefix("st").is_some_and(is_bridge_suffix)
            || interface.strip_prefix("se").is_some_and(|rest| rest.len() == 13);
        let taken = Taken::parse(&format!("{}/{prefix}", std::net::Ipv4Addr::from(destination)))?;
        (prefix > 0 && !ours && pool.overlaps(taken)).then(|| (*interface).to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_not_mounted_is_named() {
        let there = tempfile::tempdir().unwrap();
        let place = |path: &std::path::Path| VolumePlace::Directory { directory: path.into() };
        let places = VolumePlaces::from([
            ("beta1".to_string(), place(there.path())),
            ("beta2".to_string(), place(&there.path().join("away"))),
        ]);
        let [good, warning] = &check_volume_places(&places)[..] else { panic!("two") };
        assert_eq!((good.verdict, warning.verdict), (Verdict::Good, Verdict::Warning));
        assert!(warning.words.contains("beta2") && warning.words.contains("mount"), "{warning:?}");
    }

    #[test]
    fn finds_routes_in_the_way() {
        let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n";
        let default = "eth0\t00000000\t01000A0A\t3\t0\t0\t0\t00000000\n";
        let vpn = "tun0\t0000E10A\t00000000\t1\t0\t0\t0\t0000FFFF\n"; // 10.225.0.0/16
        let own = "st0123456789ab\t0000E10A\t00000000\t1\t0\t0\t0\tF0FFFFFF\n";
        let out = "sec25b123456789\t0000E10A\t00000000\t1\t0\t0\t0\tF0FFFFFF\n";
        let pool = AddressPool::default();
        let at = |lines: &[&str]| overlapping_route(&format!("{head}{}", lines.concat()), pool);
        assert_eq!(at(&[default, own, out]), None);
        assert_eq!(at(&[default, vpn]).as_deref(), Some("tun0"));
    }
}
