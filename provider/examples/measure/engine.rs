//! An engine that answers as Docker does, of containers that do not exist:
//! for figures that hang on how many there are and on nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{json, Value};
use stoa_provider::runtime::{InstanceKey, Names};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::daemon::{Fleet, IMAGE};

pub const PROVIDER: &str = "measure-memory";
const IMAGE_ID: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Answers by path; without a leading version.
struct Answers {
    fixed: HashMap<String, String>,
}

/// Serves until it is killed.
pub async fn serve(socket: &Path, leases: usize) -> anyhow::Result<()> {
    let answers = Arc::new(Answers::of(&Fleet::of_registry(leases), leases));
    let listener = UnixListener::bind(socket)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream, Arc::clone(&answers)));
    }
}

async fn converse(stream: UnixStream, answers: Arc<Answers>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        stream.read_line(&mut request).await.ok().filter(|read| *read > 0)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await.ok()?;
            if header.trim_end().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let path = request.split(' ').nth(1)?.split('?').next()?.to_string();
        let (status, text) = answers.to(&path);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(text.as_bytes()).await.ok()?;
    }
}

impl Answers {
    fn of(fleet: &Fleet, leases: usize) -> Self {
        let names = Names::new(PROVIDER);
        let mut fixed = HashMap::from([
            ("/version".to_string(), json!({ "ApiVersion": "1.41", "Version": "20.10.0" })),
            (
                "/info".to_string(),
                json!({ "NCPU": 64, "MemTotal": 1_u64 << 38, "Architecture": "x86_64",
                        "ServerVersion": "20.10.0", "DockerRootDir": "/" }),
            ),
            ("/volumes".to_string(), json!({ "Volumes": [] })),
            (format!("/images/{IMAGE_ID}/json"), json!({ "Id": IMAGE_ID, "Config": {} })),
            ("/images/json".to_string(), json!([])),
        ]);
        let (mut listed, mut networks) = (vec![], vec![]);
        for index in 0..leases {
            let key = fleet.key(index);
            for role in ["workload", "link"] {
                let container = container(&names, &key, index, role, fleet);
                listed.push(json!({ "Id": container["Id"], "State": "running",
                                    "Labels": container["Config"]["Labels"] }));
                let id = container["Id"].as_str().unwrap_or_default().to_string();
                fixed.insert(format!("/containers/{id}/json"), container);
            }
            let instance = names.instance(&key);
            networks.push(network(instance.network, "network", &key, 2 * index));
            networks.push(network(instance.egress, "egress", &key, 2 * index + 1));
        }
        fixed.insert("/containers/json".into(), Value::Array(listed));
        fixed.insert("/networks".into(), Value::Array(networks));
        Self { fixed: fixed.into_iter().map(|(path, value)| (path, value.to_string())).collect() }
    }

    fn to(&self, path: &str) -> (&'static str, &str) {
        let bare = match path.strip_prefix("/v1.") {
            Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
            None => path,
        };
        match self.fixed.get(bare) {
            Some(text) => ("200 OK", text),
            None => ("404 Not Found", "{\"message\":\"there is none\"}"),
        }
    }
}

fn labels(key: &InstanceKey, role: &str) -> Value {
    json!({
        "stoa.provider": PROVIDER,
        "stoa.lease": key.lease,
        "stoa.service": key.service,
        "stoa.instance": key.index.to_string(),
        "stoa.role": role,
        "stoa.image": IMAGE,
        "stoa.generation": "1",
        "stoa.ephemeral": "16777216",
    })
}

fn network(name: String, role: &str, key: &InstanceKey, number: usize) -> Value {
    let (third, fourth) = (number / 16, number % 16 * 16);
    json!({
        "Name": name,
        "Id": format!("{number:064x}"),
        "Labels": labels(key, role),
        "IPAM": { "Config": [{ "Subnet": format!("10.224.{third}.{fourth}/28") }] },
    })
}

/// As long as Docker's own answers are, to the byte or so.
fn container(names: &Names, key: &InstanceKey, index: usize, role: &str, fleet: &Fleet) -> Value {
    let instance = names.instance(key);
    let (name, offset) = match role {
        "link" => (instance.link, 1 << 20),
        _ => (instance.workload, 0),
    };
    let mut labels = labels(key, role);
    let limits = fleet.spec(index, IMAGE_ID).limits();
    if role == "workload" {
        labels["stoa.spec"] = fleet.spec(index, IMAGE_ID).hash().into();
    }
    json!({
        "Id": format!("{:064x}", index + offset),
        "Name": format!("/{name}"),
        "Image": IMAGE_ID,
        "Created": "2026-01-01T00:00:00.000000000Z",
        "State": { "Status": "running", "Running": true, "Pid": 1000 + index,
                   "StartedAt": "2026-01-01T00:00:00.000000000Z" },
        "RestartCount": 0,
        "HostConfig": { "Memory": limits.memory_bytes, "CpuShares": limits.cpu_shares },
        "Config": { "Hostname": "web", "Labels": labels, "Image": IMAGE_ID,
                    "Env": vec!["PADDING=0123456789abcdef"; 40] },
        "NetworkSettings": { "SandboxKey": format!("/var/run/docker/netns/{index:012x}") },
    })
}
