use super::*;

fn table() -> OverlayTable {
    let tunnel = |descriptor: &str| TunnelId {
        descriptor: descriptor.into(),
        peer_roots: vec![PeerRoot(vec![1, 2, 3])],
    };
    let backend = Backend {
        tunnel: tunnel("a to b"),
        endpoints: vec!["b.example:8444".into(), "[2001:db8::1]:8444".into()],
        credential: "mine".into(),
    };
    let port = Port {
        address: "10.0.0.5".parse().unwrap(),
        port: 80,
        transport: Transport::Tcp,
        connection: "web to api".into(),
    };
    OverlayTable {
        listen: vec!["0.0.0.0:8444".parse().unwrap(), "[::]:8444".parse().unwrap()],
        links: vec![Link {
            instance: "l/web[0]".into(),
            link: "x-link".into(),
            netns: "/run/docker/netns/1".into(),
            prefix: 28,
            dns: "10.0.0.2:53".parse().unwrap(),
            egress: false,
            search: vec![],
            names: vec![Name { name: "api".into(), address: port.address }],
            ports: vec![port],
        }],
        outgoing: vec![Connection { id: "web to api".into(), backends: vec![backend] }],
        incoming: vec![Served {
            tunnel: tunnel("c to d"),
            transport: Transport::Udp,
            credential: "mine".into(),
            targets: vec![],
        }],
        credentials: vec![Credential {
            id: "mine".into(),
            chain: String::new(),
            key: String::new(),
        }],
        resolvers: vec![],
    }
}

#[test]
fn a_table_is_the_same_after_its_way_through_json_and_a_small_one_is_enough() {
    let table = table();
    table.validate().unwrap();
    let text = serde_json::to_string(&table).unwrap();
    assert!(text.contains("\"010203\""), "roots are hex: {text}");
    assert_eq!(serde_json::from_str::<OverlayTable>(&text).unwrap(), table);
    let small: OverlayTable = serde_json::from_str(r#"{"listen":[]}"#).unwrap();
    assert_eq!(small, OverlayTable::default());
}

#[test]
fn refuses_what_could_not_be_served() {
    type Change = fn(&mut OverlayTable);
    let refusals: &[(&str, Change)] = &[
        ("listened on", |t| t.listen[0].set_port(0)),
        ("no credential", |t| t.credentials.clear()),
        ("credential \"mine\" is there twice", |t| {
            let again = t.credentials.clone();
            t.credentials.extend(again);
        }),
        ("no connection", |t| t.outgoing.clear()),
        ("incoming tunnel", |t| {
            let again = t.incoming.clone();
            t.incoming.extend(again);
        }),
        ("goes out in two ways", |t| {
            let mut other = t.outgoing[0].clone();
            other.id = "other".into();
            other.backends[0].endpoints.pop();
            t.outgoing.push(other);
        }),
        ("host:port", |t| t.outgoing[0].backends[0].endpoints.push("b.example".into())),
        ("peer roots", |t| t.incoming[0].tunnel.peer_roots.clear()),
        ("printable", |t| t.incoming[0].tunnel.descriptor = "a\nb".into()),
        ("absolute", |t| t.links[0].netns = "netns".into()),
        ("prefix", |t| t.links[0].prefix = 33),
        ("virtual address", |t| t.links[0].ports[0].address = "10.0.0.2".parse().unwrap()),
        ("virtual address", |t| t.links[0].names[0].address = "fd00::1".parse().unwrap()),
        ("two addresses", |t| {
            let name = Name { name: "API".into(), ..t.links[0].names[0].clone() };
            t.links[0].names.push(name);
        }),
        ("twice", |t| {
            let again = t.links[0].ports.clone();
            t.links[0].ports.extend(again);
        }),
        ("link \"x-link\" is there twice", |t| {
            let again = t.links.clone();
            t.links.extend(again);
        }),
        ("bytes of overlay", |t| {
            let credential = |n: usize| Credential {
                id: n.to_string(),
                chain: "c".repeat(MAX_CHAIN),
                key: String::new(),
            };
            t.credentials.extend((0..MAX_OVERLAY_BYTES / MAX_CHAIN).map(credential));
        }),
    ];
    for (word, change) in refusals {
        let mut table = table();
        change(&mut table);
        let error = table.validate().unwrap_err();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn one_tunnel_may_serve_several_connections() {
    let mut table = table();
    let again = Connection { id: "other".into(), ..table.outgoing[0].clone() };
    table.outgoing.push(again);
    table.validate().unwrap();
}
