//! How long others take over the same links: one copy after the other by
//! curl, and all at once by rsync where it is installed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::world::World;

const HTTP: u16 = 8000;
const RSYNC: u16 = 8730;

/// Each peer gets the whole from the source, when the one before has it.
pub fn one_by_one(world: &World, bytes: &[u8], peers: usize) -> Result<Duration> {
    serve(world, bytes.to_vec())?;
    let url = format!("http://{}:{HTTP}/", World::address(0).ip());
    let directory = tempfile::tempdir()?;
    let begun = Instant::now();
    for peer in 1..=peers {
        let file = directory.path().join(peer.to_string());
        let mut command = world.command(peer, "curl");
        let status = command.args(["-sSf", "-o"]).arg(&file).arg(&url).status()?;
        ensure!(status.success(), "curl: {status}");
        ensure!(fs::metadata(&file)?.len() == bytes.len() as u64, "curl got too little");
    }
    Ok(begun.elapsed())
}

/// All peers at once from the source. None: there is no rsync.
pub fn rsync(world: &World, bytes: &[u8], peers: usize) -> Result<Option<Duration>> {
    if world.command(0, "rsync").arg("--version").output().map_or(true, |o| !o.status.success()) {
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    let mut daemon = Ended(daemon(world, directory.path(), bytes)?);
    let begun = Instant::now();
    let mut copies = vec![];
    for peer in 1..=peers {
        let from = format!("rsync://{}:{RSYNC}/all/blob", World::address(0).ip());
        let to = directory.path().join(peer.to_string());
        let mut command = world.command(peer, "rsync");
        copies.push(command.args(["--whole-file", &from]).arg(to).spawn()?);
    }
    for mut copy in copies {
        let status = copy.wait()?;
        ensure!(status.success(), "rsync: {status}");
    }
    let took = begun.elapsed();
    daemon.0.kill()?;
    Ok(Some(took))
}

/// A process that ends with its handle.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn daemon(world: &World, directory: &Path, bytes: &[u8]) -> Result<Child> {
    fs::write(directory.join("blob"), bytes)?;
    let settings = directory.join("rsyncd.conf");
    let mut file = fs::File::create(&settings)?;
    writeln!(
        file,
        "use chroot = no\nuid = root\ngid = root\n[all]\npath = {}",
        directory.display()
    )?;
    let mut command = world.command(0, "rsync");
    command.args(["--daemon", "--no-detach", "--port", &RSYNC.to_string(), "--config"]);
    let mut child = command.arg(&settings).stdout(Stdio::null()).spawn()?;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let url = format!("rsync://{}:{RSYNC}/", World::address(0).ip());
        let asked = world.command(0, "rsync").arg(&url).stderr(Stdio::null()).output()?;
        if asked.status.success() {
            return Ok(child);
        }
        if Instant::now() > until {
            let _ = child.kill();
            anyhow::bail!("the rsync daemon does not start");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server of one file, in the source's namespace, for as long as the program runs.
fn serve(world: &World, bytes: Vec<u8>) -> Result<()> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        // Bound by a thread that enters the namespace and ends.
        scope.spawn(move || {
            let bound = world
                .enter(0)
                .and_then(|()| Ok(std::net::TcpListener::bind((World::address(0).ip(), HTTP))?));
            let _ = tell.send(bound);
        });
    });
    let bound = told.recv().context("binding")??;
    std::thread::spawn(move || -> Result<()> {
        bound.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(bound)?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                let _ = stream.read(&mut [0; 4096]).await?;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    bytes.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
            }
        })
    });
    Ok(())
}
