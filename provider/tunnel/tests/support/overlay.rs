//! Two providers' hosts with a wire between them, workloads with their links
//! beside them, and the certificates of their tunnels.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use stoa_tunnel::overlay::{
    tunnel_name, Backend, Connection, Credential, Link, Name, OverlayTable, PeerRoot, Port, Served,
    TunnelId, TunnelStatus,
};
use stoa_tunnel::routes::{RouteTable, Target, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::{inside, run, unique, DataPlane};

pub const TUNNEL_PORT: u16 = 8444;
/// Addresses of a workload's network, the same in each: they never meet.
pub const LINK: [u8; 4] = [10, 88, 0, 2];
pub const WORKLOAD: [u8; 4] = [10, 88, 0, 3];
pub const VIRTUAL: [u8; 4] = [10, 88, 0, 5];

/// A network namespace.
pub struct Net(pub String);

impl Net {
    pub fn new(prefix: &str) -> Self {
        let name = unique(prefix);
        run("ip", &["netns", "add", &name]);
        let net = Self(name);
        net.ip(&["link", "set", "lo", "up"]);
        net
    }

    pub fn ip(&self, arguments: &[&str]) -> String {
        run("ip", &[&["-n", self.0.as_str()], arguments].concat())
    }

    pub fn tc(&self, arguments: &[&str]) {
        let inside = [&["netns", "exec", self.0.as_str(), "tc"], arguments].concat();
        run("ip", &inside);
    }

    /// Loses one in so many of the packets that come in, by chance.
    pub fn lose(&self, one_in: u32) {
        let rule = format!("numgen random mod {one_in} == 0 drop");
        let table = "add table inet loss; add chain inet loss in \
                     { type filter hook input priority 0 ; }; add rule inet loss in iifname eth0 ";
        run("ip", &["netns", "exec", &self.0, "nft", &format!("{table}{rule}")]);
    }

    /// After [`Self::lose`]: nothing more is lost.
    pub fn lose_none(&self) {
        run("ip", &["netns", "exec", &self.0, "nft", "delete table inet loss"]);
    }

    /// What comes in for a TCP port is lost from now on.
    pub fn shut(&self, port: u16) {
        let table = "add table inet shut; add chain inet shut in \
                     { type filter hook input priority 0 ; }; add rule inet shut in tcp dport ";
        run("ip", &["netns", "exec", &self.0, "nft", &format!("{table}{port} drop")]);
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.0)
    }

    /// A wire to another one.
    pub fn join(&self, own: &str, other: &Net, others: &str) {
        let wire = ["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns"];
        self.ip(&[&wire[..], &[other.0.as_str()]].concat());
        for (net, address) in [(self, own), (other, others)] {
            let at_once: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            net.ip(&[&["addr", "add", address, "dev", "eth0"], at_once].concat());
            net.ip(&["link", "set", "eth0", "up"]);
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// A workload's namespace and its link's, with a network between them.
pub struct Site {
    pub link: Net,
    pub workload: Net,
}

impl Site {
    pub fn new() -> Self {
        let site = Self { link: Net::new("stoalink"), workload: Net::new("stoawork") };
        site.join();
        site
    }

    fn join(&self) {
        self.link.join("10.88.0.2/28", &self.workload, "10.88.0.3/28");
    }

    /// The link's container restarts: its namespace is another one.
    pub fn restart_link(&mut self) {
        let name = self.link.0.clone();
        run("ip", &["netns", "del", &name]);
        // The wire went with it, at both ends, when the last socket did.
        let _ = Command::new("ip").args(["-n", &self.workload.0, "link", "del", "eth0"]).output();
        run("ip", &["netns", "add", &name]);
        self.link.ip(&["link", "set", "lo", "up"]);
        self.join();
    }

    pub async fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let path = self.workload.path();
        let address = SocketAddr::from((VIRTUAL, port));
        let connect = move || {
            inside(path, move || {
                std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5))
            })
        };
        let stream = tokio::task::spawn_blocking(connect).await.unwrap()?;
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }

    /// A socket of the workload's.
    pub fn udp(&self) -> UdpSocket {
        let socket = inside(self.workload.path(), || {
            std::net::UdpSocket::bind((Ipv4Addr::from(WORKLOAD), 0)).unwrap()
        });
        socket.set_nonblocking(true).unwrap();
        UdpSocket::from_std(socket).unwrap()
    }

    /// Sends words, ends its half, and reads all. An error where it broke.
    pub async fn ask(&self, port: u16, words: &[u8]) -> std::io::Result<Vec<u8>> {
        self.ask_for(Duration::from_secs(20), port, words).await
    }

    /// The same, with as much patience.
    pub async fn ask_for(
        &self,
        patience: Duration,
        port: u16,
        words: &[u8],
    ) -> std::io::Result<Vec<u8>> {
        let asking = async {
            let mut stream = self.connect(port).await?;
            let (mut reader, mut writer) = stream.split();
            let mut answer = vec![];
            let writing = async {
                writer.write_all(words).await?;
                writer.shutdown().await
            };
            tokio::try_join!(writing, reader.read_to_end(&mut answer))?;
            Ok(answer)
        };
        tokio::time::timeout(patience, asking)
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    pub fn target(&self, port: u16) -> Target {
        Target {
            instance: format!("lease/{}[0]", self.workload.0),
            link: self.link.0.clone(),
            netns: self.link.path(),
            address: (WORKLOAD, port).into(),
            hop: None,
        }
    }
}

/// A little server in a workload, which counts what reaches it.
#[derive(Clone, Default)]
pub struct Counts {
    pub connections: Arc<AtomicU64>,
    pub bytes: Arc<AtomicU64>,
}

impl Counts {
    pub fn read(&self) -> (u64, u64) {
        (self.connections.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst))
    }
}

