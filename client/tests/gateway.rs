//! A gateway over TLS whose both ends are checked against what is on chain.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use stoa_client::{
    gateway::connect,
    tls::{self, accept_loop, server_config, Identity, TenantVerifier},
    Address, Error,
};
use stoa_proto::{
    gateway::v1::{
        gateway_server::{Gateway, GatewayServer},
        BlobChunk, BlobStatusRequest, BlobStatusResponse, LeaseStatusRequest, LeaseStatusResponse,
        LogLine, LogsRequest, ScreenRequest, ScreenResponse, StatusRequest, StatusResponse,
        SubmitManifestRequest, SubmitManifestResponse,
    },
    provider::v1::Provider,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Answers status with the common name of whoever asks.
struct Echo;

type Stream<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Gateway for Echo {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let certificates = request.peer_certs().ok_or_else(|| Status::unauthenticated("none"))?;
        let provider =
            tls::common_name(&certificates[0]).map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(StatusResponse { provider, ..StatusResponse::default() }))
    }

    async fn submit_manifest(
        &self,
        _: Request<SubmitManifestRequest>,
    ) -> Result<Response<SubmitManifestResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn screen(&self, _: Request<ScreenRequest>) -> Result<Response<ScreenResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn blob_status(
        &self,
        _: Request<BlobStatusRequest>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn upload_blob(
        &self,
        _: Request<Streaming<BlobChunk>>,
    ) -> Result<Response<BlobStatusResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lease_status(
        &self,
        _: Request<LeaseStatusRequest>,
    ) -> Result<Response<LeaseStatusResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    type WatchLeaseStream = Stream<LeaseStatusResponse>;

    async fn watch_lease(
        &self,
        _: Request<LeaseStatusRequest>,
    ) -> Result<Response<Self::WatchLeaseStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    type LogsStream = Stream<LogLine>;

    async fn logs(&self, _: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// Starts a gateway and gives its record as the chain would have it.
async fn start(root: &Identity, address: &str) -> Provider {
    stoa_client::install_crypto();
    let leaf = tls::leaf(root, address, &["localhost".into()], 30).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host_uri = format!("https://{}", listener.local_addr().unwrap());
    let config = server_config(&leaf, TenantVerifier::new(true)).unwrap();
    let incoming = ReceiverStream::new(accept_loop(listener, Arc::new(config), 16));
    let server = tonic::transport::Server::builder().add_service(GatewayServer::new(Echo));
    tokio::spawn(server.serve_with_incoming(incoming));
    Provider {
        owner: address.into(),
        host_uri,
        root_certificate: root.certificate().to_vec(),
        ..Provider::default()
    }
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let (provider, tenant) =
        (Address::from([1; 20]).to_string(), Address::from([2; 20]).to_string());
    let root = tls::provider_root(&provider, 365).unwrap();
    let record = start(&root, &provider).await;
    let identity = tls::tenant(&tenant, 30).unwrap();
    let mut gateway = connect(&record, Some(&identity)).await.unwrap();
    let status = gateway.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.provider, tenant);
}

#[tokio::test]
async fn a_gateway_with_another_root_than_on_chain_is_refused() {
    let provider = Address::from([1; 20]).to_string();
    let root = tls::provider_root(&provider, 365).unwrap();
    let mut record = start(&root, &provider).await;
    record.root_certificate = tls::provider_root(&provider, 365).unwrap().certificate().to_vec();
    let identity = tls::tenant(&Address::from([2; 20]).to_string(), 30).unwrap();
    let error = connect(&record, Some(&identity)).await.err().unwrap();
    assert!(matches!(&error, Error::Tls(m) if m.contains("not the provider on chain")), "{error}");
    // While the overlap lasts, the earlier root still vouches.
    record.earlier_root = root.certificate().to_vec();
    record.earlier_root_until = u64::MAX;
    connect(&record, Some(&identity)).await.unwrap();
}

#[tokio::test]
async fn a_client_without_a_certificate_or_with_one_of_no_tenant_gets_nothing() {
    let provider = Address::from([1; 20]).to_string();
    let root = tls::provider_root(&provider, 365).unwrap();
    let record = start(&root, &provider).await;
    let nobody = tls::tenant("nobody", 30).unwrap();
    for identity in [None, Some(&nobody)] {
        // In TLS 1.3 the client learns of it with its first call.
        let refused = match connect(&record, identity).await {
            Err(_) => true,
            Ok(mut gateway) => gateway.status(StatusRequest {}).await.is_err(),
        };
        assert!(refused);
    }
}

#[tokio::test]
async fn identities_survive_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, tenant) =
        (Address::from([1; 20]).to_string(), Address::from([2; 20]).to_string());
    let path = dir.path().join("root.pem");
    tls::provider_root(&provider, 365).unwrap().save(&path).unwrap();
    let root = Identity::load(&path).unwrap();
    let record = start(&root, &provider).await;
    let path = dir.path().join("tenant.pem");
    tls::tenant(&tenant, 30).unwrap().save(&path).unwrap();
    let mut gateway = connect(&record, Some(&Identity::load(&path).unwrap())).await.unwrap();
    gateway.status(StatusRequest {}).await.unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(Identity::load(&path).is_err());
}
