//! A small swarm over real links, in network namespaces, with TLS. Needs root
//! and iproute2. `examples/links` measures large ones.

#![allow(clippy::unwrap_used)]

#[path = "../examples/links/node.rs"]
mod node;
#[path = "../examples/links/tls.rs"]
mod tls;
#[allow(dead_code)]
#[path = "../examples/links/trade.rs"]
mod trade;
#[allow(dead_code)]
#[path = "../examples/links/world.rs"]
mod world;

const SIZE: usize = 8 << 20;
const PEERS: usize = 4;
const RATE: u64 = 40_000_000;

#[test]
fn four_peers_get_a_blob_over_slow_links_and_the_source_sends_it_less_than_twice() {
    let outcome = trade::trade(&trade::content(SIZE), PEERS, RATE).unwrap();
    let copies = outcome.source_sent as f64 / SIZE as f64;
    let factor = trade::factor(outcome.worst, SIZE, RATE);
    println!("{factor:.2} times one copy over one link; {copies:.2} copies from the source");
    assert!(copies < 2.0, "{copies} copies; {factor} times one copy over one link");
    // A twentieth may come twice: what was asked again because it was late.
    assert!(outcome.wasted < (SIZE * PEERS / 20) as u64, "{} bytes came twice", outcome.wasted);
}
