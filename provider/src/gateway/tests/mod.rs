//! The gateway over real TLS, on a chain that is a few maps.

mod blobs;
mod clients;
mod follow;
mod hostile;
mod inside;
mod peers;
mod relay;
mod rest;
mod secrets;
mod strangers;
mod tokens;

use std::sync::Arc;

use stoa_client::gateway::connect;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::gateway_client::GatewayClient;
use stoa_client::proto::gateway::v1::{
    BlobStatusRequest, LeasePhase, LeaseStatusRequest, LogsRequest, ScreenRequest, StatusRequest,
    SubmitManifestRequest, SubmitManifestResponse,
};
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::provider::v1::Provider;
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_client::tls::{provider_root, tenant as tenant_certificate, Identity};
use stoa_client::{Address, Error};
use stoa_manifest::{Blob, Manifest};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch, Notify};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{serve, Certificates, Context, GatewayService};
use crate::bidding::{BidStatus, Capacity, Prices, Screener};
use crate::chain::fake::FakeChain;
use crate::chain::View;
use crate::peers::Peers;
use crate::reconcile::Board;
use crate::relay::RelayService;
use crate::store::{BlobStore, LeaseStore, ManifestStore};
use crate::swarm::{Members, MembersParts};
use crate::tests_support::{
    config, deployment, lease_view, machine, me, one_service_manifest, order, overlay, tenant,
    view, FakeEngine, NOW,
};

type Client = GatewayClient<Channel>;

/// Of a provider with room, by the template's settings.
fn screener() -> Screener {
    let capacity = Capacity::new(&config(), &machine());
    let mut status = BidStatus::default();
    status.left.room = capacity.total;
    Screener {
        config: Arc::new(config()),
        prices: Arc::new(Prices::new(&config()).unwrap()),
        capacity: watch::channel(Some(capacity)).1,
        status: watch::channel(status).1,
    }
}

/// A running gateway whose provider holds one lease of [`tenant`]'s.
struct Stage {
    chain: Arc<FakeChain>,
    record: Provider,
    tenant: Identity,
    lease: BidId,
    manifest: Manifest,
    image: Vec<u8>,
    engine: Arc<FakeEngine>,
    board: Arc<Board>,
    blobs: Arc<BlobStore>,
    secrets: Arc<crate::secrets::Secrets>,
    views: watch::Sender<Option<Arc<View>>>,
    _end: oneshot::Sender<()>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    /// With other settings.
    async fn set_with(settle: impl FnOnce(&mut crate::config::Gateway)) -> Self {
        Self::set_whole(|config| settle(&mut config.gateway)).await
    }

