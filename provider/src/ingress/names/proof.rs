//! Looking at a proof: a DNS record that only the name's owner can make, or a
//! token that only whoever serves the name now can lay out.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::TokioResolver;

use super::http::{fetch, Reach};
use super::{Claim, Finding, HTTP_PATH, TXT_LABEL};
use crate::config::HostNames;

/// A DNS server may take so long, and is asked so often.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// Names of a chain of CNAMEs that are followed.
const CHAIN: usize = 8;

/// Looks at proofs.
pub struct Proofs {
    resolver: TokioResolver,
    reach: Reach,
    verify: bool,
}

/// What DNS says of a name.
enum Records<T> {
    Found(Vec<T>),
    None,
    Unknown(String),
}

impl Proofs {
    pub fn new(config: &HostNames) -> anyhow::Result<Self> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match config.resolver.is_empty() {
            true => TokioResolver::builder(provider)?,
            false => {
                let servers = config.resolver.iter().map(|address| server(*address)).collect();
                let servers = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(servers, provider)
            }
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        // A record that was just made must be seen, one that is gone too.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let reach = Reach { port: config.http_port, private: config.private };
        Ok(Self { resolver: builder.build()?, reach, verify: config.verify })
    }

    /// Looks at one claim, by each way until one proves it.
    pub async fn look(&self, claim: &Claim) -> Finding {
        if !self.verify {
            return Finding::Proven;
        }
        let ways = [self.txt(claim).await, self.cname(claim).await];
        if ways.contains(&Finding::Proven) {
            return Finding::Proven;
        }
        let http = self.http(claim).await;
        if http == Finding::Proven {
            return http;
        }
        let (mut missing, mut unknown) = (vec![], vec![]);
        for finding in ways.into_iter().chain([http]) {
            match finding {
                Finding::Missing(words) => missing.push(words),
                Finding::Unknown(words) => unknown.push(words),
                Finding::Proven => {}
            }
        }
        // As long as one way cannot be told, the proof may be that one.
        match unknown.is_empty() {
            true => Finding::Missing(missing.join("; ")),
            false => Finding::Unknown(unknown.join("; ")),
        }
    }

    async fn txt(&self, claim: &Claim) -> Finding {
        let name = format!("{TXT_LABEL}.{}", claim.host);
        let text = |data: &RData| match data {
            RData::TXT(txt) => {
                Some(txt.txt_data.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<u8>>())
            }
            _ => None,
        };
        match self.records(&name, RecordType::TXT, text).await {
            Records::Found(texts) => {
                let has = |text: &Vec<u8>| text.trim_ascii() == claim.token.as_bytes();
                match texts.iter().any(has) {
                    true => Finding::Proven,
                    false => Finding::Missing(format!("{name} has another TXT record")),
                }
            }
            Records::None => Finding::Missing(format!("{name} has no TXT record")),
            Records::Unknown(words) => Finding::Unknown(words),
        }
    }

    /// Whether the name leads, by CNAMEs alone, to the generated one.
    async fn cname(&self, claim: &Claim) -> Finding {
        let mut name = claim.host.clone();
        for _ in 0..CHAIN {
            let target = |data: &RData| match data {
                RData::CNAME(target) => Some(plain(&target.0)),
                _ => None,
            };
            match self.records(&name, RecordType::CNAME, target).await {
                Records::Found(targets) if targets.contains(&claim.generated) => {
                    return Finding::Proven;
                }
                Records::Found(targets) => match targets.into_iter().next() {
                    Some(next) => name = next,
                    None => break,
                },
                Records::None if name == claim.host => {
                    return Finding::Missing(format!("{name} has no CNAME record"));
                }
                Records::None => break,
                Records::Unknown(words) => return Finding::Unknown(words),
            }
        }
        Finding::Missing(format!("{}'s CNAME leads elsewhere", claim.host))
    }

    async fn http(&self, claim: &Claim) -> Finding {
        let mut addresses = vec![];
        for kind in [RecordType::A, RecordType::AAAA] {
            let address = |data: &RData| match data {
                RData::A(v4) => Some(std::net::IpAddr::V4(v4.0)),
                RData::AAAA(v6) => Some(std::net::IpAddr::V6(v6.0)),
                _ => None,
            };
            match self.records(&claim.host, kind, address).await {
                Records::Found(found) => addresses.extend(found),
                Records::None => {}
                Records::Unknown(words) => return Finding::Unknown(words),
            }
        }
        match fetch(&claim.host, &addresses, HTTP_PATH, self.reach).await {
            Ok(body) if body.split_whitespace().any(|word| word == claim.token) => Finding::Proven,
            Ok(_) => {
                Finding::Missing(format!("http://{}{HTTP_PATH} answers otherwise", claim.host))
            }
            // Where nobody answers there is no proof; it is not that DNS or
            // this provider fails.
            Err(words) => Finding::Missing(words),
        }
    }

    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        take: impl Fn(&RData) -> Option<T>,
    ) -> Records<T> {
        let Ok(mut full) = Name::from_ascii(name) else { return Records::None };
        full.set_fqdn(true);
        match self.resolver.lookup(full, kind).await {
            Ok(found) => {
                let records: Vec<T> =
                    found.answers().iter().filter_map(|r| take(&r.data)).collect();
                match records.is_empty() {
                    true => Records::None,
                    false => Records::Found(records),
                }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if [ResponseCode::NXDomain, ResponseCode::NoError]
                    .contains(&none.response_code) =>
            {
                Records::None
            }
            Err(error) => Records::Unknown(format!("DNS cannot be asked for {name}: {error}")),
        }
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connection = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections =
        vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// A name as the manifest writes it.
fn plain(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}
