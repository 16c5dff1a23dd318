//! From the front data plane to an instance on another machine: whom the
//! relay lets in, and whom the front believes.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use stoa_tunnel::hop::{
    fingerprint, Hop, HopDialer, InstanceTable, RelayInstance, Wanted, FRONT, TABLE_FILE,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{one_route, request, DataPlane, Namespace, Reply};

const HOST: &str = "n2.hosts.stoa.invalid";
const SECOND: Duration = Duration::from_secs(10);

/// An authority, with its files in a folder.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "machines");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("authority.crt"), certificate.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("authority.crt")
    }

    /// A certificate and key of a name; also says by which fingerprint.
    fn issue(&self, name: &str) -> (PathBuf, String) {
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.dir.path().join(format!("{name}.pem"));
        std::fs::write(&path, certificate.pem() + &key.serialize_pem()).unwrap();
        (path, fingerprint(certificate.der()))
    }
}

struct Relay {
    child: Child,
    address: SocketAddr,
    fingerprint: String,
    state: PathBuf,
}

impl Relay {
    async fn start(authority: &Authority) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let (identity, fingerprint) = authority.issue(HOST);
        let state = authority.dir.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_stoa-tunnel"))
            .args(["relay", "--listen", &address.to_string()])
            .arg("--identity")
            .arg(identity)
            .arg("--authority")
            .arg(authority.certificate())
            .arg("--state")
            .arg(&state)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let relay = Self { child, address, fingerprint, state };
        for _ in 0..600 {
            if TcpStream::connect(address).await.is_ok() {
                return relay;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the relay did not become ready");
    }

    fn serve(&self, instances: &[(&stoa_tunnel::routes::Target, &str)]) {
        let of = |(target, name): &(&stoa_tunnel::routes::Target, &str)| RelayInstance {
            instance: name.to_string(),
            netns: target.netns.clone(),
            address: target.address.ip(),
        };
        let table = InstanceTable { instances: instances.iter().map(of).collect() };
        let new = self.state.join("new");
        std::fs::write(&new, serde_json::to_vec(&table).unwrap()).unwrap();
        std::fs::rename(new, self.state.join(TABLE_FILE)).unwrap();
    }

    fn hop(&self, authority: &Authority, identity: PathBuf) -> Hop {
        Hop {
            host: "n2".into(),
            relay: self.address,
            name: HOST.into(),
            fingerprint: self.fingerprint.clone(),
            identity,
            authority: authority.certificate(),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_instance_on_another_machine_answers_through_its_relay() {
    let (plane, namespace) = (DataPlane::start().await, Namespace::new());
    let authority = Authority::new();
    let relay = Relay::start(&authority).await;
    let there = namespace.serve(1, Reply::Name("from afar"));
    let chatty = namespace.serve(2, Reply::Upgrade);
    relay.serve(&[(&there, "lease/web[0]"), (&chatty, "lease/chat[0]")]);
    let hop = relay.hop(&authority, authority.issue(FRONT).0);
    let mut target = there.clone();
    target.instance = "lease/web[0]".into();
    target.netns = "/only/known/there".into();
    target.hop = Some(hop.clone());
    plane.push(one_route(1, "far.example", &[&target])).await;
    let answer = plane.get("/", "far.example", "").await;
    assert!(answer.ends_with("from afar"), "{answer}");

    // What an upgrade leads to goes the same way.
    target.instance = "lease/chat[0]".into();
    plane.push(one_route(2, "chat.example", &[&target])).await;
    let upgrade = request("GET", "/", "chat.example", "Connection: upgrade\r\nUpgrade: x\r\n");
    let mut connection = plane.open(&upgrade).await;
    assert!(connection.read_head().await.starts_with("HTTP/1.1 101"));
    connection.write("ping").await;
    assert_eq!(connection.read_exact(4).await, "ping");

    // An instance that is not there is an instance that fails.
    target.instance = "lease/gone[0]".into();
    plane.push(one_route(3, "gone.example", &[&target])).await;
    assert!(plane.get("/", "gone.example", "").await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn the_relay_takes_nobody_but_the_front_and_the_front_no_other_relay() {
    let namespace = Namespace::new();
    let (authority, foreign) = (Authority::new(), Authority::new());
    let relay = Relay::start(&authority).await;
    let there = namespace.serve(1, Reply::Name("reached"));
    relay.serve(&[(&there, "lease/web[0]")]);
    let wanted = Wanted::Instance { instance: "lease/web[0]".into(), port: 8080 };
    let front = authority.issue(FRONT).0;
    let good = relay.hop(&authority, front.clone());
    HopDialer::default().connect(&good, &wanted, SECOND).await.unwrap();

    let refused = [
        ("another machine", Hop { identity: authority.issue("n3.example").0, ..good.clone() }),
        ("another authority's front", Hop { identity: foreign.issue(FRONT).0, ..good.clone() }),
        ("a relay of another authority", Hop { authority: foreign.certificate(), ..good.clone() }),
        ("another certificate than recorded", Hop { fingerprint: "00".into(), ..good.clone() }),
        ("another name", Hop { name: "n3.hosts.stoa.invalid".into(), ..good.clone() }),
    ];
    for (what, hop) in refused {
        let result = HopDialer::default().connect(&hop, &wanted, SECOND).await;
        assert!(result.is_err(), "{what} was let through");
    }
    let port_zero = Wanted::Instance { instance: "lease/web[0]".into(), port: 0 };
    let error = HopDialer::default().connect(&good, &port_zero, SECOND).await.unwrap_err();
    assert!(error.to_string().contains("no workload's address"), "{error}");

    // Without TLS nothing but an end comes back.
    let mut plain = TcpStream::connect(relay.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut got = vec![];
    let _ = tokio::time::timeout(SECOND, plain.read_to_end(&mut got)).await.unwrap();
    assert!(!String::from_utf8_lossy(&got).contains("reached"));
}
