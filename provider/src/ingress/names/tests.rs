//! Proofs against a DNS server and a web server of the test's own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use super::proof::Proofs;
use super::{Claim, Finding};
use crate::config::HostNames;

const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// Records by name and type; a name without records does not exist.
type Zone = Arc<Mutex<HashMap<(String, u16), Vec<Vec<u8>>>>>;

/// A DNS server, and a web server where every name's A record may lead.
struct World {
    zone: Zone,
    dns: SocketAddr,
    web: SocketAddr,
    page: Arc<Mutex<String>>,
    /// Every question is answered with "the server fails".
    broken: Arc<Mutex<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl World {
    async fn new() -> Self {
        let (zone, broken) = (Zone::default(), Arc::new(Mutex::new(false)));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = socket.local_addr().unwrap();
        let (records, fails) = (Arc::clone(&zone), Arc::clone(&broken));
        let answering = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
                let fails = *fails.lock().unwrap();
                let reply = reply(&buffer[..count], &records, fails);
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = listener.local_addr().unwrap();
        let page = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&page);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let body = shown.lock().unwrap().clone();
                let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
                let answer = format!("HTTP/1.0 {status}\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { zone, dns, web, page, broken, tasks: vec![answering, serving] }
    }

    fn set(&self, name: &str, kind: u16, records: &[Vec<u8>]) {
        self.zone.lock().unwrap().insert((name.into(), kind), records.to_vec());
    }

    fn proofs(&self, private: bool) -> Proofs {
        let config = HostNames {
            resolver: vec![self.dns],
            http_port: self.web.port(),
            private,
            ..HostNames::default()
        };
        Proofs::new(&config).unwrap()
    }
}

/// RFC 1035, 4.1.
fn reply(query: &[u8], zone: &Zone, fails: bool) -> Vec<u8> {
    const HEADER: usize = 12;
    let mut labels = vec![];
    let mut at = HEADER;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_ascii_lowercase());
        at += length + 1;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let name = labels.join(".");
    let zone = zone.lock().unwrap();
    let records = zone.get(&(name.clone(), kind)).cloned().unwrap_or_default();
    let code = match (fails, zone.keys().any(|(known, _)| *known == name)) {
        (true, _) => SERVFAIL,
        (_, true) => 0,
        (_, false) => NXDOMAIN,
    };
    let count = if fails { 0 } else { u8::try_from(records.len()).unwrap() };
    let mut reply = query[..end].to_vec();
    reply[2..HEADER].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    for record in records.iter().take(count.into()) {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 1]);
        reply.extend(u16::try_from(record.len()).unwrap().to_be_bytes());
        reply.extend(record);
    }
    reply
}

fn txt(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn name(text: &str) -> Vec<u8> {
    text.split('.').flat_map(txt).chain([0]).collect()
}

fn claim() -> Claim {
    Claim {
        host: "shop.example".into(),
        lease: "t/1/1/1/p".into(),
        generated: "web-0123456789.p.test".into(),
        token: "0123456789abcdef".into(),
    }
}

fn missing(finding: Finding) -> String {
    match finding {
        Finding::Missing(words) => words,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_txt_record_with_the_token_proves_a_name_and_anothers_token_does_not() {
    let world = World::new().await;
    let proofs = world.proofs(true);
    let words = missing(proofs.look(&claim()).await);
    assert!(words.contains("_stoa-challenge.shop.example has no TXT record"), "{words}");
    world.set("_stoa-challenge.shop.example", TXT, &[txt("another's")]);
    let words = missing(proofs.look(&claim()).await);
    assert!(words.contains("has another TXT record"), "{words}");
    // At the name itself it proves nothing.
    world.set("shop.example", TXT, &[txt(&claim().token)]);
    missing(proofs.look(&claim()).await);
    let both = [txt("another's"), txt(&claim().token)];
    world.set("_stoa-challenge.shop.example", TXT, &both);
    assert_eq!(proofs.look(&claim()).await, Finding::Proven);
    // Nothing is remembered: a record that is gone is gone.
    world.zone.lock().unwrap().clear();
    missing(proofs.look(&claim()).await);
}

#[tokio::test]
async fn a_cname_to_the_generated_name_proves_it_also_by_another_name() {
    let world = World::new().await;
    let proofs = world.proofs(true);
    world.set("shop.example", CNAME, &[name("web-9999999999.p.test")]);
    let words = missing(proofs.look(&claim()).await);
    assert!(words.contains("CNAME leads elsewhere"), "{words}");
    world.set("shop.example", CNAME, &[name("alias.example")]);
    world.set("alias.example", CNAME, &[name("WEB-0123456789.p.test")]);
    assert_eq!(proofs.look(&claim()).await, Finding::Proven);
    // Names that lead round in a circle end.
    world.set("alias.example", CNAME, &[name("shop.example")]);
    missing(proofs.look(&claim()).await);
}

#[tokio::test]
async fn a_token_over_http_proves_a_name_but_is_fetched_from_public_addresses_alone() {
    let world = World::new().await;
    world.set("shop.example", A, &[vec![127, 0, 0, 1]]);
    let words = missing(world.proofs(true).look(&claim()).await);
    assert!(words.contains("answers 404"), "{words}");
    *world.page.lock().unwrap() = "something else".into();
    missing(world.proofs(true).look(&claim()).await);
    *world.page.lock().unwrap() = format!("first\n{}\n", claim().token);
    assert_eq!(world.proofs(true).look(&claim()).await, Finding::Proven);
    let words = missing(world.proofs(false).look(&claim()).await);
    assert!(words.contains("no public address"), "{words}");
}

#[tokio::test]
async fn a_dns_server_that_fails_proves_nothing_either_way() {
    let world = World::new().await;
    *world.broken.lock().unwrap() = true;
    let finding = world.proofs(true).look(&claim()).await;
    assert!(matches!(finding, Finding::Unknown(_)), "{finding:?}");
}
