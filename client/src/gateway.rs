//! A provider's gateway: gRPC over TLS 1.3 that is checked against the chain.

use std::{sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use stoa_proto::{
    gateway::v1::{gateway_client::GatewayClient, tenant_client::TenantClient, LeasePhase},
    provider::v1::Provider,
};
use tokio::net::TcpStream;
use tokio_rustls::{client::TlsStream, TlsConnector};
use tonic::transport::{Channel, Endpoint};

use crate::{
    connect,
    tls::{client_config, Identity, ProviderVerifier},
    Error, Result,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers of a gateway: a status with many services, not a blob.
const MAX_ANSWER: usize = 16 << 20;
/// What a host_uri without a port means.
const DEFAULT_PORT: u16 = 443;

/// Where a provider's gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    pub host: String,
    pub port: u16,
}

impl GatewayAddress {
    /// From a `host_uri` on chain, such as `https://stoa.example.org:8443`.
    pub fn parse(host_uri: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::Invalid(format!(
                "provider address `{host_uri}`: {why}; right is such as https://host:8443"
            ))
        };
        let uri: Uri = host_uri.parse().map_err(|_| bad("not a URI"))?;
        if uri.scheme_str() != Some("https") {
            return Err(bad("not https"));
        }
        let host = uri.host().ok_or_else(|| bad("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(DEFAULT_PORT) })
    }
}

/// The roots that vouch for a provider now: its present one, and the earlier
/// one until its overlap ends.
pub fn roots_of(provider: &Provider, now: u64) -> Vec<Vec<u8>> {
    let mut roots = vec![provider.root_certificate.clone()];
    if !provider.earlier_root.is_empty() && now < provider.earlier_root_until {
        roots.push(provider.earlier_root.clone());
    }
    roots
}

/// Connects to a provider as the chain knows it, showing the tenant's
/// certificate. The connection is made again when it breaks.
pub async fn connect(
    provider: &Provider,
    tenant: Option<&Identity>,
) -> Result<GatewayClient<Channel>> {
    Ok(gateway_client(channel(provider, tenant).await?))
}

/// The same over a connection of [`channel`].
pub fn gateway_client(channel: Channel) -> GatewayClient<Channel> {
    GatewayClient::new(channel).max_decoding_message_size(MAX_ANSWER)
}

/// The same for what a tenant does with its running workloads, over a
/// connection of [`channel`].
pub fn tenant_client(channel: Channel) -> TenantClient<Channel> {
    TenantClient::new(channel).max_decoding_message_size(MAX_ANSWER)
}

/// The connection itself, for several clients.
pub async fn channel(provider: &Provider, tenant: Option<&Identity>) -> Result<Channel> {
    let way = Way::to(provider, tenant, b"h2")?;
    let connector = tower::service_fn(move |_: Uri| {
        let way = way.clone();
        async move { way.connect().await.map(TokioIo::new) }
    });
    // The scheme only keeps tonic from adding TLS of its own.
    Endpoint::from_static("http://gateway")
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_with_connector(connector)
        .await
        .map_err(|e| unreachable(provider, &e))
}

/// One connection that speaks another protocol than HTTP, named by `alpn`.
pub async fn stream(
    provider: &Provider,
    own: Option<&Identity>,
    alpn: &[u8],
) -> Result<TlsStream<TcpStream>> {
    let connecting = Way::to(provider, own, alpn)?;
    let what = || format!("provider {} at {}", provider.owner, provider.host_uri);
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting.connect()).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Error::Unreachable { what: what(), cause: error.to_string() }),
        Err(_) => Err(Error::Timeout(format!("{} did not answer", what()))),
    }
}

/// How a provider is connected to, as its record on chain says now.
#[derive(Clone)]
struct Way {
    address: GatewayAddress,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Way {
    fn to(provider: &Provider, own: Option<&Identity>, alpn: &[u8]) -> Result<Self> {
        crate::install_crypto();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let address = GatewayAddress::parse(&provider.host_uri)?;
        let verifier = ProviderVerifier::new(&provider.owner, &roots_of(provider, now))?;
        let mut config = client_config(verifier, own)?;
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from(address.host.clone())
            .map_err(|_| Error::Invalid(format!("`{}` is no host name", address.host)))?;
        Ok(Self { address, name, tls: TlsConnector::from(Arc::new(config)) })
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = connect::connect(&self.address.host, self.address.port).await?;
        socket.set_nodelay(true)?;
        self.tls.connect(self.name.clone(), socket).await
    }
}

/// tonic says only "transport error"; the causes say which.
fn unreachable(provider: &Provider, error: &tonic::transport::Error) -> Error {
    let mut cause = String::new();
    let mut next = std::error::Error::source(error);
    while let Some(e) = next {
        let text = e.to_string();
        if !cause.contains(&text) {
            cause = if cause.is_empty() { text } else { format!("{cause}: {text}") };
        }
        next = e.source();
    }
    if cause.contains("invalid peer certificate") {
        return Error::Tls(format!(
            "{} does not show a certificate of provider {} ({cause}); whoever answers there is \
             not the provider on chain",
            provider.host_uri, provider.owner
        ));
    }
    Error::Unreachable {
        what: format!("provider {} at {}", provider.owner, provider.host_uri),
        cause,
    }
}

/// A lease's phase in words, the same for its tenant and its provider.
pub fn phase_words(phase: LeasePhase) -> &'static str {
    match phase {
        LeasePhase::Unspecified => "unknown",
        LeasePhase::AwaitingManifest => "waiting for the manifest",
        LeasePhase::AwaitingBlobs => "waiting for images",
        LeasePhase::AwaitingSecrets => "waiting for secrets",
        LeasePhase::Starting => "starting",
        LeasePhase::Running => "running",
        LeasePhase::Degraded => "degraded",
        LeasePhase::Closing => "closing",
    }
}

/// What a gateway's refusal means.
pub fn error_of(status: &tonic::Status) -> Error {
    use tonic::Code;
    let message = status.message().to_owned();
    match status.code() {
        Code::NotFound => Error::NotFound(message),
        Code::Unavailable | Code::Cancelled => {
            Error::Unreachable { what: "the provider".into(), cause: message }
        }
        Code::DeadlineExceeded => Error::Timeout(format!("the provider took too long: {message}")),
        Code::Unknown if std::error::Error::source(status).is_some() => {
            Error::Unreachable { what: "the provider".into(), cause: message }
        }
        code => Error::Refused(Box::new(crate::Refusal {
            codespace: "gateway".into(),
            code: code as u32,
            message,
            hash: None,
            height: None,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parse = |t| GatewayAddress::parse(t).map(|a| (a.host, a.port));
        assert_eq!(parse("https://a.example:8443").unwrap(), ("a.example".into(), 8443));
        assert_eq!(parse("https://a.example").unwrap().1, 443);
        assert_eq!(parse("https://[::1]:9").unwrap(), ("::1".into(), 9));
        for bad in ["http://a.example", "a.example:8443", "https://", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_earlier_root_counts_until_its_end() {
        let provider = Provider {
            root_certificate: vec![1],
            earlier_root: vec![2],
            earlier_root_until: 100,
            ..Provider::default()
        };
        assert_eq!(roots_of(&provider, 99), [[1], [2]]);
        assert_eq!(roots_of(&provider, 100), [[1]]);
    }
}
