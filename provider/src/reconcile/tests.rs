//! The loop on a chain and an engine that are maps.

mod data;
mod garbage;
mod manifests;
mod secrets;

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::keys::{new_mnemonic, recover, Algorithm};
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::proto::market::v1::{CloseReason, LeaseState};
use stoa_client::proto::types::v1::BidId;
use stoa_client::query::QueryClient;
use stoa_client::queue::QueueOptions;
use stoa_client::rpc::RpcClient;
use stoa_client::tls::provider_root;
use stoa_client::{Chain, TxQueue};
use stoa_manifest::{Blob, Manifest};
use tokio::sync::{watch, Notify};
use tokio::task::JoinHandle;

use super::{Board, Parts, Reconciler, Watchdog};
use crate::chain::fake::FakeChain;
use crate::chain::View;
use crate::config::Storage;
use crate::ingress::Ingress;
use crate::runtime::{ContainerState, StorageUse};
use crate::store::{BlobStore, LeaseStore, ManifestStore};
use crate::tests_support::{
    config, lease_view, me, one_service_manifest, order, overlay, secrets, tenant, upload, view,
    FakeEngine, NOW,
};

/// Everything that outlives a daemon, and the daemon's loop.
struct Stage {
    dir: tempfile::TempDir,
    chain: Arc<FakeChain>,
    engine: Arc<FakeEngine>,
    view: View,
    lease: String,
    /// How long a workload runs on without money.
    grace: u64,
    /// Seconds within which an update must be ready.
    update: u64,
}

/// One run of the daemon's loop; dropping it is as good as a kill.
struct Run {
    board: Arc<Board>,
    wake: Arc<Notify>,
    manifests: Arc<ManifestStore>,
    blobs: Arc<BlobStore>,
    leases: Arc<LeaseStore>,
    secrets: Arc<crate::secrets::Secrets>,
    views: watch::Sender<Option<Arc<View>>>,
    task: JoinHandle<()>,
    deployment: String,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const IMAGE: &[u8] = b"an image";

fn blob() -> Blob {
    Blob { root: blake3::hash(IMAGE), bytes: IMAGE.len() as u64 }
}

fn manifest() -> Manifest {
    one_service_manifest(&blob().to_string())
}

impl Stage {
    /// A provider with one lease, ACTIVE, for no transaction can be sent.
    fn set() -> Self {
        let mut lease = lease_view(&order(1));
        lease.deployment.version = manifest().version().to_vec();
        lease.lease.set_state(LeaseState::Active);
        lease.spec.resources[0].unit.as_mut().unwrap().endpoints = vec![Default::default()];
        let chain = Arc::new(FakeChain::default());
        chain.change(|state| {
            state.leases.insert(lease.name.clone(), lease.lease.clone());
        });
        let mut view = view();
        let name = lease.name.clone();
        view.leases.insert(name.clone(), lease);
        let dir = tempfile::tempdir().unwrap();
        Self { dir, chain, engine: Arc::default(), view, lease: name, grace: 0, update: 300 }
    }

    fn deployment(&self) -> String {
        deployment_of(&BidId::parse(&self.lease).unwrap()).text()
    }

