//! The price by a program of the operator's: the order as JSON on its stdin,
//! a decimal on its stdout. The fields are those that the community's pricing
//! scripts read (akash-network/provider, bidengine/pricing.go).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use serde::Serialize;
use stoa_client::ids::TextId;
use stoa_client::money::{Dec, DECIMALS};
use stoa_client::proto::market::v1::{GpuOffer, Order};
use stoa_client::proto::types::v1::{EndpointKind, GroupSpec, ResourceUnit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::gpu::wanted;
use super::price::{a_second, leased_ips};
use crate::config::{Bidding, ScriptInput};

/// Bytes of stdout that are read; more is no price.
const MAX_OUTPUT: usize = 4096;
/// Bytes of stderr that are kept for the log.
const MAX_WORDS: usize = 1024;
/// All that a script finds in its environment besides the order's names.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a script gave no price.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("{0} cannot be run: {1}")]
    Start(String, std::io::Error),
    #[error("the script did not end within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the script wrote more than {MAX_OUTPUT} bytes")]
    TooMuch,
    #[error("the script ended with {0}: {1}")]
    Failed(String, String),
    #[error("the script printed `{0}`; right is a decimal over 0, such as 12.5")]
    NoPrice(String),
    #[error("the script's output: {0}")]
    Io(#[from] std::io::Error),
}

/// A pricing script.
#[derive(Debug, Clone)]
pub struct Script {
    path: PathBuf,
    input: ScriptInput,
    /// Seconds that its number is for.
    period: u64,
    timeout: Duration,
    slots: Arc<Semaphore>,
}

impl Script {
    pub fn new(bidding: &Bidding) -> Self {
        Self {
            path: bidding.script.clone(),
            input: bidding.script_input,
            period: bidding.script_per.seconds(),
            timeout: Duration::from_secs(bidding.script_timeout_seconds),
            slots: Arc::new(Semaphore::new(bidding.script_parallel.max(1))),
        }
    }

    /// What an order costs a second, rounded up. Waits for its turn.
    pub async fn rate(&self, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, ScriptError> {
        // Never closed.
        let _slot = self.slots.acquire().await;
        self.rate_beside(order, gpus).await
    }

    /// The same at once, beside what has or waits for a turn: the caller
    /// bounds how often.
    pub(super) async fn rate_beside(
        &self,
        order: &Order,
        gpus: &[GpuOffer],
    ) -> Result<Dec, ScriptError> {
        let input = self.input_of(order, gpus);
        let order_id = order.id.as_ref().map(TextId::text).unwrap_or_default();
        let owner = order.id.as_ref().map(|id| id.owner.clone()).unwrap_or_default();
        let printed = tokio::time::timeout(self.timeout, self.run(&input, &owner, &order_id));
        let printed = printed.await.map_err(|_| ScriptError::Timeout(self.timeout))??;
        Ok(a_second(price(&printed)?, self.period))
    }

    fn input_of(&self, order: &Order, gpus: &[GpuOffer]) -> Vec<u8> {
        let spec = order.spec.clone().unwrap_or_default();
        let resources = resources(&spec, gpus);
        let json = match self.input {
            ScriptInput::List => serde_json::to_vec(&resources),
            ScriptInput::Object => {
                let most = order.max_rate.clone().unwrap_or_default();
                let rate = Dec::from_proto(&most.amount).unwrap_or_default();
                let amount = rate.checked_mul(self.period).unwrap_or(rate).to_string();
                let price = Price { denom: most.denom, amount };
                serde_json::to_vec(&Input { resources, price, price_precision: DECIMALS })
            }
        };
        json.unwrap_or_default()
    }

    /// Dropping this kills the script with its group.
    async fn run(&self, input: &[u8], owner: &str, order: &str) -> Result<String, ScriptError> {
        let mut child = Command::new(&self.path)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("HOME", "/nonexistent")])
            .envs([("STOA_OWNER", owner), ("STOA_ORDER", order), ("AKASH_OWNER", owner)])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| ScriptError::Start(self.path.display().to_string(), error))?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A script that reads nothing is no error.
                let _ = stdin.write_all(input).await;
            }
            Ok(())
        };
        let ended = async {
            let status = child.wait().await;
            // What it left behind holds its pipes no longer.
            drop(group);
            status.map_err(ScriptError::from)
        };
        let ((), status, printed, words) = tokio::try_join!(
            feed,
            ended,
            read(stdout, MAX_OUTPUT, true),
            read(stderr, MAX_WORDS, false)
        )?;
        if !status.success() {
            return Err(ScriptError::Failed(status.to_string(), words.trim().into()));
        }
        Ok(printed)
    }
}