    /// With other settings of any kind.
    async fn set_whole(settle: impl FnOnce(&mut crate::config::Config)) -> Self {
        let mut config = config();
        settle(&mut config);
        stoa_client::install_crypto();
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host_uri = format!("https://{}", listener.local_addr().unwrap());
        let root = provider_root(&me(), 30).unwrap();
        let record = Provider {
            owner: me(),
            host_uri: host_uri.clone(),
            root_certificate: root.certificate().to_vec(),
            ..Provider::default()
        };
        let image: Vec<u8> = (0..2_500_000_u32).map(|i| (i % 241) as u8).collect();
        let blob = Blob { root: blake3::hash(&image), bytes: image.len() as u64 };
        let manifest = one_service_manifest(&blob.to_string());
        let certificate = tenant_certificate(&tenant(), 30).unwrap();
        let chain = Arc::new(FakeChain::default());
        let lease = lease_view(&order(1));
        chain.change(|state| {
            state.time = NOW;
            state.provider = record.clone();
            state.certificates.push((tenant(), certificate.certificate().to_vec()));
            let mut matched = order(1);
            // The chain's class names; see `one_service_sdl`.
            matched.spec.as_mut().unwrap().resources[0].unit.as_mut().unwrap().endpoints =
                vec![Default::default()];
            state.orders.insert(matched.id.clone().unwrap().text(), matched);
            state.leases.insert(lease.name.clone(), lease.lease.clone());
            let id = format!("{}/1", tenant());
            let mut deployment = deployment(1, &manifest.version());
            deployment.manifest_root = manifest.root().as_bytes().to_vec();
            state.deployments.insert(id, deployment);
        });
        let (end, ended) = oneshot::channel::<()>();
        let (engine, board) = (Arc::new(FakeEngine::default()), Arc::new(Board::default()));
        let (views, seen) = watch::channel(None);
        config.data_dir = dir.path().into();
        let overlay = overlay(&config, chain.clone());
        let secrets = crate::tests_support::secrets(dir.path(), &root);
        let mut raw: Vec<Arc<dyn super::RawService>> = vec![Arc::new(peers::Echo)];
        if let Some(relay) = RelayService::open(&config.peering, dir.path()).unwrap() {
            raw.push(relay);
        }
        let manifests = Arc::new(ManifestStore::open(&dir.path().join("m")).unwrap());
        let blobs = BlobStore::open(&dir.path().join("b"), config.storage.clone()).unwrap();
        let blobs = Arc::new(blobs);
        let members = Arc::new(Members::new(MembersParts {
            own: me(),
            reads: chain.clone(),
            views: seen.clone(),
            peers: Arc::new(Peers::new(chain.clone(), &me(), root.clone())),
            manifests: manifests.clone(),
            blobs: blobs.clone(),
            leases: Arc::new(LeaseStore::open(&dir.path().join("l")).unwrap()),
            keep_seconds: config.storage.keep_seconds,
        }));
        let swarm = crate::swarm::engine(&me(), &members);
        let context = Arc::new(Context {
            config: Arc::new(config),
            provider: me(),
            reads: chain.clone(),
            views: seen,
            capacity: watch::channel(None).1,
            screener: Arc::new(screener()),
            backend: engine.clone(),
            manifests,
            blobs: blobs.clone(),
            swarm,
            board: board.clone(),
            overlay,
            secrets: secrets.clone(),
            wake: Arc::new(Notify::new()),
            raw,
        });
        let certificates = Certificates::issue(root, &me(), &host_uri).unwrap();
        let service = GatewayService::new(context);
        tokio::spawn(serve(listener, certificates, service, async move {
            let _ = ended.await;
        }));
        Self {
            chain,
            record,
            tenant: certificate,
            lease: lease.id,
            manifest,
            image,
            engine,
            board,
            blobs,
            secrets,
            views,
            _end: end,
            dir,
        }
    }

    async fn client(&self) -> Client {
        connect(&self.record, Some(&self.tenant)).await.unwrap()
    }

    fn deployment(&self) -> DeploymentId {
        DeploymentId { owner: tenant(), dseq: 1 }
    }

    async fn lease_status(&self, client: &mut Client) -> Result<LeasePhase, Status> {
        let request = LeaseStatusRequest { lease: Some(self.lease.clone()) };
        client.lease_status(request).await.map(|answer| answer.into_inner().phase())
    }

    async fn submit(
        &self,
        client: &mut Client,
        manifest: Vec<u8>,
    ) -> Result<SubmitManifestResponse, Status> {
        let request = SubmitManifestRequest { deployment: Some(self.deployment()), manifest };
        client.submit_manifest(request).await.map(|answer| answer.into_inner())
    }

    fn blob_request(&self) -> BlobStatusRequest {
        let blob = blake3::hash(&self.image).to_hex().to_string();
        BlobStatusRequest { deployment: Some(self.deployment()), blob }
    }
}

fn refused(result: Result<impl std::fmt::Debug, Status>, code: Code, word: &str) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(word), "{status} does not say {word:?}");
}

