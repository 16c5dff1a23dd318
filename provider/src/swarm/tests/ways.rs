//! The ways from provider to provider: IPv4, IPv6, and through a relay.

use super::*;
use crate::relay::{Behind, Own};

const V6: &str = "[::1]:0";

#[tokio::test]
async fn blobs_go_over_ipv4_and_ipv6() {
    if let Err(error) = TcpListener::bind(V6).await {
        println!("not run: this machine has no IPv6 loopback: {error}");
        return;
    }
    let market = Market::open();
    let six = || Setup { listen: V6, ..Setup::default() };
    let a = market.set_up(71, six()).await;
    market.give(&a);
    a.see(true);
    // Each way to each: a to b over IPv6, b to c over IPv4 and IPv6.
    let b = market.site(72).await;
    b.complete(&market).await;
    market.chain.change(|state| {
        state.other_providers.remove(&a.address);
        state.other_leases.retain(|lease| lease.id != a.lease.lease.id);
    });
    let c = market.set_up(73, six()).await;
    c.see(true);
    c.complete(&market).await;
    assert!(a.gateway.is_ipv6() && b.gateway.is_ipv4());
    let from = |site: &Site| {
        let progress = site.swarm.progress(&market.deployment());
        let blob = progress.into_iter().find(|one| one.root == market.blob.root).unwrap();
        blob.from
    };
    assert_eq!(from(&b), BTreeMap::from([(a.address.clone(), market.blob.bytes)]));
    assert_eq!(from(&c), BTreeMap::from([(b.address.clone(), market.blob.bytes)]));
}

#[tokio::test]
async fn a_provider_behind_a_relay_serves_its_peers_through_it() {
    let market = Market::open();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    // The relay has no lease: nothing comes from it but ciphertext.
    let setup = Setup { leased: false, relay: Some(port), ..Setup::default() };
    let relay = market.set_up(81, setup).await;
    let host_uri = Some(format!("https://127.0.0.1:{port}"));
    let a = market.set_up(82, Setup { host_uri, ..Setup::default() }).await;
    market.give(&a);
    a.see(true);
    let own = Own { gateway: a.gateway, tunnels: a.gateway };
    let behind = Behind::new(a.peers.clone(), &relay.address, port, own);
    let mut at = behind.port();
    tokio::spawn(behind.run());
    tokio::time::timeout(LONG, at.wait_for(|at| *at == Some(port))).await.unwrap().unwrap();

    // It knows of the first one's gateway only what the chain says.
    let b = market.site(83).await;
    b.complete(&market).await;
    let sent = a.swarm.counters().bytes_sent();
    assert!(sent >= market.blob.bytes, "{sent} bytes were sent");
    assert_eq!(relay.swarm.counters().bytes_sent(), 0);
    assert!(relay.manifests.list().unwrap().is_empty() && relay.blobs.list().is_empty());
}
