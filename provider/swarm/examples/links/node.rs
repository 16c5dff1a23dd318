//! One host's engine, on a thread in its namespace.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;
use stoa_swarm::{
    Access, Dial, Hash, Holding, Limits, Rights, Shape, Store, Stream, Swarm, Wanted,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::tls::Tls;
use super::world::World;

const DEPLOYMENT: &str = "stoa1bench/1";

/// What all hosts of a run share.
pub struct Run {
    pub world: World,
    pub tls: Tls,
    pub root: Hash,
    pub size: u64,
    /// All hosts; the first one is the source.
    pub hosts: usize,
    /// They begin together.
    pub ready: Barrier,
    pub end: watch::Receiver<bool>,
}

/// What a host did, in bytes of pieces.
#[derive(Debug, Clone, Copy)]
pub struct Did {
    pub sent: u64,
    /// Came though they were here.
    pub wasted: u64,
}

/// Runs a host until the run ends; tells how long its fetch took. Blocks.
pub fn host(
    run: &Run,
    host: usize,
    holding: Arc<Holding>,
    told: impl FnOnce(Duration),
) -> Result<Did> {
    run.world.enter(host)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(World::address(host)).await.context("listening")?;
        let access = Arc::new(Anybody(Arc::clone(&holding)));
        let dial = Arc::new(Links { tls: run.tls.clone() });
        let usual = Limits::default();
        // A test's machine halts at times: what is late there is not the links' doing.
        let overdue = if cfg!(test) { Duration::from_secs(20) } else { usual.overdue };
        let limits = Limits {
            overdue,
            backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            ..usual
        };
        let swarm = Swarm::new(&World::address(host).ip().to_string(), limits, access, dial);
        tokio::spawn(accept(listener, run.tls.clone(), swarm.clone()));
        run.ready.wait();
        let begun = Instant::now();
        if !holding.is_finished() {
            let peers = (0..run.hosts).map(|peer| World::address(peer).ip().to_string());
            swarm.set_peers(DEPLOYMENT, peers);
            let mut fetch = swarm.fetch(DEPLOYMENT, Wanted::Blob(holding));
            fetch.finished().await.context("given up")?;
        }
        let took = begun.elapsed();
        let mut end = run.end.clone();
        told(took);
        let _ = end.wait_for(|ended| *ended).await;
        let counters = swarm.counters();
        Ok(Did { sent: counters.bytes_sent(), wasted: counters.bytes_wasted() })
    })
}

async fn accept(listener: TcpListener, tls: Tls, swarm: Swarm) {
    while let Ok((stream, from)) = listener.accept().await {
        let (tls, swarm) = (tls.clone(), swarm.clone());
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                swarm.accept(stream, &from.ip().to_string()).await;
            }
        });
    }
}

/// A host's blob on disk, begun.
pub fn part(directory: &Path, run: &Run) -> Result<Arc<Holding>> {
    let shape = Shape::new(run.size).context("the size is out of range")?;
    Ok(Store::open(directory).holding(run.root, shape)?)
}

struct Anybody(Arc<Holding>);

#[async_trait]
impl Access for Anybody {
    async fn rights(&self, deployment: &str, _peer: &str) -> Option<Rights> {
        (deployment == DEPLOYMENT).then_some(Rights { may_fetch: true })
    }

    async fn holding(&self, _deployment: &str, root: &Hash) -> Option<Arc<Holding>> {
        (*root == self.0.root()).then(|| Arc::clone(&self.0))
    }
}

struct Links {
    tls: Tls,
}

#[async_trait]
impl Dial for Links {
    async fn dial(&self, peer: &str) -> io::Result<Box<dyn Stream>> {
        let ip = peer.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect(SocketAddr::new(ip, super::world::PORT)).await?;
        Ok(Box::new(self.tls.connect(stream).await?))
    }
}
