//! A start on a disk that is full: what fills it must be stopped, and for
//! that the daemon has to run.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use stoa_client::tls::Identity;
use tokio::sync::Notify;

use super::{announce, READY};
use crate::hosts::{self, Authority};
use crate::ingress::Ingress;
use crate::reconcile::Watchdog;
use crate::runtime::StorageUse;
use crate::store::LeaseStore;
use crate::tests_disk::{fill, run_on_a_small_disk, small_disk};
use crate::tests_support::{config, me, service_goal, FakeEngine};

#[test]
fn a_daemon_starts_on_a_full_disk_and_stops_what_fills_it() {
    run_on_a_small_disk("daemon::full_disk::child_starts_on_a_full_disk", 1024);
}

#[tokio::test]
#[ignore = "the child process of a_daemon_starts_on_a_full_disk_and_stops_what_fills_it"]
async fn child_starts_on_a_full_disk() {
    stoa_client::install_crypto();
    let disk = small_disk();
    let mut config = config();
    config.data_dir = disk.clone();
    config.ports.range = "30000-30001".into();
    config.ports.registry = disk.join("registry");
    let config = Arc::new(config);
    let (machines, leases) = (hosts::directory(&disk), disk.join("leases"));
    let spec = service_goal("web", 1, "v1").instances.remove(0);
    let accepted = |record: &mut crate::store::LeaseRecord| record.accepted = Some("v1".into());
    LeaseStore::open(&leases).unwrap().update(&spec.key.lease, accepted).unwrap();
    let authority = Authority::open(&machines, &me()).unwrap();
    let of_before = Identity::load(&authority.issue_front().unwrap()).unwrap();
    authority.issue_control().unwrap();
    drop(Ingress::start(&config).unwrap());
    fill(&disk.join("ballast"));

    // Parts that write at each start.
    let authority = Authority::open(&machines, &me()).unwrap();
    authority.issue_control().unwrap();
    let front = Identity::load(&authority.issue_front().unwrap()).unwrap();
    assert_eq!(front.certificate(), of_before.certificate());
    let names = fs::read_dir(&machines).unwrap().flatten().map(|entry| entry.file_name());
    let halves: Vec<_> = names.filter(|name| name.to_string_lossy().contains("new")).collect();
    assert!(halves.is_empty(), "half a file takes room: {halves:?}");
    drop(Ingress::start(&config).unwrap());

    // What fills the disk is looked for at once, not after an hour.
    let records = Arc::new(LeaseStore::open(&leases).unwrap());
    let engine = Arc::new(FakeEngine::default());
    engine.storage.lock().unwrap().push(StorageUse {
        key: spec.key.clone(),
        container: "c".into(),
        volume: None,
        used_bytes: 1 << 30,
        limit_bytes: 1 << 20,
        live: true,
    });
    let wake = Arc::new(Notify::new());
    let hour = Duration::from_secs(3600);
    let watchdog = Watchdog::new(engine, Arc::clone(&records), Arc::clone(&wake), hour);
    let watching = tokio::spawn(watchdog.run());
    wake.notified().await;
    assert_eq!(records.get(&spec.key.lease).overuses.len(), 1);
    watching.abort();

    // Programs are told as soon as there is room.
    let announcing = tokio::spawn(async move { announce(&config, &me()).await });
    tokio::task::yield_now().await;
    assert!(!announcing.is_finished() && !disk.join(READY).exists());
    fs::remove_file(disk.join("ballast")).unwrap();
    while !disk.join(READY).exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    announcing.abort();
}
