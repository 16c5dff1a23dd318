//! Which manifest a lease runs: its own deployment's, of what it was sold,
//! and that before where a new one cannot be had.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use stoa_client::convert::group_to_proto;
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_manifest::{parse, Options, Parsed};

use super::{manifest, Run, Stage};
use crate::tests_support::{one_service_sdl, tenant};

fn read(sdl: &str) -> Parsed {
    parse(sdl, &Options::default()).unwrap()
}

impl Stage {
    /// The chain wants this, for the order of these groups.
    fn wants(&mut self, version: &Parsed, order: &Parsed) {
        let lease = self.view.leases.get_mut(&self.lease).unwrap();
        lease.deployment.version = version.manifest.version().to_vec();
        lease.spec = group_to_proto(&order.groups[0]).unwrap();
    }
}

impl Run {
    fn see(&self, stage: &Stage) {
        self.views.send_replace(Some(Arc::new(stage.view.clone())));
    }
}

#[tokio::test]
async fn a_tenant_that_names_anothers_version_on_chain_gets_nothing_of_its_manifest() {
    let stage = Stage::set();
    let run = stage.run().await;
    // The version is public; the manifest came for a deployment of another.
    let other = format!("{}/77", tenant());
    run.manifests.put(&other, &manifest().canonical_json(), manifest()).unwrap();
    run.give_image();
    run.until_phase(&stage, LeasePhase::AwaitingManifest).await;
    run.looks().await;
    assert_eq!(run.phase(&stage), Some(LeasePhase::AwaitingManifest));
    assert!(stage.engine.instances().is_empty());
}

#[tokio::test]
async fn a_manifest_of_more_than_was_sold_is_not_run() {
    let mut stage = Stage::set();
    let sold = read(&one_service_sdl("nginx"));
    let more = read(&one_service_sdl("nginx").replace("units: 1}", "units: 4}"));
    stage.wants(&more, &sold);
    let run = stage.run().await;
    run.give(more.manifest);
    let words = || run.board.get(&stage.lease).map(|status| status.message).unwrap_or_default();
    run.until("said why", || words().contains("does not match the order on chain: ")).await;
    assert!(words().contains("cpu"), "{}", words());
    run.looks().await;
    assert_eq!(run.phase(&stage), Some(LeasePhase::AwaitingManifest));
    assert!(stage.engine.instances().is_empty());

    stage.wants(&sold, &sold);
    run.see(&stage);
    run.give(sold.manifest);
    run.until_phase(&stage, LeasePhase::Running).await;
}

#[tokio::test]
async fn an_update_whose_image_cannot_be_had_is_undone_in_time() {
    let mut stage = Stage::set();
    stage.update = 1;
    let before = read(&one_service_sdl("nginx"));
    stage.wants(&before, &before);
    let run = stage.run().await;
    run.give(before.manifest.clone());
    run.until_phase(&stage, LeasePhase::Running).await;

    let after = read(
        &one_service_sdl("registry.invalid/missing").replace("port: 80,", "port: 81, as: 80,"),
    );
    stage.wants(&after, &before);
    run.see(&stage);
    run.give(after.manifest.clone());
    let record = || run.leases.get(&stage.lease);
    let version = hex::encode(after.manifest.version());
    run.until("undone", || record().rejected.as_ref() == Some(&version)).await;
    assert_eq!(record().accepted, Some(hex::encode(before.manifest.version())));
    assert!(record().rejected_because.contains("registry.invalid/missing"), "{:?}", record());
    let told = || run.board.get(&stage.lease).unwrap();
    run.until("told", || told().message.contains("was undone")).await;
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1, "what runs was not touched");
}

#[tokio::test]
async fn a_lease_whose_record_cannot_be_written_keeps_what_leads_to_it() {
    let mut stage = Stage::set();
    let sdl = one_service_sdl("nginx").replace("port: 80,", "port: 7000,");
    let before = read(&sdl);
    stage.wants(&before, &before);
    let claim = serde_json::json!({
        "ports": [{"lease": stage.lease, "service": "web", "port": 7000, "external": 7000,
            "transport": "tcp", "host_port": 39_999, "confirmed": true}],
        "ips": [],
    });
    let claims = stage.dir.path().join("ports.json");
    std::fs::write(&claims, claim.to_string()).unwrap();
    let held = || std::fs::read_to_string(&claims).unwrap().contains("39999");
    let run = stage.run().await;
    run.give(before.manifest.clone());
    run.until("committed", || run.leases.get(&stage.lease).serving.is_some()).await;
    run.looks().await;
    assert!(held());

    // As on a full disk.
    let leases = stage.dir.path().join("leases");
    std::fs::rename(&leases, stage.dir.path().join("away")).unwrap();
    std::fs::write(&leases, b"no directory").unwrap();
    let after = read(&sdl.replace("nginx", "nginx:2"));
    stage.wants(&after, &before);
    run.give(after.manifest);
    run.see(&stage);
    run.looks().await;
    assert!(held());
    assert_eq!(stage.engine.instances().len(), 1);
}
