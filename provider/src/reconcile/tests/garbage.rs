//! What goes from the disk, and what stays.

use std::path::PathBuf;
use std::time::SystemTime;

use super::*;
use crate::store::YOUNG_SECONDS;

impl Stage {
    /// Where a blob's content is.
    fn file_of(&self, content: &[u8]) -> PathBuf {
        self.dir.path().join(format!("blobs/{}.blob", blake3::hash(content).to_hex()))
    }
}

/// As if a file had been written so long ago.
fn age(file: PathBuf, seconds: u64) -> PathBuf {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    std::fs::File::open(&file).unwrap().set_modified(at).unwrap();
    file
}

#[tokio::test]
async fn blobs_that_no_version_in_use_names_go_after_ten_minutes() {
    let stage = Stage::set();
    let first = stage.run().await;
    first.give_manifest();
    first.give_image();
    first.until("committed", || first.leases.get(&stage.lease).serving.is_some()).await;
    let replaced = one_service_manifest("nginx:1.26");
    first.give(replaced.clone());
    for content in [&b"replaced"[..], b"young"] {
        upload(&first.blobs, content);
    }
    drop(first);

    let past = YOUNG_SECONDS + 60;
    let manifest_file = |m: &Manifest| {
        let of = stage.deployment().replace('/', ".");
        stage.dir.path().join(format!("manifests/{of}.{}.json", hex::encode(m.version())))
    };
    let gone = [age(stage.file_of(b"replaced"), past), age(manifest_file(&replaced), past)];
    let stay = [
        age(stage.file_of(IMAGE), past),
        age(manifest_file(&manifest()), past),
        stage.file_of(b"young"),
    ];
    let second = stage.run().await;
    second.until("collected", || !gone.iter().any(|file| file.exists())).await;
    second.until_phase(&stage, LeasePhase::Running).await;
    assert!(stay.iter().all(|file| file.exists()), "{stay:?}");
    // What runs counts for its deployment after the restart, too.
    assert_eq!(second.blobs.held_for(&stage.deployment(), &[]), blob().bytes);
}

#[tokio::test]
async fn a_manifest_that_just_came_keeps_the_blobs_that_it_names_though_they_are_old() {
    let stage = Stage::set();
    let first = stage.run().await;
    for content in [&b"named again"[..], b"not named"] {
        upload(&first.blobs, content);
    }
    let named = Blob { root: blake3::hash(b"named again"), bytes: 11 };
    let newer = one_service_manifest(&named.to_string());
    // No lease of this view has its version yet.
    first.give(newer);
    drop(first);
    let long = 2 * config().storage.keep_seconds;
    let kept = age(stage.file_of(b"named again"), long);
    let gone = age(stage.file_of(b"not named"), long);
    let second = stage.run().await;
    second.until("collected", || !gone.exists()).await;
    assert!(kept.exists());
}
