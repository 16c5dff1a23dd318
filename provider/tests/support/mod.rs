//! A provider on the real engine, with tiny images made of Debian's static
//! busybox, and the cleaning up.

pub mod registry;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use stoa_provider::runtime::{
    DockerBackend, Firewall, ImageBlob, ImageRef, InstanceKey, LoadedImage, NetworkSpec, PortSpec,
    Protocol, RuntimeConfig, WorkloadSpec,
};

/// Where a machine has it; `BUSYBOX` names another, as `scripts/busybox.sh` prints it.
const BUSYBOX: &str = "/bin/busybox";

/// One provider with an id that no other test has; everything of it goes
/// when this is dropped.
pub struct Provider {
    pub id: String,
    pub backend: DockerBackend,
}

impl Provider {
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, |_| ()).await
    }

    /// With other settings.
    pub async fn start_with(name: &str, change: impl FnOnce(&mut RuntimeConfig)) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("test-{name}-{}-{number}", std::process::id());
        let mut config = config(&id);
        change(&mut config);
        let backend = DockerBackend::connect(config)
            .await
            .expect("these tests need a Docker engine at /var/run/docker.sock");
        Self { id, backend }
    }

    pub async fn reconnect(&self) -> DockerBackend {
        DockerBackend::connect(config(&self.id)).await.unwrap()
    }

    /// An image that serves "hello" on port 8080 unless told otherwise.
    pub async fn busybox(&self) -> LoadedImage {
        let archive = busybox_archive(Form::DockerArchive, "web:latest", &self.id);
        let (hash, bytes) = (archive.blake3(), archive.bytes());
        let blob = ImageBlob { path: archive.path(), blake3_hex: &hash, bytes };
        self.backend.load_blob_image(blob).await.unwrap()
    }

    pub fn spec(&self, lease: &str, service: &str, image: &LoadedImage) -> WorkloadSpec {
        let key = InstanceKey { lease: lease.into(), service: service.into(), index: 0 };
        spec(key, &image.id)
    }

    pub fn containers(&self) -> Vec<String> {
        lines(&docker(&["ps", "-aq", "--filter", &self.filter()]))
    }

    pub fn networks(&self) -> Vec<String> {
        lines(&docker(&["network", "ls", "-q", "--filter", &self.filter()]))
    }

    pub fn volumes(&self) -> Vec<String> {
        lines(&docker(&["volume", "ls", "-q", "--filter", &self.filter()]))
    }

    fn filter(&self) -> String {
        format!("label=stoa.provider={}", self.id)
    }
}

impl Drop for Provider {
    /// By the command line, for this also runs while a test panics.
    fn drop(&mut self) {
        let all = |kind: &[&str], remove: &[&str]| {
            let mut list = kind.to_vec();
            let filter = self.filter();
            list.extend(["-q", "--filter", &filter]);
            for name in lines(&quietly(&list)) {
                let mut command = remove.to_vec();
                command.push(&name);
                quietly(&command);
            }
        };
        all(&["ps", "-a"], &["rm", "-fv"]);
        all(&["network", "ls"], &["network", "rm"]);
        all(&["volume", "ls"], &["volume", "rm"]);
        let firewall = Firewall::new(&config(&self.id));
        // A thread of its own, for this one may run a test's tasks.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(firewall.remove())
        })
        .join();
        let names = format!("{}*", self.backend.names().image_prefix());
        let list = ["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter"];
        let reference = format!("reference={names}");
        for image in lines(&quietly(&[&list[..], &[reference.as_str()]].concat())) {
            quietly(&["rmi", &image]);
        }
    }
}

pub fn config(provider: &str) -> RuntimeConfig {
    let mut config = RuntimeConfig::new(provider);
    // The one that the docker command line uses.
    if let Ok(host) = std::env::var("DOCKER_HOST") {
        let socket = host.strip_prefix("unix://").expect("DOCKER_HOST names a unix socket");
        config.socket = socket.into();
    }
    config.stop_grace = std::time::Duration::from_secs(1);
    config
}

pub fn spec(key: InstanceKey, image: &str) -> WorkloadSpec {
    WorkloadSpec {
        key,
        image: ImageRef { id: image.into(), source: String::new() },
        command: vec![],
        args: vec![],
        env: vec!["EMPTY".into()],
        secrets: vec![],
        cpu_millis: 100,
        memory_bytes: 64 << 20,
        ephemeral_bytes: 1 << 30,
        volumes: vec![],
        ports: vec![PortSpec { port: 8080, protocol: Protocol::Tcp }],
        read_only_root: false,
        gpu: None,
        network: NetworkSpec::default(),
        manifest_version: "00".into(),
        generation: 1,
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(String::from).collect()
}

fn quietly(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
}

/// Runs the docker command line; its failure is the test's.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {errors}{text}");
    text
}

/// Runs a shell line in a container.
pub fn exec(container: &str, line: &str) -> String {
    docker(&["exec", container, "/bin/sh", "-c", line])
}