/// Says its name first, then sends back what comes.
pub fn serve_tcp(site: &Site, port: u16, name: &'static str) -> Counts {
    let counts = Counts::default();
    let listener = inside(site.workload.path(), move || {
        std::net::TcpListener::bind((Ipv4Addr::from(WORKLOAD), port)).unwrap()
    });
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let counted = counts.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.connections.fetch_add(1, Ordering::SeqCst);
            let counted = counted.clone();
            tokio::spawn(async move {
                stream.write_all(name.as_bytes()).await?;
                let mut buffer = vec![0; 64 << 10];
                loop {
                    let count = stream.read(&mut buffer).await?;
                    counted.bytes.fetch_add(count as u64, Ordering::SeqCst);
                    if count == 0 {
                        return stream.shutdown().await;
                    }
                    stream.write_all(&buffer[..count]).await?;
                }
            });
        }
    });
    counts
}

/// Sends back what comes, behind its name, until it is aborted.
pub fn serve_udp(site: &Site, port: u16, name: &'static str) -> JoinHandle<()> {
    let socket = inside(site.workload.path(), move || {
        std::net::UdpSocket::bind((Ipv4Addr::from(WORKLOAD), port)).unwrap()
    });
    socket.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((count, sender)) = socket.recv_from(&mut buffer).await {
            let answer = [name.as_bytes(), &buffer[..count]].concat();
            let _ = socket.send_to(&answer, sender).await;
        }
    })
}

/// A provider's root.
pub struct Root {
    issuer: Issuer<'static, KeyPair>,
    pub der: Vec<u8>,
}

/// How a leaf is to be.
#[derive(Clone)]
pub struct Leaf {
    pub names: Vec<String>,
    /// Seconds from now.
    pub from: i64,
    pub to: i64,
    pub uses: Vec<ExtendedKeyUsagePurpose>,
}

impl Leaf {
    pub fn of(descriptor: &str) -> Self {
        let uses = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        Self { names: vec![tunnel_name(descriptor)], from: -3600, to: 3600, uses }
    }
}

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::now() - distance
    } else {
        SystemTime::now() + distance
    }
}

impl Root {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        (params.not_before, params.not_after) = (at(-3600).into(), at(360_000).into());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der = certificate.der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    pub fn issue(&self, id: &str, leaf: &Leaf) -> Credential {
        let mut params = CertificateParams::new(leaf.names.clone()).unwrap();
        params.extended_key_usages = leaf.uses.clone();
        (params.not_before, params.not_after) = (at(leaf.from).into(), at(leaf.to).into());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Credential { id: id.into(), chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub fn of_peer(&self, descriptor: &str) -> TunnelId {
        let peer_roots = vec![PeerRoot(self.der.clone())];
        TunnelId { descriptor: descriptor.into(), peer_roots }
    }
}

/// One declared connection between two services.
#[derive(Clone)]
pub struct Declared {
    pub descriptor: String,
    pub transport: Transport,
    pub port: u16,
    pub target: Option<Target>,
}

/// Two hosts, A with a workload that dials and B with one that is dialled.
pub struct World {
    pub a: Net,
    pub b: Net,
    pub dialling: Site,
    pub dialled: Site,
    pub root_a: Root,
    pub root_b: Root,
    pub plane_a: DataPlane,
    pub plane_b: DataPlane,
    /// Where A reaches B's tunnels.
    pub host_b: SocketAddr,
    generation: Mutex<u64>,
    credentials: Mutex<HashMap<String, Credential>>,
}

impl World {
    pub async fn new() -> Self {
        Self::over(["10.77.0.1/24", "10.77.0.2/24"], ([10, 77, 0, 2], TUNNEL_PORT).into()).await
    }

    /// The hosts have no address of IPv4 in common.
    pub async fn over_ipv6() -> Self {
        let host_b = format!("[fd77::2]:{TUNNEL_PORT}").parse().unwrap();
        Self::over(["fd77::1/64", "fd77::2/64"], host_b).await
    }