/// A process group that is killed with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody left is what one hopes for.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Reads to the end and keeps the beginning; `strict`: more is an error.
async fn read(
    from: Option<impl AsyncRead + Unpin>,
    most: usize,
    strict: bool,
) -> Result<String, ScriptError> {
    let Some(mut from) = from else { return Ok(String::new()) };
    let (mut kept, mut piece) = (vec![], [0; 1024]);
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        let room = most.saturating_sub(kept.len());
        if strict && read > room {
            return Err(ScriptError::TooMuch);
        }
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
}

/// A decimal over 0; what stands past 18 decimals is rounded up.
fn price(printed: &str) -> Result<Dec, ScriptError> {
    let text = printed.trim();
    let wrong = || ScriptError::NoPrice(text.chars().take(80).collect());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (kept, rest) = fraction.split_at_checked(DECIMALS as usize).unwrap_or((fraction, ""));
    if !rest.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let price: Dec = format!("{whole}.{kept}").parse().map_err(|_| wrong())?;
    let more = u128::from(rest.bytes().any(|digit| digit != b'0'));
    let price = price.checked_add(Dec::from_atoms(more)).ok_or_else(wrong)?;
    if price.is_zero() {
        return Err(wrong());
    }
    Ok(price)
}

#[derive(Serialize)]
struct Input {
    resources: Vec<Element>,
    price: Price,
    price_precision: u32,
}

/// The most that the order pays, for the script's period.
#[derive(Serialize)]
struct Price {
    denom: String,
    amount: String,
}

/// So many instances of one unit.
#[derive(Serialize)]
struct Element {
    /// Bytes.
    memory: u64,
    /// Millicores.
    cpu: u64,
    gpu: GpuElement,
    storage: Vec<StorageElement>,
    count: u32,
    endpoint_quantity: usize,
    ip_lease_quantity: u64,
}

#[derive(Serialize)]
struct StorageElement {
    class: String,
    /// Bytes.
    size: u64,
}

#[derive(Serialize)]
struct GpuElement {
    units: u32,
    attributes: GpuAttributes,
}

#[derive(Serialize)]
struct GpuAttributes {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    vendor: BTreeMap<String, GpuVendor>,
}

#[derive(Serialize)]
struct GpuVendor {
    /// The one that is offered.
    model: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ram: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    interface: String,
}

fn resources(spec: &GroupSpec, gpus: &[GpuOffer]) -> Vec<Element> {
    let mut addresses = leased_ips(spec);
    let element = |resource: &stoa_client::proto::types::v1::GroupResource| {
        let unit = resource.unit.clone().unwrap_or_default();
        let leases_ip = unit.endpoints.iter().any(|e| e.kind() == EndpointKind::LeasedIp);
        Element {
            memory: unit.memory.as_ref().map_or(0, |memory| memory.bytes),
            cpu: unit.cpu.as_ref().map_or(0, |cpu| cpu.millicores),
            gpu: gpu_element(&unit, gpus),
            storage: unit.storage.iter().map(storage_element).collect(),
            count: resource.count,
            endpoint_quantity: unit.endpoints.len(),
            // Scripts multiply by the count and add up: the whole stands once.
            ip_lease_quantity: match leases_ip {
                true => std::mem::take(&mut addresses).div_ceil(u64::from(resource.count.max(1))),
                false => 0,
            },
        }
    };
    spec.resources.iter().map(element).collect()
}

fn storage_element(volume: &stoa_client::proto::types::v1::Volume) -> StorageElement {
    StorageElement { class: volume.class.clone(), size: volume.bytes }
}

