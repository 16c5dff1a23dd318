//! The runtime on a real engine. Each test is a provider of its own, so they
//! run side by side, and takes away what it made even when it fails.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use futures::StreamExt;
use stoa_provider::runtime::{
    Applied, Backend, ContainerState, DockerBackend, GpuRequest, ImageBlob, InstanceKey,
    LogRequest, ObservedInstance, RegistryCredentials, RuntimeConfig, RuntimeError, VolumeClass,
    VolumePlace, VolumeSpec, WORKLOAD_CAPABILITIES,
};
use support::{die_at, docker, exec, exec_fails, Provider};

#[tokio::test]
async fn an_instance_is_made_adopted_replaced_and_removed() {
    let disk = tempfile::tempdir().unwrap();
    let place = VolumePlace::Directory { directory: disk.path().into() };
    let with_disk = |config: &mut RuntimeConfig| {
        config.volume_places.insert("beta2".into(), place);
    };
    let provider = Provider::start_with("life", with_disk).await;
    let image = provider.busybox().await;
    let mut spec = provider.spec("life-lease", "web", &image);
    spec.volumes = vec![VolumeSpec {
        name: "data".into(),
        bytes: 1 << 20,
        class: VolumeClass::Persistent,
        storage_class: "beta2".into(),
        mount: "/data".into(),
        read_only: false,
        data: None,
    }];
    let backend = &provider.backend;
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Created);
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Unchanged);
    let workload = backend.names().instance(&spec.key).workload;
    exec(&workload, "echo kept > /data/file");
    let on_disk = disk.path().join(backend.names().volume(&spec.key, "data"));
    assert_eq!(std::fs::read_to_string(on_disk.join("file")).unwrap(), "kept\n", "its class's");

    // A second daemon on the same engine finds it and leaves it alone.
    let restarted = provider.reconnect().await;
    let before = until_serving(&restarted, &spec.key).await;
    assert_eq!(restarted.apply(&spec).await.unwrap(), Applied::Unchanged);
    let seen = restarted.observe().await.unwrap();
    assert_eq!(seen.instances.len(), 1);
    let instance = &seen.instances[&spec.key];
    let found = instance.workload.as_ref().unwrap();
    assert_eq!(found.id, before.workload.as_ref().unwrap().id);
    assert_eq!((found.spec_hash.as_str(), found.generation), (spec.hash().as_str(), 1));
    assert_eq!(found.image, spec.image);
    let netns = instance.link.as_ref().unwrap().netns.as_ref().unwrap();
    assert!(netns.exists(), "{netns:?}");

    // Another version of the manifest alone changes nothing; another argument does.
    spec.manifest_version = "ff".into();
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Unchanged);
    spec.env.push("VERSION=2".into());
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Replaced);
    assert_eq!(exec(&workload, "cat /data/file; echo $VERSION"), "kept\n2\n");

    // More memory and cpu come to the container that runs.
    (spec.memory_bytes, spec.cpu_millis) = (96 << 20, 150);
    let same = restarted.observe_instance(&spec.key).await.unwrap().workload.unwrap();
    assert!(!same.is_of(&spec));
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Resized);
    let resized = restarted.observe_instance(&spec.key).await.unwrap().workload.unwrap();
    assert!(resized.is_of(&spec) && resized.id == same.id && resized.pid == same.pid);
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Unchanged);
    let limits = docker(&[
        "inspect",
        "-f",
        "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}}",
        &workload,
    ]);
    assert_eq!(limits.trim(), "100663296 100663296 150000000");

    backend.stop(&spec.key).await.unwrap();
    let stopped = backend.observe_instance(&spec.key).await.unwrap();
    assert_eq!(stopped.workload.unwrap().state, ContainerState::Exited);
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Started);

    backend.remove_instance(&spec.key).await.unwrap();
    let seen = backend.observe().await.unwrap();
    assert!(seen.instances.is_empty(), "{seen:?}");
    assert!(seen.leases_with_volumes.contains("life-lease"), "volumes outlive the instance");
    // One whose volume's directory is not there is not given an empty one.
    let away = disk.path().join("unmounted");
    std::fs::rename(&on_disk, &away).unwrap();
    let error = backend.apply(&spec).await.unwrap_err().to_string();
    assert!(error.contains("is its disk mounted"), "{error}");
    std::fs::rename(&away, &on_disk).unwrap();
    backend.apply(&spec).await.unwrap();
    assert_eq!(exec(&workload, "cat /data/file"), "kept\n");

    backend.remove_lease("life-lease").await.unwrap();
    backend.remove_lease("life-lease").await.unwrap();
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "its bytes went as well");
    assert!(backend.observe().await.unwrap().leases_with_volumes.is_empty());
    assert_eq!(backend.collect_images([image.id.as_str()]).await.unwrap(), 0);
    assert_eq!(backend.collect_images([]).await.unwrap(), 1);
}

