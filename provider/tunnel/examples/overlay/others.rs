//! Others' programs, as pairs with certificates on both sides.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::root::Root;
use crate::world::{Running, World, ECHO, SINK};

/// Pairs of others' proxies: name, ports' offset, processes.
#[derive(Default)]
pub struct Others {
    pub ways: Vec<(&'static str, u16, Vec<u32>)>,
    _running: Vec<Running>,
}

impl Others {
    pub fn start(world: &World, programs: &Path) -> Result<Self> {
        let directory = world.directory.path();
        let (client, server) = (Root::new("client")?, Root::new("server")?);
        for (side, root) in [("client", &client), ("server", &server)] {
            let leaf = root.issue(side, "bench.invalid")?;
            fs::write(directory.join(format!("{side}.pem")), leaf.chain + &leaf.key)?;
            fs::write(directory.join(format!("{side}-root.pem")), &root.pem)?;
        }
        let mut others = Self::default();
        for (name, offset, write) in [
            ("haproxy", 1000, haproxy as fn(&Path, &str, u16) -> String),
            ("stunnel", 2000, stunnel as fn(&Path, &str, u16) -> String),
        ] {
            let mut pids = vec![];
            for side in ["server", "client"] {
                let path = directory.join(format!("{name}-{side}.conf"));
                fs::write(&path, write(directory, side, offset))?;
                let program = if name == "haproxy" { "haproxy" } else { "stunnel4" };
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", world.netns().display()));
                command.arg(programs.join(program)).env("LD_LIBRARY_PATH", programs);
                if name == "haproxy" {
                    command.arg("-f");
                }
                let quiet = command.arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
                let running = Running(quiet.spawn()?);
                pids.push(running.0.id());
                others._running.push(running);
            }
            others.ways.push((name, offset, pids));
        }
        std::thread::sleep(Duration::from_secs(1));
        Ok(others)
    }
}

/// Where the pair's inner hop is.
fn inner(port: u16, offset: u16) -> String {
    format!("127.0.0.1:{}", port + offset + 500)
}

fn haproxy(directory: &Path, side: &str, offset: u16) -> String {
    let directory = directory.display();
    let mut text = String::from(
        "global\n nbthread 2\n tune.bufsize 131072\n tune.ssl.cachesize 0\n maxconn 1000\n\
         defaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n",
    );
    for port in [SINK, ECHO] {
        let hop = inner(port, offset);
        let suites = "TLS_AES_128_GCM_SHA256";
        text += &match side {
            "client" => format!(
                "listen l{port}\n bind 10.88.0.2:{}\n server s {hop} ssl crt {directory}/client.pem \
                 verify required ca-file {directory}/server-root.pem ssl-min-ver TLSv1.3 \
                 ciphersuites {suites}\n",
                port + offset
            ),
            _ => format!(
                "listen l{port}\n bind {hop} ssl crt {directory}/server.pem verify required \
                 ca-file {directory}/client-root.pem ssl-min-ver TLSv1.3 ciphersuites {suites}\n \
                 server s 10.88.0.3:{port}\n"
            ),
        };
    }
    text
}

fn stunnel(directory: &Path, side: &str, offset: u16) -> String {
    let directory = directory.display();
    let peer = if side == "client" { "server" } else { "client" };
    let mut text = format!(
        "foreground = yes\npid =\ndebug = 0\nsslVersion = TLSv1.3\n\
         ciphersuites = TLS_AES_128_GCM_SHA256\nverifyChain = yes\n\
         CAfile = {directory}/{peer}-root.pem\ncert = {directory}/{side}.pem\n\
         socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
    );
    for port in [SINK, ECHO] {
        let hop = inner(port, offset);
        text += &match side {
            "client" => format!(
                "[l{port}]\nclient = yes\naccept = 10.88.0.2:{}\nconnect = {hop}\n",
                port + offset
            ),
            _ => format!("[l{port}]\naccept = {hop}\nconnect = 10.88.0.3:{port}\n"),
        };
    }
    text
}
