//! Clients of the tests: with the tenant's programs' own code, and with as
//! little as an attacker needs.

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use stoa_client::gateway::{channel, tenant_client, GatewayAddress};
use stoa_client::keys::{Algorithm, SecretKey};
use stoa_client::proto::gateway::v1::tenant_client::TenantClient;
use stoa_client::tls::{client_config, ProviderVerifier};
use stoa_client::token::{mint, Claims, Scope};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::tests_support::{lease_view, service_goal};

/// The tenant whose key the tests have.
pub(super) fn signer() -> SecretKey {
    SecretKey::from_bytes(Algorithm::Secp256k1, &[7; 32]).unwrap()
}

/// What was answered by REST.
#[derive(Debug)]
pub(super) struct Answered {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }
}

impl Stage {
    pub(super) async fn tenant_client(&self) -> TenantClient<Channel> {
        self.tenant_client_of(&self.tenant).await
    }

    pub(super) async fn tenant_client_of(&self, identity: &Identity) -> TenantClient<Channel> {
        tenant_client(channel(&self.record, Some(identity)).await.unwrap())
    }

    /// A tenant with a certificate on chain and no lease.
    pub(super) fn stranger(&self) -> Identity {
        let other = Address::from([9; 20]).to_string();
        let certificate = tenant_certificate(&other, 30).unwrap();
        let der = certificate.certificate().to_vec();
        self.chain.change(|state| state.certificates.push((other, der)));
        certificate
    }

    /// One instance of the service `web` runs.
    pub(super) async fn run_web(&self) {
        use crate::runtime::Backend;
        let spec = service_goal("web", 1, "1").instances.remove(0);
        self.engine.apply(&spec).await.unwrap();
        self.board.saw(&self.engine.seen.lock().unwrap());
    }

    /// Puts a lease of the signer's on chain and gives its id.
    pub(super) fn lease_of_signer(&self) -> BidId {
        let key = signer();
        let owner = key.address().to_string();
        let mut view = lease_view(&order(2));
        view.id.owner = owner.clone();
        view.lease.id = Some(view.id.clone());
        self.chain.change(|state| {
            state.leases.insert(view.id.text(), view.lease);
            state.keys.insert(owner, key.public());
        });
        view.id
    }

    /// A token of the signer's.
    pub(super) fn token(&self, scopes: &[Scope], leases: Vec<String>) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let claims = Claims {
            issuer: signer().address().to_string(),
            audience: me(),
            not_before: now.as_secs() - 1,
            expires: now.as_secs() + 60,
            id: "test".into(),
            scopes: scopes.iter().copied().collect(),
            leases,
        };
        mint(&signer(), &claims).unwrap()
    }

    /// A bare TCP connection from an address of this machine.
    pub(super) async fn dial_tcp(&self, from: &str) -> std::io::Result<TcpStream> {
        let address = GatewayAddress::parse(&self.record.host_uri).unwrap();
        let socket = TcpSocket::new_v4()?;
        socket.bind(format!("{from}:0").parse().unwrap())?;
        socket.connect(format!("{}:{}", address.host, address.port).parse().unwrap()).await
    }

    /// A TLS connection for HTTP/1.1.
    pub(super) async fn dial(
        &self,
        from: &str,
        identity: Option<&Identity>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let roots = [self.record.root_certificate.clone()];
        let verifier = ProviderVerifier::new(&me(), &roots).unwrap();
        let mut config = client_config(verifier, identity).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let socket = self.dial_tcp(from).await?;
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }

    /// One request on a connection of its own.
    pub(super) async fn rest(
        &self,
        identity: Option<&Identity>,
        request: http::request::Builder,
        body: &[u8],
    ) -> Answered {
        let stream = self.dial("127.0.0.1", identity).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = Full::new(bytes::Bytes::copy_from_slice(body));
        let request = request.header("host", "gateway").body(body).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answered { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.rest(Some(&self.tenant), http::Request::get(path), b"").await
    }

    /// The REST path of the tenant's lease.
    pub(super) fn lease_path(&self) -> String {
        let lease = &self.lease;
        format!("/lease/{}/{}/{}/{}", lease.owner, lease.dseq, lease.gseq, lease.oseq)
    }
}
