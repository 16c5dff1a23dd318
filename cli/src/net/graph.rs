//! Both ends' words on each tunnel, joined; and whether a certificate is
//! what the chain vouches for.

use std::collections::BTreeMap;

use stoa_client::tls;
use stoa_proto::{
    gateway::v1::{Connection, ConnectionEnd},
    provider::v1::Provider,
};

use super::roots;
use crate::text;

/// A service at a placement of a provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    pub provider: String,
    pub placement: String,
    pub service: String,
}

/// One tunnel, as its ends tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wire {
    pub from: End,
    pub to: End,
    pub port: u32,
    pub transport: String,
    /// What the dialling end says.
    pub outgoing: Option<Connection>,
    /// What the dialled end says.
    pub incoming: Option<Connection>,
}

/// Joins the two ends' words, by the tunnel's name.
pub fn merge(ends: impl Iterator<Item = Connection>) -> Vec<Wire> {
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    for said in ends {
        let wire = wires.entry(said.name.clone()).or_insert_with(|| Wire {
            from: end(said.from.as_ref()),
            to: end(said.to.as_ref()),
            port: said.port,
            transport: said.transport.clone(),
            outgoing: None,
            incoming: None,
        });
        match said.incoming {
            true => wire.incoming = Some(said),
            false => wire.outgoing = Some(said),
        }
    }
    let mut wires: Vec<Wire> = wires.into_values().collect();
    wires.sort_by(|a, b| (&a.from, &a.to, a.port).cmp(&(&b.from, &b.to, b.port)));
    wires
}

fn end(said: Option<&ConnectionEnd>) -> End {
    let said = said.cloned().unwrap_or_default();
    let provider = said.lease.map(|lease| lease.provider).unwrap_or_default();
    End { provider, placement: said.placement, service: said.service }
}

/// What a certificate of a tunnel says, and which root on chain vouches for
/// it, checked here and now.
pub fn vouched(der: &[u8], record: Option<&Provider>) -> Vec<String> {
    if der.is_empty() {
        return vec!["no certificate yet".into()];
    }
    let roots = record.map(roots).unwrap_or_default();
    let vouching = tls::vouching_root(der, &roots);
    let name = tls::dns_names(der).map(|names| names.join(", ")).unwrap_or_default();
    let ends = tls::validity(der).map_or(0, |v| u64::try_from(v.not_after).unwrap_or(0));
    vec![
        format!("certificate {} for {name}", short_print(der)),
        format!("ends {}", text::when(ends, text::now())),
        match vouching {
            Some(root) => format!("signed by the root on chain {}", short_print(root)),
            None => "NOT SIGNED by a root on chain".into(),
        },
    ]
}

fn short_print(der: &[u8]) -> String {
    let print = tls::fingerprint(der);
    format!("{}…{}", &print[..16], &print[56..])
}

#[cfg(test)]
mod tests {
    use stoa_client::tls::{provider_root, tunnel_leaf};

    use super::*;

    fn said(name: &str, incoming: bool) -> Connection {
        Connection { name: name.into(), incoming, port: 80, ..Connection::default() }
    }

    #[test]
    fn both_ends_of_a_tunnel_are_one_wire() {
        let wires = merge([said("b", true), said("a", false), said("a", true)].into_iter());
        let ends = |wire: &Wire| (wire.outgoing.is_some(), wire.incoming.is_some());
        assert_eq!(wires.iter().map(ends).collect::<Vec<_>>(), [(true, true), (false, true)]);
    }

    #[test]
    fn only_a_root_that_the_chain_records_vouches() {
        let (root, other) = (provider_root("p", 1).unwrap(), provider_root("p", 1).unwrap());
        let leaf = tunnel_leaf(&root, "x.tunnel.stoa.invalid", 3_600).unwrap();
        let record = |root: &tls::Identity| Provider {
            root_certificate: root.certificate().to_vec(),
            ..Provider::default()
        };
        let lines = vouched(leaf.certificate(), Some(&record(&root)));
        assert!(lines[0].ends_with("for x.tunnel.stoa.invalid"), "{lines:?}");
        assert!(lines[2].starts_with("signed by the root on chain"), "{lines:?}");
        let lines = vouched(leaf.certificate(), Some(&record(&other)));
        assert!(lines[2].starts_with("NOT SIGNED"), "{lines:?}");
    }
}
