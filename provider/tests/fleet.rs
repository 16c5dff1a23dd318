//! Several machines as one provider: places, silence, death. See
//! `support/fleet.rs`.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

#[path = "support/fleet.rs"]
#[allow(dead_code)]
mod machines;
#[allow(dead_code)]
mod support;

use machines::{settings, until, Daemon, Front, Machine};
use stoa_manifest::Blob;
use stoa_provider::fleet::HostState;
use stoa_provider::reconcile::ImageEngine;
use stoa_provider::runtime::{Applied, Backend, RuntimeError, VolumeClass, VolumeSpec};

/// An archive with one page.
fn data_archive() -> (tempfile::NamedTempFile, Blob) {
    let mut builder = tar::Builder::new(vec![]);
    let mut header = tar::Header::new_gnu();
    header.set_size(8);
    header.set_mode(0o644);
    builder.append_data(&mut header, "page", &b"shipped\n"[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    (file, Blob { root: blake3::hash(&bytes), bytes: bytes.len() as u64 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_over_three_machines_places_serves_waits_and_recovers() {
    stoa_client::install_crypto();
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    let (mut n1, mut n2) = std::thread::scope(|scope| {
        let start = |name: &'static str| scope.spawn(move || Machine::start(name, path));
        let (first, second) = (start("n1"), start("n2"));
        (first.join().unwrap(), second.join().unwrap())
    });
    let dir = tempfile::tempdir().unwrap();
    let (config, address) = settings(dir.path());
    n1.join(&config, "250m");
    n2.join(&config, "900m");
    n1.run_agent();
    n2.run_agent();
    let mut daemon = Daemon::start(dir, config, &address).await;
    let mut front = Front::start(root.path()).await;
    daemon.await_state("n1", HostState::Up).await;
    daemon.await_state("n2", HostState::Up).await;

    // The inventory adds up, and best fit decides.
    let one = daemon.provider.backend.inventory().await.unwrap();
    let all = daemon.fleet.inventory().await.unwrap();
    assert_eq!(all.cpu_millis, 3 * one.cpu_millis);
    let (small, place) = daemon.run("small", 90).await;
    assert_eq!(place, None, "it all but fills the daemon's own machine");
    let (web, place) = daemon.run("web", 200).await;
    assert_eq!(place.as_deref(), Some("n1"), "it leaves less there than on n2");
    let large = daemon.run("large", 800).await;
    assert_eq!(large.1.as_deref(), Some("n2"));
    assert!(daemon.hosts(&["list"]).contains("250m cpu"), "{}", daemon.hosts(&["list"]));

    // What a volume begins with comes to the machine where the volume is.
    let mut large = large.0;
    let (archive, blob) = data_archive();
    large.volumes = vec![VolumeSpec {
        name: "site".into(),
        bytes: 1 << 20,
        class: VolumeClass::Ephemeral,
        storage_class: String::new(),
        mount: "/site".into(),
        read_only: true,
        data: Some(blob.root.to_hex().to_string()),
    }];
    let missing = daemon.fleet.apply(&large).await.unwrap_err();
    assert!(matches!(missing, RuntimeError::DataMissing { .. }), "{missing}");
    daemon.fleet.load_data(&large.key, archive.path().into(), blob).await.unwrap();
    assert_eq!(daemon.fleet.apply(&large).await.unwrap(), Applied::Replaced);
    let workload = daemon.provider.backend.names().instance(&large.key).workload;
    assert_eq!(n2.docker(&["exec", &workload, "/bin/cat", "/site/page"]), "shipped\n");

    // HTTP reaches each, wherever it is.
    for spec in [&small, &web] {
        let answer = front.get(&daemon.fleet, &spec.key).await;
        assert!(answer.ends_with("hello\n"), "{answer}");
    }

    // The agent dies: it is unknown, nothing moves, and its relay serves on.
    let before = n1.objects();
    n1.agent = None;
    daemon.await_state("n1", HostState::Unknown).await;
    assert!(front.request().await.ends_with("hello\n"));
    let seen = daemon.fleet.observe().await.unwrap();
    assert!(seen.instances[&web.key].place.unknown);
    assert!(daemon.fleet.apply(&web).await.unwrap_err().is_unknown());
    assert!(daemon.fleet.remove_lease("fleet-lease").await.unwrap_err().is_unknown());
    // A daemon that starts meanwhile leads there all the same.
    daemon.again().await;
    daemon.await_state("n1", HostState::Unknown).await;
    let answer = front.get(&daemon.fleet, &web.key).await;
    assert!(answer.ends_with("hello\n"), "{answer}");
    n1.run_agent();
    daemon.await_state("n1", HostState::Up).await;
    let seen = daemon.fleet.observe().await.unwrap();
    assert!(seen.instances[&web.key].is_serving() && !seen.instances[&web.key].place.unknown);
    assert_eq!(n1.objects(), before, "adopted as it was");

    // Its network is cut: the same, until the operator says that it is dead.
    let (web, place) = daemon.run("web", 200).await;
    assert_eq!(place.as_deref(), Some("n1"));
    n1.link("down");
    daemon.await_state("n1", HostState::Unknown).await;
    assert!(daemon.fleet.apply(&web).await.unwrap_err().is_unknown());
    n2.docker(&["ps"]);
    daemon.hosts(&["dead", "n1"]);
    daemon.await_state("n1", HostState::Dead).await;
    // n2 is full by then, and this machine too: it goes where most is left.
    let (web, place) = daemon.run("web", 200).await;
    assert_ne!(place.as_deref(), Some("n1"));
    let answer = front.get(&daemon.fleet, &web.key).await;
    assert!(answer.ends_with("hello\n"), "{answer}");

    // Back from the dead, it is cleaned of what runs elsewhere now.
    n1.link("up");
    until("n1 is clean", || async { n1.objects().is_empty().then_some(()) }).await;
    assert!(front.get(&daemon.fleet, &web.key).await.ends_with("hello\n"));
    daemon.hosts(&["use", "n1"]);
    daemon.await_state("n1", HostState::Up).await;
    daemon.fleet.remove_lease("fleet-lease").await.unwrap();
    assert!(n2.objects().is_empty() && daemon.provider.containers().is_empty());
}
