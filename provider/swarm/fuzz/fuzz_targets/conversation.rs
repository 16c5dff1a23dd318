//! Any bytes from a peer, behind a right first message, to an engine that has a blob and fetches
//! another one, which it gives up, and wants again, somewhere between them.
#![no_main]

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use stoa_swarm::wire::Message;
use stoa_swarm::{Access, Dial, Hash, Holding, Limits, Rights, Stream, Swarm, Wanted, PIECE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Anybody(Arc<Holding>);

#[async_trait]
impl Access for Anybody {
    async fn rights(&self, _: &str, _: &str) -> Option<Rights> {
        Some(Rights { may_fetch: true })
    }

    async fn holding(&self, _: &str, root: &Hash) -> Option<Arc<Holding>> {
        (*root == self.0.root()).then(|| Arc::clone(&self.0))
    }
}

#[async_trait]
impl Dial for Anybody {
    async fn dial(&self, _: &str) -> io::Result<Box<dyn Stream>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

fn content(first: u8) -> Vec<u8> {
    (0..PIECE + 5).map(|at| first.wrapping_add((at % 251) as u8)).collect()
}

/// Lets the engine hear what was said.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

async fn talk(input: &[u8]) {
    let (cut, input) = input.split_first().map_or((0, input), |(cut, rest)| (*cut, rest));
    let (before, behind) = input.split_at(input.len().min(usize::from(cut) * 4));
    let has = Arc::new(Holding::of_bytes(content(0)).expect("it has bytes"));
    let fetched = Holding::of_bytes(content(1)).expect("it has bytes");
    let limits = Limits { tick: std::time::Duration::from_secs(60), ..Limits::default() };
    let anybody = || Arc::new(Anybody(Arc::clone(&has)));
    let swarm = Swarm::new("me", limits, anybody(), anybody());
    let part = Holding::in_memory(fetched.root(), fetched.shape()).expect("it is small");
    let part = Arc::new(part);
    let _fetch = swarm.fetch("d/1", Wanted::Blob(Arc::clone(&part)));
    let (mut here, there) = tokio::io::duplex(1 << 20);
    let serving = tokio::spawn({
        let swarm = swarm.clone();
        async move { swarm.accept(there, "peer").await }
    });
    let mut said = vec![];
    Message::Hello { deployment: "d/1".into() }.encode(&mut said);
    said.extend(before);
    let _ = here.write_all(&said).await;
    settle().await;
    swarm.forget("d/1", &part.root());
    settle().await;
    let _again = (cut % 2 == 0).then(|| swarm.fetch("d/1", Wanted::Blob(Arc::clone(&part))));
    let _ = here.write_all(behind).await;
    let _ = here.shutdown().await;
    let _ = here.read_to_end(&mut vec![]).await;
    drop(here);
    serving.await.expect("no connection may panic");
    if part.has(0) {
        assert_eq!(part.encode(0).expect("it is here"), fetched.encode(0).expect("it is there"));
    }
    swarm.leave("d/1");
}

fuzz_target!(|input: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(talk(input));
});