    async fn run(&self) -> Run {
        let mut config = config();
        config.data_dir = self.dir.path().into();
        config.money.grace_seconds = self.grace;
        config.timing.update_seconds = self.update;
        config.ports.registry = self.dir.path().join("registry");
        config.ingress.tunnel_binary = Some("/bin/false".into());
        let config = Arc::new(config);
        let path = |name: &str| self.dir.path().join(name);
        let (views, receiver) = watch::channel(Some(Arc::new(self.view.clone())));
        let nowhere = ["http://127.0.0.1:1".to_string()];
        let key = recover(&new_mnemonic().unwrap(), "", Algorithm::Ed25519).unwrap();
        let chain = Chain::new(
            "test-1".into(),
            RpcClient::new(&nowhere).unwrap(),
            QueryClient::new(&nowhere).unwrap(),
            "1ustoa".parse().unwrap(),
        );
        let (queue, _) = TxQueue::open(chain, key, QueueOptions::default()).await.unwrap();
        let blobs = BlobStore::open(&path("blobs"), Storage::default()).unwrap();
        let parts = Parts {
            config: config.clone(),
            reads: self.chain.clone(),
            queue,
            backend: self.engine.clone(),
            image_engine: self.engine.clone(),
            manifests: Arc::new(ManifestStore::open(&path("manifests")).unwrap()),
            blobs: Arc::new(blobs),
            leases: Arc::new(LeaseStore::open(&path("leases")).unwrap()),
            board: Arc::default(),
            overlay: overlay(&config, self.chain.clone()),
            secrets: secrets(self.dir.path(), &provider_root(&me(), 30).unwrap()),
            wake: Arc::default(),
        };
        let (board, wake) = (parts.board.clone(), parts.wake.clone());
        let (manifests, blobs) = (parts.manifests.clone(), parts.blobs.clone());
        let (leases, secrets) = (parts.leases.clone(), parts.secrets.clone());
        let reconciler = Reconciler::new(parts, receiver, Ingress::start(&config).unwrap());
        let task = tokio::spawn(reconciler.run());
        let deployment = self.deployment();
        Run { board, wake, manifests, blobs, leases, secrets, views, task, deployment }
    }
}

impl Run {
    fn phase(&self, stage: &Stage) -> Option<LeasePhase> {
        self.board.get(&stage.lease).map(|status| status.phase())
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        for _ in 0..400 {
            if done() {
                return;
            }
            self.wake.notify_one();
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it never came to this: {what}");
    }

    async fn until_phase(&self, stage: &Stage, phase: LeasePhase) {
        self.until(phase.as_str_name(), || self.phase(stage) == Some(phase)).await;
    }

    fn give_manifest(&self) {
        self.give(manifest());
    }

    fn give(&self, manifest: Manifest) {
        self.manifests.put(&self.deployment, &manifest.canonical_json(), manifest).unwrap();
    }

    fn give_image(&self) {
        upload(&self.blobs, IMAGE);
    }

    /// Some looks pass.
    async fn looks(&self) {
        for _ in 0..20 {
            self.wake.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_lease_comes_up_step_by_step_and_is_adopted_by_the_next_run() {
    let stage = Stage::set();
    let first = stage.run().await;
    first.until_phase(&stage, LeasePhase::AwaitingManifest).await;
    first.give_manifest();
    first.until_phase(&stage, LeasePhase::AwaitingBlobs).await;
    assert!(stage.engine.instances().is_empty());
    first.give_image();
    first.until_phase(&stage, LeasePhase::Running).await;
    first.until("committed", || first.leases.get(&stage.lease).serving.is_some()).await;
    assert_eq!(stage.engine.instances().len(), 1);
    drop(first);

    let second = stage.run().await;
    second.until_phase(&stage, LeasePhase::Running).await;
    second.looks().await;
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1, "it was adopted");
    assert_eq!(stage.engine.loaded.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_be_observed_changes_nothing() {
    let stage = Stage::set();
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until_phase(&stage, LeasePhase::Running).await;

    // The lease is in no list any more, and nobody can say why.
    stage.chain.set_unreachable(true);
    let gone = View { leases: Default::default(), ..stage.view.clone() };
    run.views.send_replace(Some(Arc::new(gone)));
    run.looks().await;
    assert_eq!(stage.engine.instances().len(), 1);

    // A node that does not know it (yet) is no proof either.
    stage.chain.set_unreachable(false);
    let lease = std::cell::RefCell::new(None);
    stage.chain.change(|state| *lease.borrow_mut() = state.leases.remove(&stage.lease));
    run.looks().await;
    assert_eq!(stage.engine.instances().len(), 1);

    // Live after all, or closed, and the engine does not answer.
    let mut lease = lease.into_inner().unwrap();
    stage.chain.change(|state| {
        state.leases.insert(stage.lease.clone(), lease.clone());
    });
    run.looks().await;
    assert_eq!(stage.engine.instances().len(), 1);
    lease.set_state(LeaseState::Closed);
    stage.chain.change(|state| {
        state.leases.insert(stage.lease.clone(), lease);
    });
    stage.engine.cut.store(true, Ordering::SeqCst);
    run.looks().await;
    assert_eq!(stage.engine.instances().len(), 1);

    // Now it is certain, and is done whenever it can be.
    stage.engine.cut.store(false, Ordering::SeqCst);
    run.until("removed", || stage.engine.instances().is_empty()).await;
    run.until("noted", || run.leases.get(&stage.lease).removed).await;
    run.until("taken off the board", || run.phase(&stage).is_none()).await;
}

#[tokio::test]
async fn a_new_version_is_served_once_all_of_it_is_here() {
    let mut stage = Stage::set();
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until("committed", || run.leases.get(&stage.lease).serving.is_some()).await;

    let mut next = one_service_manifest("nginx:1.27");
    next.groups[0].services[0].env = Some(vec!["NEW=1".into()]);
    let version = hex::encode(next.version());
    let lease = stage.view.leases.get_mut(&stage.lease).unwrap();
    lease.deployment.version = next.version().to_vec();
    run.views.send_replace(Some(Arc::new(stage.view.clone())));
    run.looks().await;
    assert_eq!(run.phase(&stage), Some(LeasePhase::Running), "the version before goes on");
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1);

    run.give(next);
    let served = || run.leases.get(&stage.lease).serving.as_ref() == Some(&version);
    run.until("the new version is served", served).await;
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 2);
    run.until("told", || run.board.get(&stage.lease).is_some_and(|s| s.version == version)).await;
}

#[tokio::test]
async fn what_wrote_too_much_is_stopped_told_and_started_by_an_update() {
    let mut stage = Stage::set();
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until("committed", || run.leases.get(&stage.lease).serving.is_some()).await;
    let key = stage.engine.instances().remove(0);
    let wrote = |used_bytes, live| StorageUse {
        key: key.clone(),
        container: "workload".into(),
        live,
        volume: Some("data".into()),
        used_bytes,
        limit_bytes: 128 << 20,
    };
    let every = Duration::from_secs(1);
    let watchdog = Watchdog::new(stage.engine.clone(), run.leases.clone(), run.wake.clone(), every);
    let measured = |storage: StorageUse| *stage.engine.storage.lock().unwrap() = vec![storage];
    measured(wrote(128 << 20, true));
    assert_eq!(watchdog.check().await.unwrap(), 0, "all that was sold may be used");
    measured(wrote(129 << 20, true));
    stage.engine.cut.store(true, Ordering::SeqCst);
    watchdog.check().await.unwrap_err();
    stage.engine.cut.store(false, Ordering::SeqCst);
    assert_eq!(watchdog.check().await.unwrap(), 1);
    assert_eq!(watchdog.check().await.unwrap(), 0, "it is marked already");

    let state = || {
        let seen = stage.engine.seen.lock().unwrap();
        seen.instances[&key].workload.as_ref().unwrap().state
    };
    run.until("stopped", || state() == ContainerState::Exited).await;
    run.until_phase(&stage, LeasePhase::Degraded).await;
    let text = run.board.get(&stage.lease).unwrap().message;
    let told = "web[0] wrote 129 MiB of 128 MiB to its volume data and was stopped";
    assert!(text.starts_with(told), "{text}");
    measured(wrote(129 << 20, false));
    drop(run);

    let run = stage.run().await;
    run.until_phase(&stage, LeasePhase::Degraded).await;
    run.looks().await;
    assert_eq!(state(), ContainerState::Exited, "the next run leaves it so");
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1);

    let mut next = manifest();
    next.groups[0].services[0].env = Some(vec!["NEW=1".into()]);
    let lease = stage.view.leases.get_mut(&stage.lease).unwrap();
    lease.deployment.version = next.version().to_vec();
    run.views.send_replace(Some(Arc::new(stage.view.clone())));
    run.give(next);
    run.until_phase(&stage, LeasePhase::Running).await;
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_removal_that_is_refused_is_tried_until_it_is_done() {
    let stage = Stage::set();
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until_phase(&stage, LeasePhase::Running).await;
    stage.engine.stuck.store(2, Ordering::SeqCst);
    stage.chain.change(|state| {
        state.leases.get_mut(&stage.lease).unwrap().set_state(LeaseState::Closed);
    });
    let gone = View { leases: Default::default(), ..stage.view.clone() };
    run.views.send_replace(Some(Arc::new(gone)));
    run.until("the first try", || stage.engine.stuck.load(Ordering::SeqCst) == 1).await;
    assert_eq!(stage.engine.instances().len(), 1);
    assert!(!run.leases.get(&stage.lease).removed, "not before it is done");
    // Over a new daemon, too.
    drop(run);
    let run = stage.run().await;
    let gone = View { leases: Default::default(), ..stage.view.clone() };
    run.views.send_replace(Some(Arc::new(gone)));
    run.until("removed", || run.leases.get(&stage.lease).removed).await;
    assert!(stage.engine.instances().is_empty());
}

#[tokio::test]
async fn what_ends_again_and_again_rests_is_told_and_starts_again() {
    let stage = Stage::set();
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until("committed", || run.leases.get(&stage.lease).serving.is_some()).await;
    let key = stage.engine.instances().remove(0);
    let change = |state, restarts| {
        let mut seen = stage.engine.seen.lock().unwrap();
        let workload = seen.instances.get_mut(&key).unwrap().workload.as_mut().unwrap();
        (workload.state, workload.restarts, workload.exit_code) = (state, restarts, 3);
    };
    let state = || {
        let seen = stage.engine.seen.lock().unwrap();
        seen.instances[&key].workload.as_ref().unwrap().state
    };
    change(ContainerState::Restarting, 4);
    run.looks().await;
    assert_eq!(state(), ContainerState::Restarting, "the engine may try a few times");
    change(ContainerState::Restarting, 5);
    run.until("stopped for its rest", || state() == ContainerState::Exited).await;
    run.looks().await;
    assert_eq!(state(), ContainerState::Exited);
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1);
    let status = run.board.get(&stage.lease).unwrap();
    assert_eq!(status.phase(), LeasePhase::Degraded);
    assert!(status.message.contains("code 3, 5 times in a row; it rests 10 s"), "{status:?}");
    assert_eq!(status.services[0].instances[0].restarts, 6, "its own start is the next");

    // A daemon that knows of no rest starts it.
    drop(run);
    let run = stage.run().await;
    run.until("started", || stage.engine.applied.load(Ordering::SeqCst) == 2).await;
    run.until_phase(&stage, LeasePhase::Running).await;
}

#[tokio::test]
async fn a_workload_whose_money_ran_out_runs_on_for_the_grace_period_by_the_chains_clock() {
    let mut stage = Stage::set();
    stage.grace = 100;
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until_phase(&stage, LeasePhase::Running).await;
    stage.chain.change(|state| {
        let order = order(1);
        state.orders.insert(order.id.clone().unwrap().text(), order);
        let deployment = stage.view.leases[&stage.lease].deployment.clone();
        state.deployments.insert(format!("{}/1", tenant()), deployment);
        let lease = state.leases.get_mut(&stage.lease).unwrap();
        lease.set_state(LeaseState::Closed);
        lease.set_reason(CloseReason::FundsExhausted);
        lease.closed_at = NOW;
    });
    let at = |time| {
        let gone = View { leases: Default::default(), time, ..stage.view.clone() };
        run.views.send_replace(Some(Arc::new(gone)));
    };
    at(NOW + 99);
    run.until_phase(&stage, LeasePhase::Closing).await;
    run.looks().await;
    assert_eq!(stage.engine.instances().len(), 1, "it runs on");
    assert_eq!(run.leases.get(&stage.lease).closed_at, None, "a restart asks again");
    at(NOW + 100);
    run.until("removed", || stage.engine.instances().is_empty()).await;
}

#[tokio::test]
async fn a_lease_that_endpoints_disagree_about_is_not_removed() {
    let stage = Stage::set();
    let run = stage.run().await;
    run.give_manifest();
    run.give_image();
    run.until_phase(&stage, LeasePhase::Running).await;
    stage.chain.change(|state| {
        state.disagree = true;
        state.leases.get_mut(&stage.lease).unwrap().set_state(LeaseState::Closed);
    });
    let gone = View { leases: Default::default(), ..stage.view.clone() };
    run.views.send_replace(Some(Arc::new(gone)));
    run.looks().await;
    assert_eq!(stage.engine.instances().len(), 1);
    stage.chain.change(|state| state.disagree = false);
    run.until("removed", || stage.engine.instances().is_empty()).await;
}
