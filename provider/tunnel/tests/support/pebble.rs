//! Pebble, Let's Encrypt's ACME server for tests, and the DNS server that it
//! asks: every name is this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::tls::{TlsClient, Trust};

pub struct Pebble {
    api: SocketAddr,
    management: SocketAddr,
    directory: tempfile::TempDir,
    child: Child,
    _dns: Dns,
}

impl Pebble {
    /// One whose certificates are valid for so many seconds, and that checks
    /// names at a port of this machine.
    pub async fn start(program: &Path, http_port: u16, validity: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (api, management) = (free(), free());
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]);
        let made = made.unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("api.crt"), made.cert.pem()).unwrap();
        std::fs::write(path("api.key"), made.signing_key.serialize_pem()).unwrap();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": api.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": path("api.crt"),
            "privateKey": path("api.key"),
            "httpPort": http_port,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "domainBlocklist": ["blocked.tenant.example"],
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": { "default": { "description": "brief", "validityPeriod": validity } },
        }});
        std::fs::write(path("config.json"), config.to_string()).unwrap();
        let dns = Dns::start();
        let child = Command::new(program)
            .arg("-config")
            .arg(path("config.json"))
            .args(["-dnsserver", &dns.address.to_string()])
            // It would wait up to 15 s before each look, to be like the real one.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pebble = Self { api, management, directory, child, _dns: dns };
        for _ in 0..1200 {
            if tokio::net::TcpStream::connect(api).await.is_ok() {
                return pebble;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("pebble did not start");
    }

    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.api)
    }

    pub fn api_certificate(&self) -> PathBuf {
        self.directory.path().join("api.crt")
    }

    /// The root that it signs with, made anew at each start.
    pub async fn roots(&self) -> Trust {
        let trust = Trust::file(&self.api_certificate());
        let client = TlsClient::new(self.management, &trust, &[b"http/1.1"]);
        let answer = client.get("localhost", "/roots/0").await.unwrap();
        let (_, pem) = answer.split_once("-----BEGIN").expect(&answer);
        Trust::pem(format!("-----BEGIN{pem}").as_bytes())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Answers every question for an IPv4 address with 127.0.0.1, and knows
/// nothing else. Over TCP, as Pebble asks.
struct Dns {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
}

impl Dns {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ending);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                // RFC 1035, 4.2.2: a length before each message.
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                    let Ok(()) = stream.read_exact(&mut query) else { break };
                    let reply = reply(&query);
                    let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length, &reply[..]].concat());
                }
            }
        });
        Self { address, ending }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

/// RFC 1035, 4.1: the question back, and one A record where one is asked for.
fn reply(query: &[u8]) -> Vec<u8> {
    const HEADER: usize = 12;
    let name = query[HEADER..].iter().position(|byte| *byte == 0).unwrap();
    let end = HEADER + name + 5;
    let is_address = query[end - 4..end] == [0, 1, 0, 1];
    let mut reply = query[..end].to_vec();
    reply[2..HEADER].copy_from_slice(&[0x81, 0x80, 0, 1, 0, is_address.into(), 0, 0, 0, 0]);
    if is_address {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    reply
}