fn gpu_element(unit: &ResourceUnit, gpus: &[GpuOffer]) -> GpuElement {
    let Some(gpu) = wanted(unit) else {
        let attributes = GpuAttributes { vendor: BTreeMap::new() };
        return GpuElement { units: 0, attributes };
    };
    let offer = gpus.iter().find(|offer| offer.unit == unit.id);
    let model = offer.map(|offer| offer.model.clone()).unwrap_or_default();
    let asked = gpu.models.iter().find(|asked| asked.model == model || asked.model == "*");
    let vendor = GpuVendor {
        model,
        ram: asked.map(|asked| asked.memory.clone()).unwrap_or_default(),
        interface: asked.map(|asked| asked.interface.clone()).unwrap_or_default(),
    };
    let vendor = [(gpu.vendor.clone(), vendor)].into();
    GpuElement { units: gpu.units, attributes: GpuAttributes { vendor } }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::config::{ScriptPer, Strategy};
    use crate::tests_support::{order, tenant};

    struct Stage {
        dir: tempfile::TempDir,
        bidding: Bidding,
    }

    impl Stage {
        fn new(body: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let script = dir.path().join("price.sh");
            // Renamed into place: a file that is open for writing cannot be run.
            let text =
                format!("#!/bin/sh\n{}\n", body.replace("$DIR", &dir.path().display().to_string()));
            std::fs::write(dir.path().join("new"), text).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(dir.path().join("new"), mode).unwrap();
            std::fs::rename(dir.path().join("new"), &script).unwrap();
            let bidding = Bidding {
                strategy: Strategy::Script,
                script,
                script_per: ScriptPer::Second,
                ..Bidding::default()
            };
            Self { dir, bidding }
        }

        /// A fork of another test may hold the fresh file open for a moment.
        async fn rate(&self) -> Result<Dec, ScriptError> {
            let script = Script::new(&self.bidding);
            loop {
                match script.rate(&order(1), &[]).await {
                    Err(ScriptError::Start(_, error))
                        if error.kind() == std::io::ErrorKind::ExecutableFileBusy =>
                    {
                        tokio::task::yield_now().await;
                    }
                    other => return other,
                }
            }
        }

        fn file(&self, name: &str) -> String {
            std::fs::read_to_string(self.dir.path().join(name)).unwrap()
        }
    }

    #[tokio::test]
    async fn a_script_reads_the_order_and_its_number_is_the_price() {
        let stage = Stage::new("cat > $DIR/in; env > $DIR/env; echo 1.5");
        assert_eq!(stage.rate().await.unwrap().to_string(), "1.5");
        let read: serde_json::Value = serde_json::from_str(&stage.file("in")).unwrap();
        let expected = serde_json::json!({
            "resources": [{
                "memory": 1_u64 << 30, "cpu": 1000, "count": 1,
                "gpu": { "units": 0, "attributes": {} },
                "storage": [{ "class": "ephemeral", "size": 1_u64 << 30 }],
                "endpoint_quantity": 0, "ip_lease_quantity": 0,
            }],
            "price": { "denom": "ustoa", "amount": "100" },
            "price_precision": 18,
        });
        assert_eq!(read, expected);
        let env = stage.file("env");
        assert!(env.contains(&format!("STOA_OWNER={}", tenant())), "{env}");
        assert!(!env.contains("CARGO"), "the daemon's environment stays at home: {env}");
    }

    #[tokio::test]
    async fn older_scripts_take_the_list_and_price_a_block() {
        let mut stage = Stage::new("cat > $DIR/in; echo 12");
        stage.bidding.script_input = ScriptInput::List;
        stage.bidding.script_per = ScriptPer::Block;
        assert_eq!(stage.rate().await.unwrap().to_string(), "2");
        let read: serde_json::Value = serde_json::from_str(&stage.file("in")).unwrap();
        assert_eq!(read[0]["cpu"], 1000);
    }

    #[tokio::test]
    async fn what_is_no_price_says_why() {
        for (body, word) in [
            ("echo nothing >&2; exit 3", "nothing"),
            ("echo cheap", "cheap"),
            ("echo 0", "over 0"),
            ("echo -1", "-1"),
            ("head -c 5000 /dev/zero", "more than 4096"),
        ] {
            let error = Stage::new(body).rate().await.unwrap_err().to_string();
            assert!(error.contains(word), "{body}: {error}");
        }
        assert_eq!(price("0.0000000000000000001").unwrap().atoms(), 1, "rounded up");
        assert_eq!(price("2").unwrap(), Dec::whole(2));
    }

    #[tokio::test]
    async fn a_script_out_of_time_is_killed_with_all_that_it_started() {
        let mut stage = Stage::new("sleep 1000 & echo $! > $DIR/pid; wait");
        stage.bidding.script_timeout_seconds = 5;
        assert!(matches!(stage.rate().await, Err(ScriptError::Timeout(_))));
        let pid: u32 = stage.file("pid").trim().parse().unwrap();
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Path::new(&format!("/proc/{pid}")).exists() && !stat.contains(") Z")
        };
        while alive() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_a_script_leaves_behind_is_killed_too() {
        let stage = Stage::new("sleep 1000 & echo 3");
        assert_eq!(stage.rate().await.unwrap(), Dec::whole(3));
    }
}