#[tokio::test]
async fn only_the_tenant_with_a_valid_certificate_is_served() {
    let stage = Stage::set().await;
    assert_eq!(
        stage.lease_status(&mut stage.client().await).await.unwrap(),
        LeasePhase::AwaitingManifest
    );

    // Without a certificate: the status alone.
    let mut nobody = connect(&stage.record, None).await.unwrap();
    let status = nobody.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.provider, me());
    let create = "stoa tx create-cert";
    refused(stage.lease_status(&mut nobody).await, Code::Unauthenticated, create);
    refused(stage.submit(&mut nobody, vec![]).await, Code::Unauthenticated, create);

    // The right name in a certificate that is not on chain.
    let forged = tenant_certificate(&tenant(), 30).unwrap();
    let mut forger = connect(&stage.record, Some(&forged)).await.unwrap();
    refused(stage.lease_status(&mut forger).await, Code::Unauthenticated, create);

    // Another tenant with a good certificate.
    let other = Address::from([9; 20]).to_string();
    let certificate = tenant_certificate(&other, 30).unwrap();
    stage.chain.change(|state| {
        state.certificates.push((other.clone(), certificate.certificate().to_vec()));
    });
    let mut stranger = connect(&stage.record, Some(&certificate)).await.unwrap();
    refused(stage.lease_status(&mut stranger).await, Code::PermissionDenied, "not of");
    refused(stage.submit(&mut stranger, vec![]).await, Code::PermissionDenied, "not of");
    let logs = LogsRequest { lease: Some(stage.lease.clone()), ..LogsRequest::default() };
    let logs = stranger.logs(logs).await.map(|_| ());
    refused(logs, Code::PermissionDenied, "not of");
    let upload = stranger.upload_blob(futures::stream::iter([stage.named()])).await;
    refused(upload, Code::PermissionDenied, "not of");

    // One's own lease, at another provider.
    let elsewhere = BidId { provider: other, ..stage.lease.clone() };
    let request = LeaseStatusRequest { lease: Some(elsewhere) };
    let answer = stage.client().await.lease_status(request).await;
    refused(answer, Code::NotFound, "at another provider");
}

#[tokio::test]
async fn a_revoked_certificate_and_a_chain_that_is_cut_open_nothing() {
    use super::auth::Tenants;
    use std::time::Duration;
    let stage = Stage::set().await;
    let tenants = Tenants::believing(stage.chain.clone(), &me(), Duration::ZERO);
    let der = stage.tenant.certificate();
    assert_eq!(tenants.owner(der).await.unwrap(), tenant());
    stage.chain.set_unreachable(true);
    refused(tenants.owner(der).await, Code::Unavailable, "try again");
    stage.chain.set_unreachable(false);
    stage.chain.change(|state| state.certificates.clear());
    refused(tenants.owner(der).await, Code::Unauthenticated, "revoked");
    // What was looked up a moment ago is believed for a moment only.
    let believing = |time| Tenants::believing(stage.chain.clone(), &me(), time);
    let lasting = believing(Duration::from_secs(600));
    let brief = believing(Duration::from_millis(100));
    stage.chain.change(|state| state.certificates.push((tenant(), der.to_vec())));
    lasting.owner(der).await.unwrap();
    brief.owner(der).await.unwrap();
    stage.chain.change(|state| state.certificates.clear());
    lasting.owner(der).await.unwrap();
    let forgotten = async {
        while brief.owner(der).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), forgotten).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_our_node_has_a_moment_after_others_is_taken() {
    let stage = Stage::set().await;
    let late = tenant_certificate(&tenant(), 30).unwrap();
    let mut client = connect(&stage.record, Some(&late)).await.unwrap();
    let comes = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        stage.chain.change(|state| {
            state.certificates.push((tenant(), late.certificate().to_vec()));
        });
    };
    let (phase, ()) = tokio::join!(stage.lease_status(&mut client), comes);
    assert_eq!(phase.unwrap(), LeasePhase::AwaitingManifest);
}

