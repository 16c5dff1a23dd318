//! Telling whoever keeps a network to kill or restart one of its programs: a unix socket in the
//! network's directory, one JSON object a line each way.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

use crate::Localnet;

/// Longest request and answer in bytes; an answer may carry the end of a log.
const MAX_LINE: u64 = 256 << 10;

/// How long an order may take: a graceful restart waits for the old process.
const DEADLINE: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Kill a program at once.
    Kill(String),
    /// End a program, where it runs, and start it.
    Restart(String),
}

#[derive(Serialize, Deserialize)]
struct Answer {
    /// Empty: done.
    error: String,
}

/// Answers orders until it is dropped.
#[derive(Debug)]
pub struct Server(tokio::task::JoinHandle<()>);

impl Server {
    /// Listens in the network's directory.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn start(network: Arc<Localnet>) -> Result<Self> {
        let path = socket(network.dir());
        // Left by a network that was killed.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        Ok(Self(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let network = Arc::clone(&network);
                tokio::spawn(async move {
                    // Who asks and goes away gets no answer.
                    let _ = tokio::time::timeout(DEADLINE, serve(stream, network)).await;
                });
            }
        })))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(mut stream: UnixStream, network: Arc<Localnet>) -> Result<()> {
    let mut line = String::new();
    BufReader::new(&mut stream).take(MAX_LINE).read_line(&mut line).await?;
    let order: Order = serde_json::from_str(&line)?;
    let carried_out = tokio::task::spawn_blocking(move || match order {
        Order::Kill(name) => network.kill(&name),
        Order::Restart(name) => network.restart(&name, &[]),
    });
    let error = carried_out.await?.err().map_or_else(String::new, |error| format!("{error:#}"));
    let mut text = serde_json::to_vec(&Answer { error })?;
    text.push(b'\n');
    Ok(stream.write_all(&text).await?)
}

/// Has an order carried out by whoever keeps the network in a directory.
///
/// # Errors
/// If nobody does, or the order fails.
pub async fn ask(dir: &Path, order: &Order) -> Result<()> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket(dir)).await.with_context(|| {
            format!("no network runs in {}; `stoa-localnet up` starts one", dir.display())
        })?;
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        stream.write_all(&text).await?;
        let mut line = String::new();
        BufReader::new(&mut stream).take(MAX_LINE).read_line(&mut line).await?;
        let answer: Answer = serde_json::from_str(&line).context("the network went down")?;
        if !answer.error.is_empty() {
            bail!(answer.error);
        }
        Ok(())
    };
    tokio::time::timeout(DEADLINE, exchange).await.context("the network does not answer")?
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}
