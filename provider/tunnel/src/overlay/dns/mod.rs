//! The name service of a link: declared names have their virtual addresses,
//! public names what the world says where the workload has egress, and no
//! other name exists.

mod message;
mod public;
mod resolver;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::table::Link;
use message::{Code, Query, A, AAAA, INTERNET, PTR};
pub use public::is_public_address;
use public::is_public_name;
pub use resolver::host_resolvers;
pub(super) use resolver::Resolver;

/// Seconds that a declared name may be remembered: the table may change.
const TTL: u32 = 5;
/// Lookups outside that one link has under way, and starts in a second.
const LOOKUPS: usize = 64;
const LOOKUPS_A_SECOND: u32 = 100;
/// TCP connections to one link's service, and their silence.
const STREAMS: usize = 32;
const SILENCE: Duration = Duration::from_secs(10);
const DATAGRAM: usize = 4096;
/// Types beside addresses that are looked up outside. The new ones with
/// address hints in them (SVCB, HTTPS) are not: hints may lead anywhere.
const OTHER_TYPES: [u16; 9] = [2, 5, 6, PTR, 15, 16, 33, 35, 257];

/// What one link's workload may look up.
#[derive(Default)]
pub(super) struct Names {
    current: RwLock<Declared>,
    budget: Mutex<Budget>,
}

#[derive(Default)]
struct Declared {
    by_name: HashMap<String, IpAddr>,
    egress: bool,
}

/// Lookups that may still be started in this second.
struct Budget {
    second: Instant,
    left: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { second: Instant::now(), left: LOOKUPS_A_SECOND }
    }
}

/// What becomes of a question.
enum Verdict {
    Answer(Vec<u8>),
    LookUp(Query),
    Nothing,
}

impl Names {
    pub(super) fn set(&self, link: &Link) {
        let mut by_name = HashMap::new();
        for declared in &link.names {
            let name = declared.name.to_ascii_lowercase();
            for domain in &link.search {
                let long = format!("{name}.{}", domain.to_ascii_lowercase());
                by_name.entry(long).or_insert(declared.address);
            }
            by_name.insert(name, declared.address);
        }
        let declared = Declared { by_name, egress: link.egress };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = declared;
    }

    fn judge(&self, bytes: &[u8]) -> Verdict {
        let Ok(query) = Query::read(bytes) else { return malformed(bytes) };
        let say = |code| Verdict::Answer(query.answer(code, &[], TTL));
        if query.opcode != 0 {
            return say(Code::NotDone);
        }
        if query.class != INTERNET {
            return say(Code::Refused);
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = current.by_name.get(&query.name) {
            let asked = matches!((address, query.kind), (IpAddr::V4(_), A) | (IpAddr::V6(_), AAAA));
            let addresses = if asked { std::slice::from_ref(address) } else { &[] };
            return Verdict::Answer(query.answer(Code::Good, addresses, TTL));
        }
        if !current.egress || !is_public_name(&query.name) {
            return say(Code::NoSuchName);
        }
        if ![A, AAAA].contains(&query.kind) && !OTHER_TYPES.contains(&query.kind) {
            return say(Code::Good);
        }
        drop(current);
        match self.may_look_up() {
            true => Verdict::LookUp(query),
            false => say(Code::Refused),
        }
    }

    fn may_look_up(&self) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.second.elapsed() >= Duration::from_secs(1) {
            *budget = Budget::default();
        }
        let may = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        may
    }
}

/// What cannot be read is told so where it has an id and is no answer itself.
fn malformed(bytes: &[u8]) -> Verdict {
    match bytes {
        [a, b, flags, _, rest @ ..] if flags & 0x80 == 0 && rest.len() >= 8 => {
            let flags = [0x80, 0x80 | Code::BadFormat as u8];
            Verdict::Answer([&[*a, *b][..], &flags, &[0; 8]].concat())
        }
        _ => Verdict::Nothing,
    }
}

async fn look_up(query: &Query, resolver: &Resolver) -> Vec<u8> {
    match resolver.look_up(query).await {
        Some(reply) => {
            let code = if reply.code == 0 { Code::Good } else { Code::NoSuchName };
            query.answer_with(&reply.records, reply.count, code)
        }
        None => query.answer(Code::Failed, &[], TTL),
    }
}

/// Serves UDP until dropped.
pub(super) async fn serve_udp(socket: UdpSocket, names: Arc<Names>, resolver: Arc<Resolver>) {
    let socket = Arc::new(socket);
    let (mut lookups, mut buffer) = (JoinSet::new(), vec![0; DATAGRAM]);
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                // An earlier answer met nobody, or the like: UDP goes on.
                let Ok((count, sender)) = received else { continue };
                match names.judge(&buffer[..count]) {
                    Verdict::Answer(answer) => drop(socket.try_send_to(&answer, sender)),
                    Verdict::LookUp(query) if lookups.len() < LOOKUPS => {
                        let (socket, resolver) = (Arc::clone(&socket), Arc::clone(&resolver));
                        lookups.spawn(async move {
                            let mut answer = look_up(&query, &resolver).await;
                            if answer.len() > query.udp_size {
                                answer = query.truncated();
                            }
                            let _ = socket.send_to(&answer, sender).await;
                        });
                    }
                    Verdict::LookUp(query) => {
                        let busy = query.answer(Code::Failed, &[], TTL);
                        let _ = socket.try_send_to(&busy, sender);
                    }
                    Verdict::Nothing => {}
                }
            }
            Some(_) = lookups.join_next(), if !lookups.is_empty() => {}
        }
    }
}

