//! Public names, looked up at the provider's resolvers from the host's own
//! network, so that the workload's network needs no way there.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::message::{Query, Reply, A, AAAA};
use super::public::is_public_address;

/// One resolver's time for one question, and the tries in all.
const ANSWER: Duration = Duration::from_secs(2);
const TRIES: usize = 3;
/// Lookups under way, of all links.
const MOST: usize = 512;
const SERVERS_IN_FILE: &str = "/etc/resolv.conf";
/// The cache: answers, their bytes, and for how long.
const MOST_KEPT: usize = 4_096;
const MOST_KEPT_BYTES: usize = 4 << 20;
const LONGEST_KEPT: Duration = Duration::from_secs(30);
const KEPT_WITHOUT_ANSWER: Duration = Duration::from_secs(5);
const GOOD: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

/// Looks public names up.
pub(in crate::overlay) struct Resolver {
    servers: RwLock<Servers>,
    under_way: Semaphore,
    kept: Mutex<Cache>,
    random: SystemRandom,
}

/// Who is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Servers {
    addresses: Vec<SocketAddr>,
    /// They are the host's own. Such a resolver may know an internal network's
    /// zones: nothing of them but public addresses is passed on.
    of_host: bool,
}

#[derive(Default)]
struct Cache {
    by_question: HashMap<(String, u16), Kept>,
    bytes: usize,
}

struct Kept {
    reply: Arc<Reply>,
    until: Instant,
}

impl Resolver {
    pub(in crate::overlay) fn new() -> Self {
        Self {
            servers: RwLock::default(),
            under_way: Semaphore::new(MOST),
            kept: Mutex::default(),
            random: SystemRandom::new(),
        }
    }

    /// Uses these servers; those of the host where there is none.
    pub(in crate::overlay) fn set_servers(&self, servers: &[SocketAddr]) {
        self.ask_at(match servers {
            [] => Servers { addresses: host_resolvers(), of_host: true },
            given => Servers { addresses: given.to_vec(), of_host: false },
        });
    }

    fn ask_at(&self, servers: Servers) {
        let mut current = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if *current != servers {
            *current = servers;
            *self.kept() = Cache::default();
        }
    }

    /// The answer, whose addresses are all public. `None` where nobody gave
    /// one.
    pub(super) async fn look_up(&self, query: &Query) -> Option<Arc<Reply>> {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner).clone();
        if servers.of_host && ![A, AAAA].contains(&query.kind) {
            return Some(Arc::default());
        }
        let key = (query.name.clone(), query.kind);
        if let Some(kept) = self.kept().by_question.get(&key) {
            if kept.until > Instant::now() {
                return Some(Arc::clone(&kept.reply));
            }
        }
        let _place = self.under_way.try_acquire().ok()?;
        let tries = TRIES.min(servers.addresses.len() * 2);
        for server in servers.addresses.iter().cycle().take(tries) {
            let asked = tokio::time::timeout(ANSWER, self.ask(*server, query)).await;
            match asked {
                Ok(Ok(reply)) if reply.code == GOOD || reply.code == NO_SUCH_NAME => {
                    return Some(self.keep(key, reply, servers.of_host));
                }
                Ok(Ok(reply)) => tracing::debug!(%server, code = reply.code, "no answer"),
                Ok(Err(error)) => tracing::debug!(%server, %error, "no answer"),
                Err(_) => tracing::debug!(%server, "no answer in time"),
            }
        }
        None
    }

    async fn ask(&self, server: SocketAddr, query: &Query) -> io::Result<Reply> {
        let mut id = [0; 2];
        self.random.fill(&mut id).map_err(|_| io::Error::other("no randomness"))?;
        let id = u16::from_be_bytes(id);
        let question = query.to_resolver(id);
        // A socket a question: its port, too, is a guess for a forger.
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(server).await?;
        socket.send(&question).await?;
        let mut buffer = vec![0; 4096];
        let reply = loop {
            let count = socket.recv(&mut buffer).await?;
            // What answers another question may be forged: the right one may
            // still come.
            if let Ok(reply) = query.read_answer(id, &buffer[..count]) {
                break reply;
            }
        };
        if !reply.truncated {
            return Ok(reply);
        }
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &question].concat();
        stream.write_all(&framed).await?;
        let length = usize::from(stream.read_u16().await?);
        buffer.resize(length, 0);
        stream.read_exact(&mut buffer[..length]).await?;
        query
            .read_answer(id, &buffer[..length])
            .map_err(|_| io::Error::other("an answer to another question"))
    }

    /// Keeps an answer for a while, without what leads into private networks.
    fn keep(&self, key: (String, u16), mut reply: Reply, of_host: bool) -> Arc<Reply> {
        // Other names of a name go along with the addresses that they lead to.
        let tells_more = of_host && (reply.addresses.is_empty() || !reply.only_addresses);
        if tells_more || !reply.addresses.iter().all(|address| is_public_address(*address)) {
            if reply.count > 0 {
                tracing::debug!(name = %key.0, "a public name with a private answer");
            }
            (reply.records, reply.count) = (vec![], 0);
            reply.addresses.clear();
        }
        let life = match reply.count {
            0 => KEPT_WITHOUT_ANSWER,
            _ => Duration::from_secs(reply.ttl.into()).min(LONGEST_KEPT),
        };
        let reply = Arc::new(reply);
        if life > Duration::ZERO {
            let kept = Kept { reply: Arc::clone(&reply), until: Instant::now() + life };
            self.kept().insert(key, kept);
        }
        reply
    }

    fn kept(&self) -> MutexGuard<'_, Cache> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn insert(&mut self, key: (String, u16), kept: Kept) {
        let size = |key: &(String, u16), kept: &Kept| key.0.len() + kept.reply.records.len() + 128;
        if self.by_question.len() >= MOST_KEPT || self.bytes >= MOST_KEPT_BYTES {
            let now = Instant::now();
            self.by_question.retain(|_, kept| kept.until > now);
            self.bytes = self.by_question.iter().map(|(key, kept)| size(key, kept)).sum();
            if self.by_question.len() >= MOST_KEPT || self.bytes >= MOST_KEPT_BYTES {
                *self = Self::default();
            }
        }
        self.bytes += size(&key, &kept);
        if let Some(before) = self.by_question.insert(key.clone(), kept) {
            self.bytes = self.bytes.saturating_sub(size(&key, &before));
        }
    }
}

