//! Which port and which address each lease has. Written down before anybody
//! is told, so that it survives restarts and updates, and found by the other
//! providers of this machine, so that none takes what another has.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoa_tunnel::routes::Transport;

use crate::config::Config;
use crate::store;

const CLAIMS: &str = "ports.json";
/// Ports tried for one claim before it is put off: a range that others use
/// up must not hold the daemon up.
const PROBES: usize = 512;

/// A port that a lease is to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortKey {
    pub lease: String,
    pub service: String,
    /// In the container.
    pub port: u16,
    /// As the manifest wants it seen from outside.
    pub external: u16,
    pub transport: Transport,
}

/// An address that a lease is to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IpKey {
    pub lease: String,
    /// The manifest's number: endpoints of one number share the address.
    pub sequence: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PortClaim {
    #[serde(flatten)]
    key: PortKey,
    host_port: u16,
    /// The data plane has had it. Until then it may be given up for another.
    #[serde(default)]
    confirmed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct IpClaim {
    #[serde(flatten)]
    key: IpKey,
    address: IpAddr,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    ports: Vec<PortClaim>,
    ips: Vec<IpClaim>,
}

/// One provider's claims, in memory and on disk.
#[derive(Debug)]
pub struct Claims {
    path: PathBuf,
    registry: PathBuf,
    range: Option<RangeInclusive<u16>>,
    listen: IpAddr,
    pool: Vec<IpAddr>,
    held: Held,
}

impl Claims {
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let path = config.data_dir.join(CLAIMS);
        let held = read(&path)?.unwrap_or_default();
        let claims = Self {
            path,
            registry: config.ports.registry.clone(),
            range: config.ports.range()?,
            listen: config.ports.listen,
            pool: config.ips.pool.clone(),
            held,
        };
        if claims.sells() || claims.held != Held::default() {
            claims.register()?;
        }
        Ok(claims)
    }

    pub fn port(&self, key: &PortKey) -> Option<u16> {
        self.held.ports.iter().find(|claim| claim.key == *key).map(|claim| claim.host_port)
    }

    pub fn ip(&self, key: &IpKey) -> Option<IpAddr> {
        self.held.ips.iter().find(|claim| claim.key == *key).map(|claim| claim.address)
    }

    /// All addresses that some lease has.
    pub fn ips(&self) -> BTreeSet<IpAddr> {
        self.held.ips.iter().map(|claim| claim.address).collect()
    }

    /// Claims what is wanted and not yet had. What cannot be had now is left
    /// out; it is tried again at the next call.
    pub fn claim(&mut self, ports: &[PortKey], ips: &[IpKey]) -> io::Result<()> {
        let ports: Vec<&PortKey> = ports.iter().filter(|key| self.port(key).is_none()).collect();
        let ips: Vec<&IpKey> = ips.iter().filter(|key| self.ip(key).is_none()).collect();
        if ports.is_empty() && ips.is_empty() || !self.sells() {
            return Ok(());
        }
        let _lock = self.lock()?;
        let others = self.others()?;
        let mut next = self.held.clone();
        for key in ports {
            if let Some(host_port) = self.free_port(key, &next, &others) {
                next.ports.push(PortClaim { key: key.clone(), host_port, confirmed: false });
            }
        }
        for key in ips {
            if let Some(address) = self.free_ip(&next, &others) {
                next.ips.push(IpClaim { key: key.clone(), address });
            }
        }
        self.put(next)
    }

    /// Gives up what `keep` says no to.
    pub fn release(
        &mut self,
        keep_port: impl Fn(&PortKey) -> bool,
        keep_ip: impl Fn(&IpKey) -> bool,
    ) -> io::Result<()> {
        let mut next = self.held.clone();
        next.ports.retain(|claim| keep_port(&claim.key));
        next.ips.retain(|claim| keep_ip(&claim.key));
        self.put(next)
    }

    /// Learns which of its ports the data plane has. One that it never had,
    /// and cannot get, is given up: somebody else took it in between.
    pub fn learn(&mut self, unbound: &HashSet<(Transport, u16)>) -> io::Result<()> {
        let mut next = self.held.clone();
        let failed = |claim: &PortClaim| unbound.contains(&(claim.key.transport, claim.host_port));
        next.ports.retain(|claim| claim.confirmed || !failed(claim));
        for claim in &mut next.ports {
            claim.confirmed |= !failed(claim);
        }
        self.put(next)
    }

    fn sells(&self) -> bool {
        self.range.is_some() || !self.pool.is_empty()
    }

    /// Begins at a place that follows from what it is for, so that a port
    /// that was just given up is not the next one's at once.
    fn free_port(&self, key: &PortKey, own: &Held, others: &[Held]) -> Option<u16> {
        let range = self.range.clone()?;
        let count = range.len();
        let digest = Sha256::digest(format!("{key:?}").as_bytes());
        let start = usize::from(u16::from_be_bytes([digest[0], digest[1]])) % count;
        let taken: HashSet<u16> = others
            .iter()
            .chain([own])
            .flat_map(|held| &held.ports)
            .filter(|claim| claim.key.transport == key.transport)
            .map(|claim| claim.host_port)
            .collect();
        let mut candidates = (0..count).filter_map(|step| {
            let offset = u16::try_from((start + step) % count).ok()?;
            range.start().checked_add(offset)
        });
        let untaken = candidates.by_ref().filter(|port| !taken.contains(port));
        untaken.take(PROBES).find(|port| is_free(key.transport, self.listen, *port))
    }

    fn free_ip(&self, own: &Held, others: &[Held]) -> Option<IpAddr> {
        let all = others.iter().chain([own]).flat_map(|held| &held.ips);
        let taken: HashSet<IpAddr> = all.map(|claim| claim.address).collect();
        self.pool.iter().find(|address| !taken.contains(address)).copied()
    }

    fn put(&mut self, next: Held) -> io::Result<()> {
        if next != self.held {
            store::write(&self.path, &serde_json::to_vec_pretty(&next)?)?;
            self.held = next;
        }
        Ok(())
    }

    /// Held while something is claimed: one provider at a time.
    fn lock(&self) -> io::Result<Flock<File>> {
        fs::create_dir_all(&self.registry)?;
        let path = self.registry.join("lock");
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
    }

    /// Lets the other providers of this machine find these claims.
    fn register(&self) -> io::Result<()> {
        let _lock = self.lock()?;
        let own = self.path.as_os_str().as_encoded_bytes();
        let entry = self.registry.join(registration(own));
        match fs::read(&entry).is_ok_and(|known| known == own) {
            // A full disk need not take it again.
            true => Ok(()),
            false => store::write(&entry, own),
        }
    }

    /// The claims of the other providers. One whose directory is gone is
    /// forgotten; one that cannot be read stops all claiming.
    fn others(&self) -> io::Result<Vec<Held>> {
        let mut others = vec![];
        for entry in fs::read_dir(&self.registry)? {
            let entry = entry?.path();
            if entry.extension().is_none_or(|extension| extension != "provider") {
                continue;
            }
            let path = PathBuf::from(fs::read_to_string(&entry)?);
            if path == self.path {
                continue;
            }
            match read(&path)? {
                Some(held) => others.push(held),
                None if path.parent().is_some_and(Path::exists) => {}
                None => store::remove(&entry)?,
            }
        }
        Ok(others)
    }
}

