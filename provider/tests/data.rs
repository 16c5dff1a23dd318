//! Volumes that hold something at first, on a real engine.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;

use std::collections::BTreeSet;

use stoa_provider::runtime::{
    Applied, Backend, DockerBackend, ImageBlob, InstanceKey, RuntimeError, VolumeClass, VolumeSpec,
    WorkloadSpec,
};
use support::{die_at, docker, exec, exec_fails, task_of_child, Provider};
use tar::{EntryType, Header};

/// An archive in a file, and its BLAKE3 root.
struct Data {
    file: tempfile::NamedTempFile,
    root: String,
}

impl Data {
    /// Of one content for each mark.
    fn new(mark: &str) -> Self {
        let mut builder = tar::Builder::new(vec![]);
        let mut add = |kind, name: &str, mode, owner, content: &str| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(mode);
            header.set_uid(owner);
            header.set_gid(owner);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        };
        add(EntryType::Directory, "./", 0o1777, 7, "");
        add(EntryType::Regular, "page", 0o644, 0, mark);
        add(EntryType::Directory, "own/", 0o700, 1000, "");
        add(EntryType::Regular, "own/run", 0o755, 1000, "#!/bin/sh\n");
        // More than lies in buffers on the way.
        add(EntryType::Regular, "large", 0o644, 0, &"large".repeat(1 << 20));
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "own/link", "../page").unwrap();
        Self::of(&builder.into_inner().unwrap())
    }

    fn of(bytes: &[u8]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Self { file, root: blake3::hash(bytes).to_hex().to_string() }
    }

    async fn load(&self, backend: &DockerBackend) -> Result<(), RuntimeError> {
        let bytes = self.file.as_file().metadata().unwrap().len();
        let blob = ImageBlob { path: self.file.path(), blake3_hex: &self.root, bytes };
        backend.load_data(blob).await.map(drop)
    }

    fn in_volume(&self, name: &str, class: VolumeClass, read_only: bool) -> VolumeSpec {
        VolumeSpec {
            name: name.into(),
            bytes: 8 << 20,
            class,
            storage_class: String::new(),
            mount: format!("/{name}"),
            read_only,
            data: Some(self.root.clone()),
        }
    }

    /// In a volume that stays, one that may not be written, and one that goes.
    fn everywhere(&self) -> Vec<VolumeSpec> {
        vec![
            self.in_volume("kept", VolumeClass::Persistent, false),
            self.in_volume("site", VolumeClass::Ephemeral, true),
            self.in_volume("work", VolumeClass::Ephemeral, false),
        ]
    }
}

#[tokio::test]
async fn a_volume_holds_what_was_shipped_at_first_and_then_what_was_written() {
    let provider = Provider::start("data").await;
    let backend = &provider.backend;
    let image = provider.busybox().await;
    let mut spec = provider.spec("data-lease", "web", &image);
    let first = Data::new("first");
    spec.volumes = first.everywhere();

    // Nothing runs before what it begins with is here; then it is all there.
    let error = backend.apply(&spec).await.unwrap_err();
    let RuntimeError::DataMissing { volume, blob, .. } = &error else { panic!("{error}") };
    assert_eq!((volume, blob), (&"kept".to_string(), &first.root));
    first.load(backend).await.unwrap();
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Created);
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Unchanged);
    let workload = backend.names().instance(&spec.key).workload;
    for volume in ["kept", "site", "work"] {
        assert_whole(&workload, volume, "first");
    }
    exec(&workload, "touch /kept/new /work/new");
    exec_fails(&workload, "touch /site/new");
    assert_eq!(provider.containers().len(), 2, "nothing is left of the filling");
    let used = backend.storage().await.unwrap();
    let ephemeral = used.iter().find(|used| used.volume.is_none()).unwrap();
    assert!(ephemeral.used_bytes >= 2 * 4 * 4096, "{ephemeral:?}");

    // What the workload wrote stays: over a restart, and where it is as wanted.
    exec(&workload, "echo mine > /kept/page; echo mine > /work/page");
    backend.restart(&spec.key).await.unwrap();
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Unchanged);
    assert_eq!(exec(&workload, "cat /kept/page /work/page"), "mine\nmine\n");
    // A new container has the volume that stays, and the others anew.
    spec.env.push("VERSION=2".into());
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Replaced);
    assert_eq!(exec(&workload, "cat /kept/page"), "mine\n");
    assert_whole(&workload, "work", "first");

    // With other data too; the old one runs until that is here.
    let second = Data::new("second");
    spec.volumes = second.everywhere();
    let error = backend.apply(&spec).await.unwrap_err();
    assert!(matches!(error, RuntimeError::DataMissing { .. }), "{error}");
    assert_eq!(exec(&workload, "cat /kept/page /work/page"), "mine\nfirst");
    second.load(backend).await.unwrap();
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Replaced);
    assert_eq!(exec(&workload, "cat /kept/page"), "mine\n");
    assert_whole(&workload, "site", "second");
    assert_whole(&workload, "work", "second");

    // The archives' images go when nobody fills from them, and are not missed.
    assert_eq!(backend.collect_images([image.id.as_str()]).await.unwrap(), 2);
    spec.volumes.truncate(1);
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Replaced);
    assert_eq!(exec(&workload, "cat /kept/page"), "mine\n");
    assert_eq!(provider.volumes().len(), 2, "the volume and its mark");
    backend.remove_instance(&spec.key).await.unwrap();
    assert_eq!(provider.volumes().len(), 2);
    backend.remove_lease("data-lease").await.unwrap();
    assert_eq!(provider.volumes(), [""; 0]);
}