#[tokio::test]
async fn a_client_sees_a_gateway_with_another_root() {
    let stage = Stage::set().await;
    let other = provider_root(&me(), 30).unwrap();
    let record =
        Provider { root_certificate: other.certificate().to_vec(), ..stage.record.clone() };
    let error = connect(&record, Some(&stage.tenant)).await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_manifest_is_held_against_the_chain() {
    let stage = Stage::set().await;
    let mut client = stage.client().await;
    refused(stage.submit(&mut client, b"{}".to_vec()).await, Code::InvalidArgument, "manifest");
    let other = one_service_manifest("nginx").canonical_json();
    let wrong = stage.submit(&mut client, other).await;
    refused(wrong, Code::FailedPrecondition, "has version");

    // The order on chain asks for something else.
    let order_name = order(1).id.unwrap().text();
    let millicores = |value| {
        stage.chain.change(|state| {
            let spec = state.orders.get_mut(&order_name).unwrap().spec.as_mut().unwrap();
            spec.resources[0].unit.as_mut().unwrap().cpu.as_mut().unwrap().millicores = value;
        });
    };
    millicores(2_000);
    let bytes = stage.manifest.canonical_json();
    let mismatch = stage.submit(&mut client, bytes.clone()).await.unwrap_err();
    assert_eq!(mismatch.code(), Code::FailedPrecondition);
    for word in ["service web", "cpu.units", "1000", "2000"] {
        assert!(mismatch.message().contains(word), "{mismatch}");
    }
    millicores(1_000);
    let root = |root: [u8; 32]| {
        stage.chain.change(|state| {
            state.deployments.values_mut().for_each(|d| d.manifest_root = root.to_vec());
        });
    };
    root([7; 32]);
    let wrong = stage.submit(&mut client, bytes.clone()).await;
    refused(wrong, Code::FailedPrecondition, "manifest root");
    root(*stage.manifest.root().as_bytes());
    let missing = stage.submit(&mut client, bytes.clone()).await.unwrap().missing_blobs;
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].have, missing[0].size), (0, stage.image.len() as u64));
    assert_eq!(stage.submit(&mut client, bytes.clone()).await.unwrap().missing_blobs, missing);

    // Without a live lease nothing is taken.
    stage.chain.change(|state| {
        state.leases.values_mut().for_each(|lease| lease.set_state(LeaseState::Closed));
    });
    refused(stage.submit(&mut client, bytes).await, Code::FailedPrecondition, "no live lease");
    assert_eq!(stage.lease_status(&mut client).await.unwrap(), LeasePhase::Closing);
}

#[tokio::test]
async fn any_tenant_learns_why_an_order_is_not_bid_on_and_its_price() {
    let stage = Stage::set().await;
    let mut client = stage.client().await;
    let ask = |dseq| ScreenRequest { order: order(dseq).id };
    refused(client.screen(ask(2)).await, Code::Unavailable, "not been observed");
    let mut seen = view();
    let mut picky = order(3);
    picky.spec.as_mut().unwrap().requirements.get_or_insert_default().min_reputation = 9;
    seen.orders = vec![order(2), picky];
    stage.views.send_replace(Some(Arc::new(seen)));

    let good = client.screen(ask(2)).await.unwrap().into_inner();
    assert!(good.eligible && good.reasons.is_empty() && !good.has_bid, "{good:?}");
    assert_eq!(good.price.unwrap().denom, "ustoa");
    let bad = client.screen(ask(3)).await.unwrap().into_inner();
    assert!(!bad.eligible && bad.reasons[0].contains("reputation of 9"), "{bad:?}");
    refused(client.screen(ask(4)).await, Code::NotFound, "there is no");
    refused(client.screen(ScreenRequest { order: None }).await, Code::InvalidArgument, "missing");

    let mut stranger = connect(&stage.record, None).await.unwrap();
    refused(stranger.screen(ask(2)).await, Code::Unauthenticated, "certificate");
}

/// REST told it to anybody.
#[tokio::test]
async fn strangers_learn_nothing_about_orders_by_rest_either() {
    use stoa_client::token::Scope;
    let stage = Stage::set().await;
    let mut seen = view();
    seen.orders = vec![order(2)];
    stage.views.send_replace(Some(Arc::new(seen)));
    let path = format!("/order/{}/2/1/1/screen", tenant());
    let nobody = stage.rest(None, http::Request::get(&path), b"").await;
    assert_eq!(nobody.status, 401, "{}", nobody.text());
    let own = stage.get(&path).await;
    assert_eq!((own.status, &own.json()["eligible"]), (200, &true.into()), "{}", own.text());
    // By a token: what reads a status may ask, nothing else.
    stage.lease_of_signer();
    for (scope, status) in [(Scope::Status, 200), (Scope::Logs, 403)] {
        let token = format!("Bearer {}", stage.token(&[scope], vec![]));
        let ask = http::Request::get(&path).header("authorization", token);
        let answer = stage.rest(None, ask, b"").await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.text());
    }
}