/// The name of a provider's entry in the registry.
fn registration(path: &[u8]) -> String {
    format!("{}.provider", &hex::encode(Sha256::digest(path))[..16])
}

fn read(path: &Path) -> io::Result<Option<Held>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| io::Error::other(format!("{}: {e}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether nobody on this machine has the port now.
fn is_free(transport: Transport, listen: IpAddr, port: u16) -> bool {
    let address = SocketAddr::new(listen, port);
    match transport {
        Transport::Tcp => TcpListener::bind(address).is_ok(),
        Transport::Udp => UdpSocket::bind(address).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::config;

    /// Providers of one machine, each with a data directory of its own.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn provider(&self, name: &str, range: &str, pool: &[&str]) -> Claims {
            let mut config = config();
            config.data_dir = self.0.path().join(name);
            fs::create_dir_all(&config.data_dir).unwrap();
            config.ports.registry = self.0.path().join("registry");
            config.ports.range = range.into();
            config.ports.listen = [127, 0, 0, 1].into();
            config.ips.pool = pool.iter().map(|ip| ip.parse().unwrap()).collect();
            Claims::open(&config).unwrap()
        }
    }

    fn key(lease: &str, port: u16) -> PortKey {
        let (lease, service) = (lease.into(), "web".into());
        PortKey { lease, service, port, external: port, transport: Transport::Tcp }
    }

    fn number(lease: &str, sequence: u32) -> IpKey {
        IpKey { lease: lease.into(), sequence }
    }

    /// So many consecutive ports that nobody has now.
    fn free_range(count: u16) -> (u16, String) {
        for first in (20_000..29_000).step_by(37) {
            if (first..first + count).all(|p| is_free(Transport::Tcp, [127, 0, 0, 1].into(), p)) {
                return (first, format!("{first}-{}", first + count - 1));
            }
        }
        panic!("no free ports on this machine");
    }

    #[test]
    fn a_claim_survives_a_restart_and_ends_with_its_lease() {
        let (machine, (_, range)) = (Machine::new(), free_range(8));
        let mut claims = machine.provider("p", &range, &["192.0.2.1"]);
        let (first, second) = (key("a", 1), key("b", 1));
        claims.claim(&[first.clone(), second.clone()], &[number("a", 1)]).unwrap();
        let had = (claims.port(&first), claims.port(&second), claims.ip(&number("a", 1)));
        assert!(had.0.is_some() && had.1.is_some() && had.0 != had.1, "{had:?}");
        let mut again = machine.provider("p", &range, &["192.0.2.1"]);
        again.claim(&[first.clone(), second.clone()], &[number("a", 1)]).unwrap();
        assert_eq!((again.port(&first), again.port(&second), again.ip(&number("a", 1))), had);
        // The only address is given on when its lease is over, no sooner.
        again.claim(&[], &[number("b", 1)]).unwrap();
        assert_eq!(again.ip(&number("b", 1)), None);
        again.release(|key| key.lease != "a", |key| key.lease != "a").unwrap();
        again.claim(&[], &[number("b", 1)]).unwrap();
        assert_eq!((again.port(&first), again.port(&second)), (None, had.1));
        assert_eq!(again.ip(&number("b", 1)), had.2);
    }

    #[test]
    fn providers_on_one_machine_never_share_a_port_or_an_address() {
        let (machine, (_, range)) = (Machine::new(), free_range(6));
        let pool = ["192.0.2.1", "192.0.2.2"];
        let mut one = machine.provider("one", &range, &pool);
        let mut two = machine.provider("two", &range, &pool);
        let keys: Vec<PortKey> = (1..=5).map(|port| key("a", port)).collect();
        one.claim(&keys[..3], &[number("a", 1)]).unwrap();
        two.claim(&keys, &[number("a", 1), number("a", 2)]).unwrap();
        let ports = |claims: &Claims| -> Vec<u16> {
            keys.iter().filter_map(|key| claims.port(key)).collect()
        };
        let all: HashSet<u16> = ports(&one).into_iter().chain(ports(&two)).collect();
        assert_eq!((ports(&one).len(), ports(&two).len(), all.len()), (3, 3, 6));
        assert_ne!(one.ip(&number("a", 1)), two.ip(&number("a", 1)));
        assert_eq!(two.ip(&number("a", 2)), None);
        // A provider that is gone with its directory leaves its ports.
        fs::remove_dir_all(machine.0.path().join("one")).unwrap();
        two.claim(&keys, &[]).unwrap();
        assert_eq!(ports(&two).len(), 5);
    }

    #[test]
    fn ports_in_use_are_skipped_and_one_taken_in_between_is_changed() {
        let (machine, (first, range)) = (Machine::new(), free_range(3));
        let used = TcpListener::bind(("127.0.0.1", first + 1)).unwrap();
        let mut claims = machine.provider("p", &range, &[]);
        let keys: Vec<PortKey> = (1..=3).map(|port| key("a", port)).collect();
        claims.claim(&keys, &[]).unwrap();
        let had: HashSet<u16> = keys.iter().filter_map(|key| claims.port(key)).collect();
        assert_eq!(had, HashSet::from([first, first + 2]));
        drop(used);
        // The data plane did not get one of them, and has had the other.
        let lost = keys.iter().find(|key| claims.port(key) == Some(first)).unwrap().clone();
        let kept = keys.iter().find(|key| claims.port(key) == Some(first + 2)).unwrap().clone();
        claims.learn(&HashSet::from([(Transport::Tcp, first)])).unwrap();
        assert_eq!((claims.port(&lost), claims.port(&kept)), (None, Some(first + 2)));
        // What tenants were told is not changed any more.
        claims.learn(&HashSet::from([(Transport::Tcp, first + 2)])).unwrap();
        assert_eq!(claims.port(&kept), Some(first + 2));
    }
}