/// The resolvers of this host, of resolv.conf(5).
pub fn host_resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(SERVERS_IN_FILE).unwrap_or_default();
    servers_in(&text)
}

fn servers_in(text: &str) -> Vec<SocketAddr> {
    let words = text.lines().map(str::split_ascii_whitespace);
    let named = words.filter_map(|mut words| match words.next() {
        Some("nameserver") => words.next()?.parse().ok().map(|ip| SocketAddr::new(ip, 53)),
        _ => None,
    });
    named.take(super::super::table::MAX_RESOLVERS).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::message::{self, Code, CNAME, INTERNET, PTR};
    use super::*;

    const TXT: u16 = 16;
    const PUBLIC: [u8; 4] = [93, 184, 216, 34];
    const PRIVATE: [u8; 4] = [10, 0, 0, 7];

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let mut record = vec![0xc0, message::HEADER as u8];
        for field in [kind, INTERNET, 0, 60, data.len() as u16] {
            record.extend(field.to_be_bytes());
        }
        record.extend(data);
        record
    }

    /// A resolver that knows an internal network too. Counts questions.
    async fn split_horizon() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            loop {
                let (count, sender) = socket.recv_from(&mut buffer).await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let query = Query::read(&buffer[..count]).unwrap();
                let other_name = record(CNAME, b"\x02db\x04corp\x00");
                let records = match query.name.split_once('.').unwrap().0 {
                    "plain" => vec![record(query.kind, &PUBLIC)],
                    "alias" => vec![other_name, record(A, &PUBLIC)],
                    "alias-inside" => vec![other_name, record(A, &PRIVATE)],
                    "alias-only" => vec![other_name],
                    "with-text" => vec![record(A, &PUBLIC), record(TXT, b"\x05inner")],
                    _ => vec![record(query.kind, b"\x05inner")],
                };
                let answer = query.answer_with(&records.concat(), records.len() as u16, Code::Good);
                socket.send_to(&answer, sender).await.unwrap();
            }
        });
        (address, asked)
    }

    async fn records(resolver: &Resolver, name: &str, kind: u16) -> (u8, u16, Vec<IpAddr>) {
        let query = Query::read(&message::question(3, name, kind)).unwrap();
        let reply = resolver.look_up(&query).await.unwrap();
        assert_eq!(reply.records.is_empty(), reply.count == 0);
        (reply.code, reply.count, reply.addresses.clone())
    }

    /// All was passed on but private addresses: text and mail records of an
    /// internal zone, and names of its hosts.
    #[tokio::test]
    async fn of_the_hosts_resolver_nothing_but_public_addresses_is_passed_on() {
        let (server, asked) = split_horizon().await;
        let resolver = Resolver::new();
        resolver.ask_at(Servers { addresses: vec![server], of_host: true });
        let nothing = (GOOD, 0, vec![]);
        for kind in [2, CNAME, 6, PTR, 15, TXT, 33, 35, 257] {
            assert_eq!(records(&resolver, "inner.example", kind).await, nothing, "{kind}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0, "what is not passed on is not asked for");
        for name in ["alias-inside.example", "alias-only.example", "with-text.example"] {
            assert_eq!(records(&resolver, name, A).await, nothing, "{name}");
        }
        let public = vec![IpAddr::from(PUBLIC)];
        assert_eq!(records(&resolver, "plain.example", A).await, (GOOD, 1, public.clone()));
        assert_eq!(records(&resolver, "alias.example", A).await, (GOOD, 2, public));
    }

    #[tokio::test]
    async fn a_resolver_that_is_named_for_workloads_answers_every_kind() {
        let (server, _) = split_horizon().await;
        let resolver = Resolver::new();
        resolver.ask_at(Servers { addresses: vec![server], of_host: true });
        assert_eq!(records(&resolver, "inner.example", TXT).await, (GOOD, 0, vec![]));
        resolver.set_servers(&[server]);
        assert_eq!(records(&resolver, "inner.example", TXT).await, (GOOD, 1, vec![]));
        assert_eq!(records(&resolver, "alias-only.example", A).await, (GOOD, 1, vec![]));
        assert_eq!(records(&resolver, "alias-inside.example", A).await, (GOOD, 0, vec![]));
    }

    #[test]
    fn the_hosts_resolvers_are_read_from_its_file() {
        let text = "# mine\nsearch a\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\nnameserver x";
        let expected: Vec<SocketAddr> =
            vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(servers_in(text), expected);
    }
}
