//! A client that speaks TLS to the ingress by address, with a name of the
//! test's choice.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(10);

pub type Stream = TlsStream<TcpStream>;
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Whom a client believes.
#[derive(Clone)]
pub enum Trust {
    Roots(Arc<RootCertStore>),
    Anything,
}

impl Trust {
    pub fn file(path: &Path) -> Self {
        Self::pem(&std::fs::read(path).unwrap())
    }

    pub fn pem(text: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(text) {
            roots.add(certificate.unwrap()).unwrap();
        }
        Self::Roots(Arc::new(roots))
    }

    pub fn anything() -> Self {
        Self::Anything
    }
}

/// Takes any certificate: for looking at it, and as an attacker would.
#[derive(Debug)]
pub struct Blind;

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

pub struct TlsClient {
    address: SocketAddr,
    connector: TlsConnector,
}

impl TlsClient {
    pub fn new(address: SocketAddr, trust: &Trust, protocols: &[&[u8]]) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = match trust {
            Trust::Roots(roots) => builder.with_root_certificates(Arc::clone(roots)),
            Trust::Anything => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Blind))
            }
        }
        .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Self { address, connector: TlsConnector::from(Arc::new(config)) }
    }

    pub async fn connect(&self, name: &str) -> Outcome<Stream> {
        let connecting = async {
            let stream = TcpStream::connect(self.address).await?;
            let name = ServerName::try_from(name.to_owned()).unwrap();
            self.connector.connect(name, stream).await
        };
        Ok(tokio::time::timeout(PATIENCE, connecting).await??)
    }

    /// The server's own certificate.
    pub async fn certificate(&self, name: &str) -> Outcome<Vec<u8>> {
        let stream = self.connect(name).await?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().ok_or("no certificate")?;
        Ok(chain[0].to_vec())
    }

    /// Head and body over HTTP/1.1.
    pub async fn get(&self, name: &str, path: &str) -> Outcome<String> {
        let mut stream = self.connect(name).await?;
        send(&mut stream, &super::request("GET", path, name, "Connection: close\r\n")).await;
        let mut answer = vec![];
        let reading = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(PATIENCE, reading).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// So many requests at once over one HTTP/2 connection: `/0`, `/1` …
    pub async fn get_h2(&self, authority: &str, count: usize) -> Outcome<Vec<(u16, String)>> {
        let sender = self.h2(authority).await?;
        let requests = (0..count).map(|number| {
            let mut sender = sender.clone();
            let uri = format!("https://{authority}/{number}");
            async move {
                let request = http::Request::get(uri).body(Empty::<Bytes>::new())?;
                answer(sender.send_request(request).await?).await
            }
        });
        futures::future::try_join_all(requests).await
    }

    pub async fn get_h2_with_host(&self, authority: &str, host: &str) -> Outcome<(u16, String)> {
        let mut sender = self.h2(authority).await?;
        let request = http::Request::get(format!("https://{authority}/"))
            .header("host", host)
            .body(Empty::<Bytes>::new())?;
        answer(sender.send_request(request).await?).await
    }

    async fn h2(
        &self,
        authority: &str,
    ) -> Outcome<hyper::client::conn::http2::SendRequest<Empty<Bytes>>> {
        let name = authority.split(':').next().unwrap();
        let stream = self.connect(name).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Outcome<(u16, String)> {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

pub async fn send(stream: &mut Stream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

pub async fn read_until(stream: &mut Stream, end: &str) -> String {
    let mut text = vec![];
    let reading = async {
        while !text.ends_with(end.as_bytes()) {
            text.push(stream.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time");
    String::from_utf8(text).unwrap()
}

pub fn issuer(certificate: &[u8]) -> String {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.issuer().to_string()
}