    async fn over(addresses: [&str; 2], host_b: SocketAddr) -> Self {
        let (a, b) = (Net::new("stoahosta"), Net::new("stoahostb"));
        a.join(addresses[0], &b, addresses[1]);
        let (plane_a, plane_b) =
            tokio::join!(DataPlane::start_in(a.path()), DataPlane::start_in(b.path()));
        Self {
            dialling: Site::new(),
            dialled: Site::new(),
            root_a: Root::new("provider a"),
            root_b: Root::new("provider b"),
            plane_a,
            plane_b,
            host_b,
            a,
            b,
            generation: Mutex::new(0),
            credentials: Mutex::default(),
        }
    }

    fn next_generation(&self) -> u64 {
        let mut generation = self.generation.lock().unwrap();
        *generation += 1;
        *generation
    }

    /// The same each time, until it is forgotten.
    fn credential(&self, side: &str, root: &Root, descriptor: &str) -> Credential {
        let id = format!("{side} {descriptor}");
        let mut all = self.credentials.lock().unwrap();
        all.entry(id.clone()).or_insert_with(|| root.issue(&id, &Leaf::of(descriptor))).clone()
    }

    /// The next tables have fresh ones.
    pub fn rotate(&self) {
        self.credentials.lock().unwrap().clear();
    }

    /// The table of A: its workload may dial these at B.
    pub fn table_a(&self, declared: &[Declared]) -> RouteTable {
        let mut overlay = OverlayTable::default();
        for one in declared {
            let credential = self.credential("a", &self.root_a, &one.descriptor);
            let backend = Backend {
                tunnel: self.root_b.of_peer(&one.descriptor),
                endpoints: vec![self.host_b.to_string()],
                credential: credential.id.clone(),
            };
            overlay.credentials.push(credential);
            overlay
                .outgoing
                .push(Connection { id: one.descriptor.clone(), backends: vec![backend] });
        }
        overlay.links.push(link(&self.dialling, declared));
        RouteTable {
            generation: self.next_generation(),
            overlay: Some(overlay),
            ..RouteTable::default()
        }
    }

    fn any(&self) -> IpAddr {
        match self.host_b {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// The table of B: these may be dialled there.
    pub fn table_b(&self, declared: &[Declared]) -> RouteTable {
        let mut overlay = OverlayTable {
            listen: vec![SocketAddr::new(self.any(), TUNNEL_PORT)],
            ..OverlayTable::default()
        };
        for one in declared {
            let credential = self.credential("b", &self.root_b, &one.descriptor);
            overlay.incoming.push(Served {
                tunnel: self.root_a.of_peer(&one.descriptor),
                transport: one.transport,
                credential: credential.id.clone(),
                targets: vec![one.target.clone().unwrap_or_else(|| self.dialled.target(one.port))],
            });
            overlay.credentials.push(credential);
        }
        RouteTable {
            generation: self.next_generation(),
            overlay: Some(overlay),
            ..RouteTable::default()
        }
    }

    /// Both have these tunnels, and all is bound.
    pub async fn declare(&self, declared: &[Declared]) {
        self.plane_b.push(self.table_b(declared)).await;
        self.plane_a.push(self.table_a(declared)).await;
        self.bound().await;
    }

    pub async fn bound(&self) {
        eventually("the link is bound", || async {
            let status = self.plane_a.control.status().await.ok()?;
            status.links.iter().all(|l| l.bound == l.wanted && l.problem.is_none()).then_some(())
        })
        .await;
    }

    pub async fn tunnel(plane: &DataPlane, descriptor: &str) -> Option<TunnelStatus> {
        let status = plane.control.status().await.ok()?;
        status.tunnels.into_iter().find(|tunnel| tunnel.descriptor == descriptor)
    }

    /// A connection of A's host to B's tunnels' port.
    pub async fn dial_b(&self) -> TcpStream {
        let (path, host) = (self.a.path(), self.host_b);
        let stream = inside(path, move || std::net::TcpStream::connect(host).unwrap());
        stream.set_nonblocking(true).unwrap();
        TcpStream::from_std(stream).unwrap()
    }
}

pub fn link(site: &Site, declared: &[Declared]) -> Link {
    let port = |one: &Declared| Port {
        address: VIRTUAL.into(),
        port: one.port,
        transport: one.transport,
        connection: one.descriptor.clone(),
    };
    Link {
        instance: format!("lease/{}[0]", site.workload.0),
        link: site.link.0.clone(),
        netns: site.link.path(),
        prefix: 28,
        dns: (LINK, 53).into(),
        egress: false,
        search: vec![],
        names: vec![Name { name: "api".into(), address: IpAddr::from(VIRTUAL) }],
        ports: declared.iter().map(port).collect(),
    }
}

pub fn tcp(descriptor: &str, port: u16) -> Declared {
    let descriptor = descriptor.into();
    Declared { descriptor, transport: Transport::Tcp, port, target: None }
}

pub fn udp(descriptor: &str, port: u16) -> Declared {
    Declared { transport: Transport::Udp, ..tcp(descriptor, port) }
}

/// Tries until there is something.
pub async fn eventually<T, F: std::future::Future<Output = Option<T>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    for _ in 0..600 {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}
