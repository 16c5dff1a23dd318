//! The tables of the provider's other machines: what is dialled from there.
//! Nothing is served there; what is dialled at this provider ends at the
//! daemon's machine, which knows where each instance is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use stoa_tunnel::overlay::{Connection, Credential, Link, OverlayTable};

use crate::config::Overlay;
use crate::fleet::Tables;
use crate::runtime::Observation;

/// Links on other machines.
#[derive(Default)]
pub(super) struct Away {
    machines: BTreeMap<String, Machine>,
}

struct Machine {
    /// Where it is; `None`: that is not known.
    at: Option<IpAddr>,
    links: Vec<Link>,
}

impl Away {
    /// The machines on which something was found. One that does not answer is
    /// left out: what it has stays.
    pub(super) fn of(seen: &Observation) -> Self {
        let mut machines = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for place in seen.instances.values().map(|instance| &instance.place) {
            let Some(host) = &place.host else { continue };
            if place.unknown {
                unknown.insert(host);
            }
            let at = place.hop.as_ref().map(|hop| hop.relay.ip());
            machines.insert(host.clone(), Machine { at, links: vec![] });
        }
        machines.retain(|host, _| !unknown.contains(host));
        Self { machines }
    }

    pub(super) fn add(&mut self, host: &str, link: Link) {
        if let Some(machine) = self.machines.get_mut(host) {
            machine.links.push(link);
        }
    }

    /// The connections that are dialled from other machines.
    pub(super) fn dialled(&self) -> BTreeSet<String> {
        dialled(self.machines.values().flat_map(|machine| &machine.links))
    }

    /// Each machine's table, out of that of all. `own` are the tunnels that
    /// end at this provider. Also what stands in the way, in words.
    pub(super) fn tables(
        self,
        all: &OverlayTable,
        own: &BTreeSet<String>,
        settings: &Overlay,
    ) -> (Tables, Vec<String>) {
        let (mut tables, mut problems) = (Tables::new(), vec![]);
        for (host, machine) in self.machines {
            let ids = dialled(machine.links.iter());
            let mut outgoing = all.outgoing.clone();
            outgoing.retain(|connection| ids.contains(&connection.id));
            let inside = match machine.at {
                _ if !settings.advertise_inside.is_empty() => settings.advertise_inside.clone(),
                Some(at) => endpoints_for(at, &settings.listen),
                None => vec![],
            };
            let mut ends_here = false;
            for backend in outgoing.iter_mut().flat_map(|connection| &mut connection.backends) {
                if own.contains(&backend.tunnel.descriptor) {
                    ends_here = true;
                    backend.endpoints.clone_from(&inside);
                }
            }
            if ends_here && inside.is_empty() {
                problems.push(format!(
                    "the machine {host}: it is not known where it reaches the tunnels of this \
                     one; overlay.advertise_inside says it"
                ));
            }
            let table = OverlayTable {
                links: machine.links,
                credentials: credentials_of(&outgoing, all),
                outgoing,
                resolvers: settings.resolvers.clone(),
                ..OverlayTable::default()
            };
            tables.insert(host, table);
        }
        (tables, problems)
    }
}

/// The connections that links lead to.
pub(super) fn dialled<'a>(links: impl Iterator<Item = &'a Link>) -> BTreeSet<String> {
    links.flat_map(|link| &link.ports).map(|port| port.connection.clone()).collect()
}

fn credentials_of(outgoing: &[Connection], all: &OverlayTable) -> Vec<Credential> {
    let used: BTreeSet<&str> =
        outgoing.iter().flat_map(|c| &c.backends).map(|b| b.credential.as_str()).collect();
    all.credentials.iter().filter(|c| used.contains(c.id.as_str())).cloned().collect()
}

/// Where a machine at that address reaches the tunnels of this one: at the
/// address by which this one speaks to it, if they are taken there; else
/// wherever they are.
fn endpoints_for(at: IpAddr, listen: &[SocketAddr]) -> Vec<String> {
    let own = address_towards(at);
    let taken = |own: &IpAddr, listen: &SocketAddr| {
        // A socket on all addresses of IPv6 takes IPv4, too.
        let all = listen.ip().is_unspecified() && (listen.is_ipv6() || own.is_ipv4());
        all || listen.ip() == *own
    };
    if let Some(own) = own {
        if let Some(listen) = listen.iter().find(|listen| taken(&own, listen)) {
            return vec![SocketAddr::new(own, listen.port()).to_string()];
        }
    }
    let elsewhere =
        |listen: &&SocketAddr| !listen.ip().is_unspecified() && !listen.ip().is_loopback();
    listen.iter().filter(elsewhere).map(SocketAddr::to_string).collect()
}

/// This host's address on the way to another; the kernel says it, nothing is
/// sent.
fn address_towards(at: IpAddr) -> Option<IpAddr> {
    const ANY_PORT: u16 = 9;
    let any: IpAddr = match at {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((at, ANY_PORT)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_unspecified()).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_dials_back_to_the_address_by_which_it_is_reached() {
        let listen = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let here = IpAddr::from([127, 0, 0, 1]);
        let usual = listen(&["0.0.0.0:8444", "[::]:8444"]);
        assert_eq!(endpoints_for(here, &usual), ["127.0.0.1:8444"]);
        assert_eq!(endpoints_for(here, &listen(&["[::]:8445"])), ["127.0.0.1:8445"]);
        let two = listen(&["203.0.113.5:1", "127.0.0.1:2"]);
        assert_eq!(endpoints_for(here, &two), ["127.0.0.1:2"]);
        // Only at another address: there, then.
        assert_eq!(endpoints_for(here, &two[..1]), ["203.0.113.5:1"]);
        assert!(endpoints_for(here, &listen(&["127.0.0.2:1"])).is_empty());
    }
}
