//! A fetch whose process is killed goes on where it was.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use stoa_swarm::{Access, Dial, Hash, Holding, Rights, Shape, Store, Stream, Swarm, Wanted, PIECE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use support::{content, limits, read_blob, whole, DEPLOYMENT};

const PIECES: usize = 1024;
const KILLS: u64 = 3;
/// Set for the process that fetches: where to, what, from where.
const CHILD: &str = "STOA_SWARM_RESUME_CHILD";

#[test]
fn kills_at_any_time_cost_at_most_one_in_a_hundred_bytes_each() {
    if let Ok(arguments) = std::env::var(CHILD) {
        return fetch_in_child(&arguments);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(parent());
}

async fn parent() {
    let bytes = content(PIECES * PIECE as usize);
    let source = whole(&bytes);
    let needed: u64 = (0..PIECES as u32).map(|p| source.encode(p).unwrap().len() as u64).sum();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let forwarded = Arc::new(AtomicU64::new(0));
    tokio::spawn(serve(listener, Arc::clone(&source), Arc::clone(&forwarded)));
    let dir = tempfile::tempdir().unwrap();
    let arguments =
        format!("{} {} {} {address}", dir.path().display(), source.root().to_hex(), bytes.len());
    for kill in 0..KILLS {
        // Somewhere in the kill's own part of the blob.
        let part = needed / (KILLS + 1);
        let at = part * kill + rand::thread_rng().gen_range(part / 4..part);
        let mut child = start(&arguments);
        while forwarded.load(Ordering::Relaxed) < at {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let status = start(&arguments).wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(read_blob(dir.path(), source.root()) == bytes);
    let twice = forwarded.load(Ordering::Relaxed) - needed;
    println!("{KILLS} kills: {twice} of {needed} bytes came twice");
    assert!(twice <= KILLS * needed / 100, "{KILLS} kills: {twice} of {needed} bytes came twice");
}

fn start(arguments: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", "kills_at_any_time_cost_at_most_one_in_a_hundred_bytes_each"]);
    command.env(CHILD, arguments).spawn().unwrap()
}

/// Serves over a slow wire, and counts what goes over it.
async fn serve(listener: TcpListener, source: Arc<Holding>, forwarded: Arc<AtomicU64>) {
    let anybody = Arc::new(Anybody { holding: source, address: None });
    let swarm = Swarm::new("source", limits(), anybody.clone(), anybody);
    loop {
        let (wire, _) = listener.accept().await.unwrap();
        let (here, there) = tokio::io::duplex(16 << 10);
        let (swarm, forwarded) = (swarm.clone(), Arc::clone(&forwarded));
        tokio::spawn(async move { swarm.accept(there, "child").await });
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(here);
            let (mut asks, mut wire) = wire.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut to).await });
            let mut buffer = vec![0; 16 << 10];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                forwarded.fetch_add(read as u64, Ordering::Relaxed);
                if wire.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        });
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_in_child(arguments: &str) {
    let words: Vec<&str> = arguments.split(' ').collect();
    let [directory, root, size, address] = words[..] else { panic!("{arguments}") };
    let shape = Shape::new(size.parse().unwrap()).unwrap();
    let store = Store::open(directory.as_ref());
    let holding = store.holding(Hash::from_hex(root).unwrap(), shape).unwrap();
    let address = Some(address.parse().unwrap());
    let anybody = Arc::new(Anybody { holding: Arc::clone(&holding), address });
    let swarm = Swarm::new("child", limits(), anybody.clone(), anybody);
    swarm.set_peers(DEPLOYMENT, ["source".to_owned()]);
    let fetch = swarm.fetch(DEPLOYMENT, Wanted::Blob(holding));
    support::finished(fetch).await;
}

struct Anybody {
    holding: Arc<Holding>,
    address: Option<SocketAddr>,
}

#[async_trait]
impl Access for Anybody {
    async fn rights(&self, _deployment: &str, _peer: &str) -> Option<Rights> {
        Some(Rights { may_fetch: true })
    }

    async fn holding(&self, _deployment: &str, root: &Hash) -> Option<Arc<Holding>> {
        (*root == self.holding.root()).then(|| Arc::clone(&self.holding))
    }
}

#[async_trait]
impl Dial for Anybody {
    async fn dial(&self, _peer: &str) -> std::io::Result<Box<dyn Stream>> {
        let address = self.address.ok_or(std::io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(TcpStream::connect(address).await?))
    }
}