/// Runs a shell line that must fail in the container, not on the way to it.
pub fn exec_fails(container: &str, line: &str) {
    let marked = format!("({line}); echo exit $?");
    let text = exec(container, &marked);
    let code = text.lines().last().unwrap_or_default();
    // 127: no such program; over 128: it crashed. Neither shows a wall.
    let refused = code.strip_prefix("exit ").and_then(|code| code.parse::<u8>().ok());
    let walled = refused.is_some_and(|code| (1..=126).contains(&code) || code == 143);
    assert!(walled, "{line} in {container}: {text}");
}

/// What a child process is to do.
const CHILD: &str = "STOA_TEST_CHILD";

/// Runs a task in a child process, by the test `child_that_dies` of the same
/// program, which must be killed at a failpoint.
pub fn die_at(task: &str, step: &str) {
    use std::os::unix::process::ExitStatusExt;
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_dies", "--ignored"])
        .env(CHILD, task)
        .env(stoa_provider::failpoint::ENVIRONMENT_VARIABLE, step)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9), "{task} must die at {step}");
}

/// In that child.
pub fn task_of_child() -> String {
    std::env::var(CHILD).expect("started by its parent test only")
}

/// This host's own IPv4 addresses, loopback aside.
pub fn host_addresses() -> Vec<String> {
    let found = addresses(&["-4", "-o", "addr", "show", "scope", "global"]);
    assert!(!found.is_empty(), "a host has an address");
    found
}

/// IPv4 addresses of one interface.
pub fn interface_addresses(interface: &str) -> Vec<String> {
    addresses(&["-4", "-o", "addr", "show", "dev", interface])
}

fn addresses(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("ip").args(arguments).output().expect("ip (iproute2) is needed");
    assert!(output.status.success(), "ip {arguments:?}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3)?.split('/').next().map(String::from))
        .collect()
}

/// How an image tarball is packed.
#[derive(Clone, Copy)]
pub enum Form {
    DockerArchive,
    OciGzip,
}

/// A tarball in a temporary file.
pub struct Archive(tempfile::NamedTempFile);

impl Archive {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn bytes(&self) -> u64 {
        self.0.as_file().metadata().unwrap().len()
    }

    pub fn blake3(&self) -> String {
        blake3::hash(&std::fs::read(self.path()).unwrap()).to_hex().to_string()
    }
}

/// An image of static busybox with the given tag in it. The mark makes it an
/// image of its own, so that tests do not share one.
pub fn busybox_archive(form: Form, tag: &str, mark: &str) -> Archive {
    let layer = busybox_layer(mark);
    let config = image_config(&layer);
    let entries = match form {
        Form::DockerArchive => docker_entries(config, layer, tag),
        Form::OciGzip => oci_entries(config, &layer, tag),
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&tar_of(&entries)).unwrap();
    Archive(file)
}

/// The configuration of an image with this one layer.
fn image_config(layer: &[u8]) -> Vec<u8> {
    json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {
            "Cmd": ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"],
            "Env": ["PATH=/bin"],
            "Labels": { "stoa.read-only-root": "true" },
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(layer)] },
    })
    .to_string()
    .into_bytes()
}

type Entries = Vec<(String, Vec<u8>)>;

fn docker_entries(config: Vec<u8>, layer: Vec<u8>, tag: &str) -> Entries {
    let manifest = json!([{ "Config": "c.json", "RepoTags": [tag], "Layers": ["1/layer.tar"] }]);
    let repositories = json!({ tag.split(':').next().unwrap(): { "latest": "1" } });
    vec![
        ("c.json".into(), config),
        ("1/layer.tar".into(), layer),
        ("manifest.json".into(), manifest.to_string().into_bytes()),
        ("repositories".into(), repositories.to_string().into_bytes()),
    ]
}

fn oci_entries(config: Vec<u8>, layer: &[u8], tag: &str) -> Entries {
    let (manifest, config, layer) = oci_image(config, layer);
    let mut described = descriptor("manifest.v1+json", &manifest);
    described["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "manifests": [described] }).to_string().into_bytes();
    let path = |bytes: &[u8]| digest(bytes).replace("sha256:", "blobs/sha256/");
    vec![
        ("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".into(), index),
        (path(&manifest), manifest),
        (path(&config), config),
        (path(&layer), layer),
    ]
}

/// Manifest, configuration and packed layer.
fn oci_image(config: Vec<u8>, layer: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(layer).unwrap();
    let layer = gzip.finish().unwrap();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", &layer)],
    });
    (manifest.to_string().into_bytes(), config, layer)
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    let media_type = format!("application/vnd.oci.image.{kind}");
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

fn busybox_layer(mark: &str) -> Vec<u8> {
    let path = std::env::var("BUSYBOX").unwrap_or_else(|_| BUSYBOX.to_owned());
    let busybox =
        std::fs::read(path).expect("BUSYBOX=$(scripts/busybox.sh) names a static busybox");
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        builder.append_data(&mut header, name, content).unwrap();
    };
    add("bin/busybox", 0o755, &busybox);
    add("www/index.html", 0o644, b"hello\n");
    add("mark", 0o644, mark.as_bytes());
    let applets =
        ["sh", "cat", "dd", "df", "grep", "head", "nc", "nslookup", "sleep", "timeout", "touch"];
    for applet in applets {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        let name = format!("bin/{applet}");
        builder.append_link(&mut header, name, "busybox").unwrap();
    }
    builder.into_inner().unwrap()
}

fn tar_of(entries: &Entries) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