/// Serves TCP until dropped.
pub(super) async fn serve_tcp(listener: TcpListener, names: Arc<Names>, resolver: Arc<Resolver>) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if streams.len() < STREAMS => match accepted {
                Ok((stream, _)) => {
                    let (names, resolver) = (Arc::clone(&names), Arc::clone(&resolver));
                    streams.spawn(async move {
                        let _ = serve_stream(stream, &names, &resolver).await;
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = streams.join_next(), if !streams.is_empty() => {}
        }
    }
}

async fn serve_stream(
    mut stream: TcpStream,
    names: &Names,
    resolver: &Resolver,
) -> std::io::Result<()> {
    loop {
        let reading = async {
            let length = usize::from(stream.read_u16().await?);
            let mut bytes = vec![0; length.min(DATAGRAM)];
            stream.read_exact(&mut bytes).await?;
            std::io::Result::Ok(bytes)
        };
        let bytes = tokio::time::timeout(SILENCE, reading).await??;
        let answer = match names.judge(&bytes) {
            Verdict::Answer(answer) => answer,
            Verdict::LookUp(query) => look_up(&query, resolver).await,
            Verdict::Nothing => return Ok(()),
        };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        tokio::time::timeout(SILENCE, stream.write_all(&framed)).await??;
    }
}

/// Any bytes as a question, and as an answer to one.
pub(crate) fn fuzz(bytes: &[u8]) {
    let names = Names::default();
    names.current.write().unwrap_or_else(PoisonError::into_inner).egress = true;
    if let Verdict::Answer(answer) = names.judge(bytes) {
        assert!(answer.len() >= message::HEADER && answer[2] & 0x80 != 0);
        assert_eq!(answer[..2], bytes[..2]);
    }
    if let Ok(query) = Query::read(bytes) {
        assert!(Query::read(&query.to_resolver(7)).is_ok_and(|same| same.name == query.name));
        let mut answered = query.to_resolver(query.id);
        answered[2] |= 0x80;
        let end = answered.len() - 11;
        answered.truncate(end);
        answered.extend_from_slice(bytes);
        for count in [0, 1, 2] {
            answered[7] = count;
            if let Ok(reply) = query.read_answer(query.id, &answered) {
                let passed = query.answer_with(&reply.records, reply.count, Code::Good);
                assert_eq!(
                    query.read_answer(query.id, &passed).map(|r| r.addresses),
                    Ok(reply.addresses)
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Name;
    use super::*;

    fn names(egress: bool) -> Names {
        let name = |name: &str, address: &str| Name {
            name: name.into(),
            address: address.parse().unwrap(),
        };
        let link = Link {
            instance: "l/web[0]".into(),
            link: "x-link".into(),
            netns: "/n".into(),
            prefix: 28,
            dns: "10.0.0.2:53".parse().unwrap(),
            egress,
            search: vec!["svc.example".into()],
            names: vec![name("Api", "10.0.0.4"), name("db", "10.0.0.4")],
            ports: vec![],
        };
        let names = Names::default();
        names.set(&link);
        names
    }

    fn code_and_addresses(names: &Names, name: &str, kind: u16) -> Option<(u8, Vec<IpAddr>)> {
        let question = message::question(3, name, kind);
        let query = Query::read(&question).unwrap();
        match names.judge(&question) {
            Verdict::Answer(answer) => {
                let reply = query.read_answer(3, &answer).unwrap();
                Some((reply.code, reply.addresses))
            }
            Verdict::LookUp(_) => None,
            Verdict::Nothing => panic!("no word"),
        }
    }

    #[test]
    fn declared_names_have_their_address_and_no_other_name_exists_without_egress() {
        let names = names(false);
        let address: IpAddr = "10.0.0.4".parse().unwrap();
        for name in ["api", "API", "db", "api.svc.example"] {
            assert_eq!(code_and_addresses(&names, name, A), Some((0, vec![address])), "{name}");
            assert_eq!(code_and_addresses(&names, name, AAAA), Some((0, vec![])), "{name}");
        }
        for name in ["other", "example.com", "api.example.com"] {
            assert_eq!(code_and_addresses(&names, name, A), Some((3, vec![])), "{name}");
        }
    }

    #[test]
    fn with_egress_public_names_are_looked_up_and_internal_ones_never() {
        let names = names(true);
        assert_eq!(code_and_addresses(&names, "example.com", A), None);
        for name in ["other", "metadata.google.internal", "a.local", "1.0.0.10.in-addr.arpa"] {
            assert_eq!(code_and_addresses(&names, name, A), Some((3, vec![])), "{name}");
        }
        assert_eq!(code_and_addresses(&names, "example.com", 65), Some((0, vec![])));
    }

    #[test]
    fn a_link_starts_so_many_lookups_a_second_and_no_more() {
        let names = names(true);
        let asked = (0..LOOKUPS_A_SECOND + 50).map(|_| code_and_addresses(&names, "a.example", A));
        let begun = Instant::now();
        let refused = asked.filter(|answer| answer.as_ref().is_some_and(|a| a.0 == 5)).count();
        if begun.elapsed() < Duration::from_secs(1) {
            assert_eq!(refused, 50);
        }
    }
}