#[tokio::test]
async fn a_volume_that_was_there_before_its_data_is_left_alone_and_a_small_one_is_refused() {
    let provider = Provider::start("data-before").await;
    let backend = &provider.backend;
    let image = provider.busybox().await;
    let mut spec = provider.spec("before-lease", "web", &image);
    let data = Data::new("shipped");
    data.load(backend).await.unwrap();
    spec.volumes = vec![data.in_volume("kept", VolumeClass::Persistent, false)];
    spec.volumes[0].bytes = 4096;
    let error = backend.apply(&spec).await.unwrap_err().to_string();
    let cause = "web[0]: the data of the volume kept: its files take 5263360 bytes, and the volume";
    assert!(error.contains(cause), "{error}");
    assert_eq!(provider.volumes(), [""; 0]);

    spec.volumes[0].bytes = 8 << 20;
    spec.volumes[0].data = None;
    backend.apply(&spec).await.unwrap();
    let workload = backend.names().instance(&spec.key).workload;
    exec(&workload, "echo mine > /kept/page");
    spec.volumes[0].data = Some(data.root.clone());
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Replaced);
    assert_eq!(exec(&workload, "cat /kept/page"), "mine\n");
    assert_eq!(provider.volumes().len(), 1);
    let hostile = Data::of(b"\x1f\x8b and so on");
    let error = hostile.load(backend).await.unwrap_err().to_string();
    assert!(error.contains("not a readable tar"), "{error}");
}

/// Every step of filling.
const DEATHS: [&str; 7] = [
    "runtime.after_data_load",
    "runtime.after_data_volume_create",
    "runtime.after_filler_create",
    "runtime.after_data_fill",
    "runtime.after_data_mark",
    "runtime.after_passing_volume_create",
    "runtime.after_passing_volume_fill",
];

/// Those between which the volume that stays may be half-filled.
const UNMARKED: [&str; 3] =
    ["runtime.after_data_volume_create", "runtime.after_filler_create", "runtime.after_data_fill"];

#[tokio::test]
async fn a_death_while_volumes_are_filled_ends_with_whole_volumes() {
    let provider = Provider::start("data-death").await;
    let backend = &provider.backend;
    let image = provider.busybox().await;
    let data = Data::new("shipped");
    let mut spec = child_spec(&provider.id, &image.id, &data);
    let workload = backend.names().instance(&spec.key).workload;
    let kept = backend.names().volume(&spec.key, "kept");
    let task = |root: &Data| format!("{} {} {}", provider.id, image.id, root.file.path().display());
    for step in DEATHS {
        die_at(&task(&data), step);
        if UNMARKED.contains(&step) {
            // As if the copying had been cut off, and something else lay there.
            std::fs::write(mountpoint(&kept).join("stale"), "stale").unwrap();
        }
        backend.apply(&spec).await.unwrap();
        for volume in ["kept", "site", "work"] {
            assert_whole(&workload, volume, "shipped");
        }
        assert_eq!(provider.containers().len(), 2, "{step}: no orphan");
        assert_eq!(provider.volumes().len(), 4, "{step}: three and a mark");
        backend.remove_lease(&spec.key.lease).await.unwrap();
        assert!(provider.volumes().is_empty(), "{step}");
    }

    // One that was cut off is not given to a workload that wants no data, and
    // what that writes is not taken for half a filling later.
    die_at(&task(&data), "runtime.after_filler_create");
    let with_data = spec.volumes.clone();
    spec.volumes.truncate(1);
    spec.volumes[0].data = None;
    backend.apply(&spec).await.unwrap();
    assert_eq!(exec(&workload, "/bin/busybox ls /kept"), "");
    exec(&workload, "echo mine > /kept/page");
    spec.volumes = with_data;
    backend.apply(&spec).await.unwrap();
    assert_eq!(exec(&workload, "cat /kept/page"), "mine\n");
    assert_whole(&workload, "site", "shipped");
    backend.remove_lease(&spec.key.lease).await.unwrap();
}

#[tokio::test]
#[ignore = "the child process of a_death_while_volumes_are_filled_ends_with_whole_volumes"]
async fn child_that_dies() {
    let arguments = task_of_child();
    let [provider, image, path] = arguments.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{arguments}");
    };
    let backend = DockerBackend::connect(support::config(provider)).await.unwrap();
    let data = Data::of(&std::fs::read(path).unwrap());
    data.load(&backend).await.unwrap();
    backend.apply(&child_spec(provider, image, &data)).await.unwrap();
}

fn child_spec(provider: &str, image: &str, data: &Data) -> WorkloadSpec {
    let key = InstanceKey { lease: format!("{provider}-lease"), service: "w".into(), index: 0 };
    let mut spec = support::spec(key, image);
    spec.volumes = data.everywhere();
    spec
}

fn mountpoint(volume: &str) -> std::path::PathBuf {
    docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).trim().into()
}

/// All that the archive has is there, and nothing else.
fn assert_whole(workload: &str, volume: &str, mark: &str) {
    let found = exec(workload, &format!("cd /{volume} && /bin/busybox find . | /bin/busybox sort"));
    let found: BTreeSet<&str> = found.lines().collect();
    let expected = [".", "./large", "./own", "./own/link", "./own/run", "./page"];
    assert_eq!(found, BTreeSet::from(expected), "{volume}");
    let stat = "/bin/busybox stat -c '%a %u:%g %n'";
    let modes = exec(workload, &format!("cd /{volume} && {stat} . page own own/run"));
    assert_eq!(modes, "1777 7:7 .\n644 0:0 page\n700 1000:1000 own\n755 1000:1000 own/run\n");
    assert_eq!(exec(workload, &format!("cat /{volume}/own/link")), mark);
    let size = exec(workload, &format!("/bin/busybox stat -c %s /{volume}/large"));
    assert_eq!(size.trim(), (5 << 20).to_string(), "{volume}");
}
