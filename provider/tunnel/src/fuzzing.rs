//! What the fuzz targets call; of no use to anybody else.

use std::net::{IpAddr, Ipv4Addr};

use crate::ingress::fuzz_host;
use crate::live::Routes;
use crate::routes::{is_host_name, RouteTable};

/// A head as lines: the target, then headers as `name: value`.
pub fn host(head: &[u8]) {
    let mut lines = head.split(|byte| *byte == b'\n');
    let Ok(uri) = http::Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let mut builder = http::Request::builder().uri(uri);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        builder = builder.header(name, value.get(1..).unwrap_or_default());
    }
    let Ok(request) = builder.body(()) else { return };
    let (parts, ()) = request.into_parts();
    let Some((host, sent)) = fuzz_host(parts, IpAddr::V4(Ipv4Addr::LOCALHOST)) else { return };
    assert!(is_host_name(&host) && host == host.to_ascii_lowercase(), "{host}");
    assert_eq!(sent.headers.get_all("host").iter().count(), 1);
    for gone in ["te", "trailer", "keep-alive", "proxy-connection", "forwarded"] {
        assert!(!sent.headers.contains_key(gone), "{gone}");
    }
}

/// A table as it comes over the control socket.
pub fn table(bytes: &[u8]) {
    let Ok(mut table) = serde_json::from_slice::<RouteTable>(bytes) else { return };
    if let Err(refused) = table.validate() {
        // Its settings of HTTPS are nobody's to leave out.
        table.tls = None;
        let problems = table.sift();
        assert_eq!(table.validate(), Ok(()), "{refused}: {problems:?}");
    }
    let text = serde_json::to_vec(&table).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<RouteTable>(&text).ok().as_ref(), Some(&table));
    let hosts: Vec<String> = table.routes.iter().flat_map(|route| route.hosts.clone()).collect();
    let routes = Routes::new(table);
    for host in hosts {
        assert!(routes.current().find(&host).is_some(), "{host}");
    }
}

/// A question as a workload asks it, and as a resolver answers it.
pub fn names(bytes: &[u8]) {
    crate::overlay::fuzzing::names(bytes);
}

/// A preface, and an answer to one.
pub fn preface(bytes: &[u8]) {
    crate::overlay::fuzzing::preface(bytes);
}

/// Datagrams of a tunnel, in pieces.
pub fn frames(bytes: &[u8]) {
    crate::overlay::fuzzing::frames(bytes);
}
