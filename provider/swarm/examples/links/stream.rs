//! One verified stream over TLS on loopback, beside the same bytes over plain
//! TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;
use stoa_swarm::{
    Access, Dial, Hash, Holding, Limits, Rights, Shape, Store, Stream, Swarm, Wanted,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::tls::Tls;

const DEPLOYMENT: &str = "stoa1bench/1";
const ROUNDS: usize = 5;

/// Seconds for plain bytes and for verified ones, both onto the disk.
pub fn both(bytes: Vec<u8>) -> Result<(Duration, Duration)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let bytes = Arc::new(bytes);
        let (mut plains, mut verifieds) = (vec![], vec![]);
        // In turns, so that what else the machine does falls on both.
        for _ in 0..ROUNDS {
            plains.push(plain(&bytes).await?);
            verifieds.push(verified(&bytes).await?);
        }
        Ok((middle(plains), middle(verifieds)))
    })
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn plain(bytes: &Arc<Vec<u8>>) -> Result<Duration> {
    let (tls, (listener, address)) = (Tls::new()?, listen().await?);
    let (bytes, serving) = (Arc::clone(bytes), tls.clone());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = serving.accept(stream).await?;
        for part in bytes.chunks(64 << 10) {
            stream.write_all(part).await?;
        }
        stream.shutdown().await
    });
    let begun = Instant::now();
    let mut stream = tls.connect(TcpStream::connect(address).await?).await?;
    let mut file = tempfile::tempfile()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            read => io::Write::write_all(&mut file, &buffer[..read])?,
        }
    }
    file.sync_data()?;
    Ok(begun.elapsed())
}

async fn verified(bytes: &Arc<Vec<u8>>) -> Result<Duration> {
    let (tls, (listener, address)) = (Tls::new()?, listen().await?);
    let source = Arc::new(Holding::of_bytes(bytes.to_vec()).context("an empty blob")?);
    let one = |name: &str, holding: Arc<Holding>| {
        let dial = Arc::new(To { address, tls: tls.clone() });
        Swarm::new(name, Limits::default(), Arc::new(Anybody(holding)), dial)
    };
    let (serving, server) = (tls.clone(), one("source", Arc::clone(&source)));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        server.accept(serving.accept(stream).await?, "peer").await;
        Ok::<(), io::Error>(())
    });
    let directory = tempfile::tempdir()?;
    let shape = Shape::new(bytes.len() as u64).context("the size is out of range")?;
    let begun = Instant::now();
    let part = Store::open(directory.path()).holding(source.root(), shape)?;
    let client = one("peer", Arc::clone(&part));
    client.set_peers(DEPLOYMENT, ["source".to_owned()]);
    let mut fetch = client.fetch(DEPLOYMENT, Wanted::Blob(part));
    fetch.finished().await.context("given up")?;
    let took = begun.elapsed();
    client.leave(DEPLOYMENT);
    Ok(took)
}

struct Anybody(Arc<Holding>);

#[async_trait]
impl Access for Anybody {
    async fn rights(&self, _deployment: &str, _peer: &str) -> Option<Rights> {
        Some(Rights { may_fetch: true })
    }

    async fn holding(&self, _deployment: &str, root: &Hash) -> Option<Arc<Holding>> {
        (*root == self.0.root()).then(|| Arc::clone(&self.0))
    }
}

struct To {
    address: SocketAddr,
    tls: Tls,
}

#[async_trait]
impl Dial for To {
    async fn dial(&self, _peer: &str) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await?;
        Ok(Box::new(self.tls.connect(stream).await?))
    }
}
