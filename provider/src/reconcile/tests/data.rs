//! Archives on their way into volumes.

use stoa_manifest::Mount;

use super::*;

const ARCHIVE: &[u8] = b"an archive";

fn archive() -> Blob {
    Blob { root: blake3::hash(ARCHIVE), bytes: ARCHIVE.len() as u64 }
}

fn manifest_with_data() -> Manifest {
    let mut manifest = manifest();
    let service = &mut manifest.groups[0].services[0];
    let mount = Mount {
        name: service.resources.storage[0].name.clone(),
        mount: "/site".into(),
        read_only: true,
        data: Some(archive().to_string()),
    };
    service.params.get_or_insert_default().storage.push(mount);
    manifest
}

#[tokio::test]
async fn a_lease_waits_for_its_data_which_comes_to_the_engine_when_that_needs_it() {
    let mut stage = Stage::set();
    let manifest = manifest_with_data();
    let lease = stage.view.leases.get_mut(&stage.lease).unwrap();
    lease.deployment.version = manifest.version().to_vec();
    let run = stage.run().await;
    run.give(manifest);
    run.give_image();
    run.until_phase(&stage, LeasePhase::AwaitingBlobs).await;
    let waits = || run.board.get(&stage.lease).unwrap().message;
    let words = "send the data of web's volume default: 0 of 10 bytes are here";
    run.until("it says what is missing", || waits() == words).await;
    assert!(stage.engine.instances().is_empty());

    upload(&run.blobs, ARCHIVE);
    run.until_phase(&stage, LeasePhase::Running).await;
    let root = archive().root.to_hex().to_string();
    assert!(stage.engine.data.lock().unwrap().contains(&root));
    let told = run.board.events().after(&stage.lease, 0);
    assert!(told.iter().any(|event| event.message.contains("is here, for the volume default")));
}
