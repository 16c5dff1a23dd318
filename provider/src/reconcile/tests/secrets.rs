//! Secrets on their way into instances, and what stays of a lease that closed.

use std::time::SystemTime;

use stoa_client::proto::gateway::v1::SealedSecrets;
use stoa_client::sealing::{Binding, Signed, Value, Values};
use stoa_client::tls::tenant as tenant_certificate;

use super::*;

fn manifest_with_secret() -> Manifest {
    let mut manifest = manifest();
    manifest.groups[0].services[0].env = Some(vec!["PASSWORD=secret://db".into()]);
    manifest
}

fn bundle(run: &Run, revision: u64, value: &str) -> SealedSecrets {
    let manifest = manifest_with_secret();
    let binding = Binding {
        chain_id: config().chain.id,
        deployment: stoa_client::proto::types::v1::DeploymentId { owner: tenant(), dseq: 1 },
        version: hex::encode(manifest.version()),
        group: manifest.groups[0].name.clone(),
        revision,
    };
    let values: Values = [("db".to_string(), Value::new(value.into()))].into_iter().collect();
    let certificate = tenant_certificate(&tenant(), 30).unwrap();
    let signed = Signed::new(binding, values, &certificate).unwrap();
    signed.seal(&me(), &run.secrets.statement().public_key).unwrap()
}

#[tokio::test]
async fn a_lease_waits_for_its_secrets_says_what_to_do_and_starts_anew_for_a_new_value() {
    let mut stage = Stage::set();
    let manifest = manifest_with_secret();
    let lease = stage.view.leases.get_mut(&stage.lease).unwrap();
    lease.deployment.version = manifest.version().to_vec();
    let run = stage.run().await;
    run.give(manifest);
    run.give_image();
    run.until_phase(&stage, LeasePhase::AwaitingSecrets).await;
    let message = run.board.get(&stage.lease).unwrap().message;
    for words in ["db", "stoa secret set db", "stoa secret send 1"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(stage.engine.instances().is_empty());

    run.secrets.keep(bundle(&run, 1, "one")).unwrap();
    run.until_phase(&stage, LeasePhase::Running).await;
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1);
    run.secrets.keep(bundle(&run, 2, "one")).unwrap();
    run.looks().await;
    assert_eq!(stage.engine.applied.load(Ordering::SeqCst), 1, "the value is the same");
    run.secrets.keep(bundle(&run, 3, "two")).unwrap();
    run.until("started anew", || stage.engine.applied.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn what_a_closed_lease_had_stays_for_its_successor_over_restarts_and_goes_in_time() {
    let mut stage = Stage::set();
    let first = stage.run().await;
    first.give_manifest();
    first.give_image();
    first.until_phase(&stage, LeasePhase::Running).await;
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let keep = config().storage.keep_seconds;
    stage.chain.change(|state| {
        let lease = state.leases.get_mut(&stage.lease).unwrap();
        lease.set_state(LeaseState::Closed);
        lease.closed_at = now();
    });
    let gone = View { leases: Default::default(), ..stage.view.clone() };
    first.views.send_replace(Some(Arc::new(gone)));
    first.until("removed", || first.leases.get(&stage.lease).removed).await;
    drop(first);
    stage.view.leases.clear();

    let version = hex::encode(manifest().version());
    let manifest_file = stage
        .dir
        .path()
        .join(format!("manifests/{}.{version}.json", stage.deployment().replace('/', ".")));
    let blob_file = stage.dir.path().join(format!("blobs/{}.blob", blob().root.to_hex()));
    let long_ago = SystemTime::now() - Duration::from_secs(2 * keep);
    for file in [&manifest_file, &blob_file] {
        std::fs::File::open(file).unwrap().set_modified(long_ago).unwrap();
    }
    let second = stage.run().await;
    second.looks().await;
    assert!(manifest_file.exists() && blob_file.exists(), "it closed a moment ago");
    second.leases.update(&stage.lease, |record| record.closed_at = Some(now() - keep - 1)).unwrap();
    drop(second);

    let third = stage.run().await;
    third.until("collected", || !manifest_file.exists() && !blob_file.exists()).await;
    assert!(!third.leases.has(&stage.lease));
}
