use super::super::table::{Connection, Link, Name, PeerRoot, Port, Served, TunnelId};
use super::*;
use crate::routes::{Target, Transport};

const ADDRESS: [u8; 4] = [10, 0, 0, 5];

fn tunnel(descriptor: &str) -> TunnelId {
    TunnelId { descriptor: descriptor.into(), peer_roots: vec![PeerRoot(vec![1, 2, 3])] }
}

fn backend(descriptor: &str) -> Backend {
    let endpoints = vec!["b.example:8444".into()];
    Backend { tunnel: tunnel(descriptor), endpoints, credential: "mine".into() }
}

fn served(descriptor: &str) -> Served {
    let (transport, credential) = (Transport::Tcp, "mine".into());
    Served { tunnel: tunnel(descriptor), transport, credential, targets: vec![] }
}

fn port(number: u16, connection: &str) -> Port {
    let connection = connection.into();
    Port { address: ADDRESS.into(), port: number, transport: Transport::Tcp, connection }
}

fn link(name: &str, ports: Vec<Port>) -> Link {
    Link {
        instance: format!("l/{name}[0]"),
        link: name.into(),
        netns: "/run/docker/netns/1".into(),
        prefix: 28,
        dns: "10.0.0.2:53".parse().unwrap(),
        egress: false,
        search: vec![],
        names: vec![Name { name: "api".into(), address: ADDRESS.into() }],
        ports,
    }
}

fn table() -> OverlayTable {
    let credential = Credential { id: "mine".into(), chain: String::new(), key: String::new() };
    OverlayTable {
        listen: vec!["0.0.0.0:8444".parse().unwrap()],
        links: vec![link("good", vec![port(80, "good")])],
        outgoing: vec![Connection { id: "good".into(), backends: vec![backend("good")] }],
        incoming: vec![served("served")],
        credentials: vec![credential],
        resolvers: vec![],
    }
}

#[test]
fn each_part_that_would_spoil_the_table_is_left_out_and_told_and_the_rest_stays() {
    type Change = fn(&mut OverlayTable);
    let changes: &[(&str, Change)] = &[
        ("host:port", |t| {
            let mut bad = backend("bad");
            bad.endpoints.push("a:0".into());
            t.outgoing[0].backends.push(bad);
        }),
        ("peer roots", |t| {
            let mut bad = backend("bad");
            bad.tunnel.peer_roots.clear();
            t.outgoing[0].backends.push(bad);
        }),
        ("no credential", |t| {
            t.outgoing[0].backends.push(Backend { credential: "x".into(), ..backend("bad") });
        }),
        ("two ways", |t| {
            let mut bad = backend("good");
            bad.endpoints.clear();
            t.outgoing[0].backends.push(bad);
        }),
        ("twice", |t| {
            let again = t.outgoing[0].clone();
            t.outgoing.push(again);
        }),
        ("in twice", |t| t.incoming.push(served("served"))),
        ("no credential", |t| {
            t.incoming.push(Served { credential: "x".into(), ..served("bad") });
        }),
        ("not a workload's address", |t| {
            let target = Target {
                instance: "x".into(),
                link: "x".into(),
                netns: "/x".into(),
                address: "0.0.0.0:1".parse().unwrap(),
                hop: None,
            };
            t.incoming.push(Served { targets: vec![target], ..served("bad") });
        }),
        ("too long", |t| {
            let chain = "x".repeat(MAX_OVERLAY_BYTES);
            t.credentials.push(Credential { id: "x".into(), chain, key: String::new() });
        }),
        ("absolute", |t| {
            let mut bad = link("bad", vec![]);
            bad.netns = "netns".into();
            t.links.push(bad);
        }),
        ("twice", |t| t.links.push(link("good", vec![]))),
        ("no connection", |t| t.links[0].ports.push(port(81, "nowhere"))),
        ("twice, or 0", |t| t.links[0].ports.push(port(80, "good"))),
        ("not a host name", |t| {
            let bad = Name { name: "a b".into(), address: ADDRESS.into() };
            t.links[0].names.push(bad);
        }),
        ("listened on", |t| t.listen.push("0.0.0.0:0".parse().unwrap())),
    ];
    for (word, change) in changes {
        let mut table = table();
        change(&mut table);
        assert!(table.validate().is_err(), "{word}");
        let problems = table.sift();
        table.validate().unwrap();
        assert!(problems.len() == 1 && problems[0].contains(word), "{word}: {problems:?}");
        assert_eq!(table, self::table(), "{word}: the rest is as it was");
    }
    assert!(table().sift().is_empty());
}

#[test]
fn a_link_with_more_ports_than_one_may_have_keeps_as_many_as_that() {
    let mut table = table();
    let many = (1..=300).map(|number| port(number, "good")).collect();
    table.links.insert(0, link("greedy", many));
    assert!(table.validate().is_err());
    assert_eq!(table.sift().len(), 300 - MAX_LINK_ENTRIES);
    table.validate().unwrap();
    assert_eq!((table.links[0].ports.len(), table.links[1].ports.len()), (MAX_LINK_ENTRIES, 1));
}

#[test]
fn more_tunnels_than_a_table_has_room_for_are_cut_off_both_ways() {
    let mut table = table();
    let ids = (0..MAX_TUNNELS + 5).map(|n| n.to_string());
    let many = |id: &String| Connection { id: id.clone(), backends: vec![backend(id)] };
    table.outgoing.extend(ids.clone().map(|id| many(&id)));
    table.incoming.extend(ids.map(|id| served(&id)));
    table.sift();
    table.validate().unwrap();
    assert_eq!((table.outgoing.len(), table.incoming.len()), (MAX_TUNNELS, MAX_TUNNELS));
    assert_eq!(table.links[0].ports.len(), 1, "what comes first stays");
    // Bytes, too.
    let mut table = self::table();
    let root = PeerRoot(vec![7; 4_096]);
    for number in 1..MAX_TUNNELS {
        let mut more = served(&number.to_string());
        more.tunnel.peer_roots = vec![root.clone()];
        table.incoming.push(more);
    }
    assert!(table.validate().unwrap_err().contains("bytes"));
    table.sift();
    table.validate().unwrap();
    assert!(table.incoming.len() > MAX_TUNNELS / 4);
}