/// What was started may not listen at once.
async fn until_serving(backend: &DockerBackend, key: &InstanceKey) -> ObservedInstance {
    for _ in 0..600 {
        let seen = backend.observe_instance(key).await.unwrap();
        if seen.is_serving() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{key} never served: {:?}", backend.observe_instance(key).await);
}

#[tokio::test]
async fn a_workload_is_confined() {
    const OPEN_FILES: i64 = 1000;
    let few = |config: &mut RuntimeConfig| config.open_files_limit = OPEN_FILES;
    let provider = Provider::start_with("walls", few).await;
    let open_files = OPEN_FILES.to_string();
    let image = provider.busybox().await;
    let mut spec = provider.spec("walls-lease", "api", &image);
    spec.cpu_millis = 64_000; // more than this machine has: sold by over-commit
    spec.volumes = vec![VolumeSpec {
        name: "scratch".into(),
        bytes: 1 << 20,
        class: VolumeClass::Ram,
        storage_class: String::new(),
        mount: "/scratch".into(),
        read_only: false,
        data: None,
    }];
    spec.volumes.push(VolumeSpec { mount: "/dev/shm".into(), ..spec.volumes[0].clone() });
    spec.volumes.push(VolumeSpec {
        name: "fixed".into(),
        mount: "/fixed".into(),
        class: VolumeClass::Ephemeral,
        read_only: true,
        ..spec.volumes[0].clone()
    });
    provider.backend.apply(&spec).await.unwrap();
    let workload = provider.backend.names().instance(&spec.key).workload;

    let bounding = exec(&workload, "grep CapBnd /proc/self/status");
    let bits = u64::from_str_radix(bounding.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(bits.count_ones() as usize, WORKLOAD_CAPABILITIES.len(), "{bounding}");
    const NET_RAW: u64 = 1 << 13;
    const SYS_ADMIN: u64 = 1 << 21;
    assert_eq!(bits & (NET_RAW | SYS_ADMIN), 0);
    assert!(exec(&workload, "grep NoNewPrivs /proc/self/status").contains('1'));
    assert!(exec(&workload, "grep Seccomp: /proc/self/status").contains('2'));
    assert!(exec(&workload, "df -k /scratch").contains(" 1024 "), "the ram volume has its size");
    assert!(exec(&workload, "df -k /dev/shm").contains(" 1024 "), "shared memory as sold");
    exec(&workload, "touch /scratch/file /dev/shm/file");
    exec_fails(&workload, "touch /fixed/file");
    assert_eq!(exec(&workload, "ulimit -n").trim(), open_files);
    assert!(exec(&workload, "cat /proc/1/cmdline").contains("init"), "something reaps orphans");
    let settings = docker(&[
        "inspect",
        "-f",
        "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} \
         {{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}} {{.HostConfig.Privileged}} \
         {{len .HostConfig.PortBindings}}",
        &workload,
    ]);
    assert_eq!(settings.trim(), "67108864 67108864 1024 private private false 0");

    // It has not the memory that it was not sold.
    let greedy = exec(&workload, "dd if=/dev/zero of=/dev/null bs=100M count=1; echo exit $?");
    assert_eq!(greedy, "exit 137\n", "killed for want of memory");
}

/// No container was ever made with a runtime, whatever the provider promised.
#[tokio::test]
async fn a_workload_runs_by_the_runtime_that_is_named_and_its_link_by_the_engines_own() {
    let named = "io.containerd.runc.v2";
    let choose = |config: &mut RuntimeConfig| config.runtime = Some(named.into());
    let provider = Provider::start_with("by", choose).await;
    let image = provider.busybox().await;
    let spec = provider.spec("by-lease", "web", &image);
    provider.backend.apply(&spec).await.unwrap();
    let names = provider.backend.names().instance(&spec.key);
    let runtime = |name: &str| docker(&["inspect", "-f", "{{.HostConfig.Runtime}}", name]);
    assert_eq!(runtime(&names.workload).trim(), named);
    assert_eq!(runtime(&names.link).trim(), docker(&["info", "-f", "{{.DefaultRuntime}}"]).trim());
    until_serving(&provider.backend, &spec.key).await;

    // One that the engine lacks is refused before anything runs by another.
    let mut config = RuntimeConfig::new(&provider.id);
    config.runtime = Some("no-such-runtime".into());
    let Err(error) = DockerBackend::connect(config).await else { panic!("it was taken") };
    assert!(
        matches!(&error, RuntimeError::Setup(words) if words.contains("daemon.json")),
        "{error}"
    );
}

#[tokio::test]
async fn a_workload_reaches_neither_host_nor_neighbour_nor_internet() {
    let provider = Provider::start("alone").await;
    let image = provider.busybox().await;
    let spec = provider.spec("alone-lease", "a", &image);
    let neighbour = provider.spec("alone-lease", "b", &image);
    provider.backend.apply(&spec).await.unwrap();
    provider.backend.apply(&neighbour).await.unwrap();
    let names = provider.backend.names().instance(&spec.key);
    let other = provider.backend.observe_instance(&neighbour.key).await.unwrap();
    let own = provider.backend.observe_instance(&spec.key).await.unwrap();
    let other_address = other.network.unwrap().workload_address.unwrap();
    let own_network = own.network.unwrap();
    let own_address = own_network.workload_address.unwrap();

    until_serving(&provider.backend, &neighbour.key).await;

    // The neighbour serves: it reaches itself, which nobody else does.
    let page = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {other_address} 8080");
    let neighbour_name = provider.backend.names().instance(&neighbour.key).workload;
    let patient = format!("for i in 1 2 3 4 5 6 7 8 9; do {page} && break; sleep 0.3; done");
    assert!(exec(&neighbour_name, &patient).contains("hello"));
    exec_fails(&names.workload, &page);

    // A listener on every address of this host, tried at each of them.
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let bridge = own_address.to_string().replace(".3", ".1");
    for address in support::host_addresses().into_iter().chain([bridge]) {
        exec_fails(&names.workload, &format!("nc -w 2 {address} {port} </dev/null"));
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "no connection may arrive at the host");

    exec_fails(&names.workload, "nc -w 2 1.1.1.1 53 </dev/null");
    exec_fails(&names.workload, "nc -w 2 169.254.169.254 80 </dev/null");
    exec_fails(&names.workload, "timeout 3 nslookup example.com");
    assert!(support::interface_addresses(&names.bridge).is_empty(), "the bridge has no address");
}

#[tokio::test]
async fn providers_that_share_an_engine_do_not_meet() {
    let (one, two) = (Provider::start("shared-one").await, Provider::start("shared-two").await);
    let archive = support::busybox_archive(support::Form::DockerArchive, "web:1", &one.id);
    let (hash, bytes) = (archive.blake3(), archive.bytes());
    let blob = ImageBlob { path: archive.path(), blake3_hex: &hash, bytes };
    let mut specs = Vec::new();
    for provider in [&one, &two] {
        assert!(provider.backend.find_blob_image(&hash).await.unwrap().is_none());
        let image = provider.backend.load_blob_image(blob.clone()).await.unwrap();
        let spec = provider.spec("shared-lease", "web", &image);
        assert_eq!(provider.backend.apply(&spec).await.unwrap(), Applied::Created);
        specs.push(spec);
    }
    one.backend.remove_lease("shared-lease").await.unwrap();
    one.backend.purge().await.unwrap();
    assert!(one.backend.observe().await.unwrap().instances.is_empty());
    until_serving(&two.backend, &specs[1].key).await;
    let left = two.backend.observe().await.unwrap();
    assert!(left.instances[&specs[1].key].way_to(8080).unwrap().0.exists());
    assert!(two.backend.find_blob_image(&hash).await.unwrap().is_some());
}

#[tokio::test]
async fn images_come_in_both_forms_and_bring_no_tag() {
    let provider = Provider::start("images").await;
    let foreign = "library/innocent:latest";
    for form in [support::Form::DockerArchive, support::Form::OciGzip] {
        let archive = support::busybox_archive(form, foreign, "images");
        let (hash, bytes) = (archive.blake3(), archive.bytes());
        let blob = ImageBlob { path: archive.path(), blake3_hex: &hash, bytes };
        let image = provider.backend.load_blob_image(blob.clone()).await.unwrap();
        assert_eq!(provider.backend.load_blob_image(blob).await.unwrap(), image);
        assert!(image.read_only_root, "the image's label asks for it");
        let tags = docker(&["image", "inspect", "-f", "{{join .RepoTags \" \"}}", &image.id]);
        for tag in tags.split_whitespace() {
            assert!(tag.starts_with("stoa.invalid/"), "{tags}");
        }
        let mut spec = provider.spec("images-lease", "web", &image);
        spec.read_only_root = image.read_only_root;
        provider.backend.apply(&spec).await.unwrap();
        let workload = provider.backend.names().instance(&spec.key).workload;
        exec_fails(&workload, "touch /root-is-writable");
    }
    let archive = support::busybox_archive(support::Form::DockerArchive, foreign, "other");
    let wrong = "0".repeat(64);
    let blob = ImageBlob { path: archive.path(), blake3_hex: &wrong, bytes: archive.bytes() };
    let error = provider.backend.load_blob_image(blob).await.unwrap_err().to_string();
    assert!(error.contains("BLAKE3"), "{error}");
}

#[tokio::test]
async fn an_image_is_pulled_with_its_account_and_leaves_no_tag() {
    let provider = Provider::start("registry").await;
    let registry = support::registry::Registry::start(&provider.id);
    let account = RegistryCredentials {
        host: registry.address.to_string(),
        username: "user".into(),
        password: "secret".into(),
    };
    let by_tag = format!("{}/private/web:1", registry.address);
    let by_digest = format!("{}/private/web@{}", registry.address, registry.digest);
    assert!(provider.backend.pull_image(&by_tag, None).await.is_err(), "the account is needed");
    let image = provider.backend.pull_image(&by_tag, Some(&account)).await.unwrap();
    assert_eq!(provider.backend.pull_image(&by_digest, Some(&account)).await.unwrap(), image);
    let tags = docker(&["image", "inspect", "-f", "{{join .RepoTags \" \"}}", &image.id]);
    assert!(tags.starts_with("stoa.invalid/") && !tags.contains("private"), "{tags}");
    let spec = provider.spec("registry-lease", "web", &image);
    assert_eq!(provider.backend.apply(&spec).await.unwrap(), Applied::Created);
    provider.backend.remove_lease("registry-lease").await.unwrap();
    assert_eq!(provider.backend.collect_images([]).await.unwrap(), 1);
    let left = docker(&["images", "-q", "--no-trunc", "--all"]);
    assert!(!left.contains(&image.id), "the image went with its last name");
}

#[tokio::test]
async fn an_unreachable_registry_and_engine_are_named() {
    let provider = Provider::start("pull").await;
    let error = provider.backend.pull_image("127.0.0.1:1/nothing:1", None).await.unwrap_err();
    assert!(error.to_string().contains("is the registry reachable"), "{error}");

    let mut config = RuntimeConfig::new("nobody");
    config.socket = "/nonexistent/docker.sock".into();
    let error = DockerBackend::connect(config).await.err().unwrap();
    assert!(matches!(error, RuntimeError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn logs_events_and_use_are_seen() {
    let provider = Provider::start("look").await;
    let image = provider.busybox().await;
    let mut spec = provider.spec("look-lease", "talker", &image);
    spec.command = vec!["/bin/sh".into(), "-c".into()];
    spec.args = vec!["echo one; echo two >&2; head -c 2000000 /dev/zero > /big; sleep 600".into()];
    spec.ephemeral_bytes = 1_000_000;
    let backend = &provider.backend;
    let mut events = backend.events();
    let first_event =
        tokio::spawn(
            async move { tokio::time::timeout(Duration::from_secs(20), events.next()).await },
        );
    tokio::time::sleep(Duration::from_millis(300)).await;
    backend.apply(&spec).await.unwrap();
    let event = first_event.await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(event.key, spec.key);

    let request = LogRequest { follow: true, tail: None, since: None };
    let mut pieces: Vec<_> = backend.logs(&spec.key, request).take(2).collect().await;
    pieces.sort_by_key(|piece| piece.as_ref().unwrap().stderr);
    let texts: Vec<_> = pieces
        .into_iter()
        .map(|piece| String::from_utf8(piece.unwrap().bytes.to_vec()).unwrap())
        .collect();
    assert!(texts[0].ends_with(" one\n") && texts[1].ends_with(" two\n"), "{texts:?}");

    let stats = backend.stats(&spec.key).await.unwrap();
    assert!(stats.processes > 0 && stats.memory_bytes > 0, "{stats:?}");
    let mut over = false;
    for _ in 0..300 {
        let storage = backend.storage().await.unwrap();
        over = storage[0].used_bytes > storage[0].limit_bytes;
        if over {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(over, "2 MB in the writable layer must be seen against a limit of 1 MB");
    let inventory = backend.inventory().await.unwrap();
    assert!(inventory.cpu_millis >= 1000 && inventory.disk_bytes > 0, "{inventory:?}");
    let checks = backend.checks().await.unwrap();
    assert!(checks.iter().any(|check| check.name == "host firewall"), "{checks:?}");

    // A GPU is given only where the engine has one to give.
    let units = u32::try_from(inventory.gpus.len()).unwrap() + 1;
    let mut greedy = provider.spec("look-lease", "greedy", &image);
    greedy.gpu = Some(GpuRequest { units, vendor: "nvidia".into(), models: vec![] });
    let error = backend.apply(&greedy).await.unwrap_err().to_string();
    assert!(error.contains("GPUs of nvidia are asked for"), "{error}");
}

#[tokio::test]
async fn what_keeps_ending_can_be_stopped_in_between_and_is_counted_anew() {
    let provider = Provider::start("ends").await;
    let image = provider.busybox().await;
    let mut spec = provider.spec("ends-lease", "web", &image);
    // Until it is told to stay, so that its number stands still while it is looked at.
    let ends = "[ -e /stay ] && exec sleep 600; exit 3";
    (spec.command, spec.args) = (vec!["/bin/sh".into(), "-c".into()], vec![ends.into()]);
    let backend = &provider.backend;
    backend.apply(&spec).await.unwrap();
    let mut found = None;
    for _ in 0..1200 {
        let workload = backend.observe_instance(&spec.key).await.unwrap().workload.unwrap();
        if workload.restarts >= 3 && workload.state == ContainerState::Restarting {
            found = Some(workload);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = found.expect("the engine starts it again and again");
    assert_eq!(found.exit_code, 3);
    backend.stop(&spec.key).await.unwrap();
    let stopped = backend.observe_instance(&spec.key).await.unwrap().workload.unwrap();
    assert_eq!((stopped.state, stopped.id), (ContainerState::Exited, found.id.clone()));
    let told = tempfile::NamedTempFile::new().unwrap();
    docker(&["cp", told.path().to_str().unwrap(), &format!("{}:/stay", found.id)]);
    assert_eq!(backend.apply(&spec).await.unwrap(), Applied::Started);
    let again = backend.observe_instance(&spec.key).await.unwrap().workload.unwrap();
    assert_eq!((again.state, again.restarts), (ContainerState::Running, 0), "{again:?}");
}

/// What the child does, and the step at which it dies.
const DEATHS: [(&str, &str); 16] = [
    ("make", "runtime.after_egress_network_create"),
    ("make", "runtime.after_network_create"),
    ("make", "runtime.after_link_create"),
    ("make", "runtime.after_link_start"),
    ("make", "runtime.after_volume_create"),
    ("make", "runtime.after_container_create"),
    ("make", "runtime.after_egress_connect"),
    ("make", "runtime.after_container_start"),
    ("replace", "runtime.after_container_stop"),
    ("replace", "runtime.after_container_remove"),
    ("replace", "runtime.after_container_create"),
    ("resize", "runtime.after_resize"),
    ("remove", "runtime.after_workload_remove"),
    ("remove", "runtime.after_link_remove"),
    ("close", "runtime.after_lease_containers_remove"),
    ("close", "runtime.after_lease_volumes_remove"),
];

#[tokio::test]
async fn a_death_between_any_two_steps_is_continued() {
    let provider = Provider::start("death").await;
    let image = provider.busybox().await;
    let spec = child_spec(&provider.id, &image.id);
    for (task, step) in DEATHS {
        if task != "make" {
            provider.backend.apply(&spec).await.unwrap();
        }
        die_at(&format!("{task} {} {}", provider.id, image.id), step);
        if ["make", "replace", "resize"].contains(&task) {
            provider.backend.apply(&spec).await.unwrap();
            until_serving(&provider.backend, &spec.key).await;
            let seen = provider.backend.observe().await.unwrap();
            assert_eq!(seen.instances.len(), 1, "{step}: {seen:?}");
            assert_eq!(provider.containers().len(), 2, "{step}: no orphan");
            assert_eq!(provider.networks().len(), 2, "{step}: no orphan");
        } else if step != "runtime.after_lease_volumes_remove" {
            let seen = provider.backend.observe().await.unwrap();
            assert!(!seen.instances.is_empty(), "{step}: what is left is still seen");
        }
        provider.backend.remove_lease(&spec.key.lease).await.unwrap();
        assert!(provider.containers().is_empty() && provider.networks().is_empty(), "{step}");
        assert!(provider.volumes().is_empty(), "{step}");
    }
}

#[tokio::test]
#[ignore = "the child process of a_death_between_any_two_steps_is_continued"]
async fn child_that_dies() {
    let arguments = support::task_of_child();
    let [task, provider, image] = arguments.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{arguments}");
    };
    let backend = DockerBackend::connect(support::config(provider)).await.unwrap();
    let mut spec = child_spec(provider, image);
    match task {
        "make" => drop(backend.apply(&spec).await.unwrap()),
        "replace" => {
            spec.env.push("NEW=1".into());
            backend.apply(&spec).await.unwrap();
        }
        "resize" => {
            spec.memory_bytes *= 2;
            backend.apply(&spec).await.unwrap();
        }
        "remove" => backend.remove_instance(&spec.key).await.unwrap(),
        _ => backend.remove_lease(&spec.key.lease).await.unwrap(),
    }
}

fn child_spec(provider: &str, image: &str) -> stoa_provider::runtime::WorkloadSpec {
    let key = InstanceKey { lease: format!("{provider}-lease"), service: "w".into(), index: 0 };
    let mut spec = support::spec(key, image);
    spec.network.egress = true;
    spec.volumes = vec![VolumeSpec {
        name: "data".into(),
        bytes: 1 << 20,
        class: VolumeClass::Persistent,
        storage_class: String::new(),
        mount: "/data".into(),
        read_only: false,
        data: None,
    }];
    spec
}
