//! What `provider.toml` may say. [`super::template`] has the same with
//! comments for people.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stoa_client::keys::Backend;

use super::edge::{HostNames, Https, Ips, Ports};
use super::overlay::Overlay;
use super::peering::Peering;
use super::sizes::{Cores, Size};
use super::workloads::Workloads;

/// Volumes of these classes outlive their containers.
pub const PERSISTENT_CLASSES: [&str; 4] = ["default", "beta1", "beta2", "beta3"];

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where manifests, blobs and journals lie.
    pub data_dir: PathBuf,
    pub chain: Chain,
    pub key: Key,
    pub gateway: Gateway,
    pub ingress: Ingress,
    #[serde(default)]
    pub https: Https,
    #[serde(default)]
    pub host_names: HostNames,
    #[serde(default)]
    pub ports: Ports,
    #[serde(default)]
    pub ips: Ips,
    #[serde(default)]
    pub overlay: Overlay,
    /// What orders may require: written to the chain by `init`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    #[serde(default)]
    pub info: Info,
    pub capacity: Capacity,
    #[serde(default)]
    pub overcommit: Overcommit,
    pub pricing: Pricing,
    #[serde(default)]
    pub bidding: Bidding,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub money: Money,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub storage: Storage,
    #[serde(default)]
    pub peering: Peering,
    #[serde(default)]
    pub engine: Engine,
    #[serde(default)]
    pub workloads: Workloads,
    #[serde(default)]
    pub timing: Timing,
    /// In builds with fail points: the step at which the daemon kills itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failpoint: String,
}

/// Which chain, and who tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Nodes of another chain are refused.
    pub id: String,
    /// CometBFT RPC addresses, in order of preference.
    pub rpc: Vec<String>,
    /// gRPC addresses, likewise.
    pub grpc: Vec<String>,
    #[serde(default = "default_gas_price")]
    pub gas_price: String,
    /// With several addresses: how many must answer, and agree, before
    /// anything is believed.
    #[serde(default = "default_answers")]
    pub min_answers: usize,
    /// A node this many blocks behind the others is not asked.
    #[serde(default = "default_lag")]
    pub max_lag_blocks: u64,
}

/// Who signs. The passphrase comes from `STOA_PASSPHRASE_FILE`,
/// `STOA_PASSPHRASE_FD` or the terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub name: String,
    pub dir: PathBuf,
    pub backend: Backend,
}

/// Where tenants' programs speak to this daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub listen: SocketAddr,
    /// As tenants reach it: on chain.
    pub host_uri: String,
    #[serde(default = "default_connections")]
    pub max_connections: usize,
    /// Uploads under way at a time.
    #[serde(default = "default_uploads")]
    pub max_uploads: usize,
    /// Web pages (as origins: `https://console.example`) that may use the
    /// gateway from a browser; `*`: all.
    #[serde(default)]
    pub cors_origins: Vec<String>,
    #[serde(default)]
    pub limits: GatewayLimits,
}

/// What one client may take of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayLimits {
    /// Of one IPv4 address, or of one /64 of IPv6.
    pub connections_per_address: usize,
    /// Of one tenant; four times as many at once, and of one address.
    pub requests_per_second: u32,
    /// A TLS handshake must be done within it.
    pub handshake_seconds: u64,
    /// A request's header must be there within it.
    pub header_seconds: u64,
    /// A connection without requests is closed after it.
    pub idle_seconds: u64,
}

/// Where browsers reach workloads: the data plane, a process of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    pub listen: SocketAddr,
    /// Generated host names are under it: `<service>-<10 hex>.<domain>`.
    pub domain: String,
    /// The port that browsers use; that of `listen` unless something stands
    /// before it.
    #[serde(default)]
    pub public_port: Option<u16>,
    /// The data plane's program; the one beside this program unless set.
    #[serde(default)]
    pub tunnel_binary: Option<PathBuf>,
    /// Its control socket; in the data directory unless set.
    #[serde(default)]
    pub control: Option<PathBuf>,
    /// Its state; in the data directory unless set.
    #[serde(default)]
    pub state: Option<PathBuf>,
}

/// How people reach the operator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Info {
    pub email: String,
    pub website: String,
}

/// What is for sale. The machine's own, times the over-commit, bounds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    pub cpu: Cores,
    pub memory: Size,
    pub storage: Size,
    /// GPUs; what the engines report bounds it.
    #[serde(default)]
    pub gpu: u64,
    /// Classes of persistent volumes on offer.
    #[serde(default = "default_classes")]
    pub storage_classes: Vec<String>,
}

/// How many times over what the machine has may be sold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overcommit {
    pub cpu: f64,
    pub memory: f64,
    pub storage: f64,
}

/// The linear price: a sum of products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pricing {
    /// Orders in another denom are let pass.
    pub denom: String,
    #[serde(default)]
    pub per: Per,
    /// A core. Amounts are decimals as text: `"1000000"`, `"0.5"`.
    pub cpu: String,
    /// A GiB.
    pub memory: String,
    /// A GiB, by class: `ephemeral` and the persistent ones. (`ram` is sold
    /// as memory.)
    pub storage: BTreeMap<String, String>,
    /// A GPU, by model; `*` is any other. A model without a price is not
    /// offered.
    #[serde(default)]
    pub gpu: BTreeMap<String, String>,
    /// A way in, by name or by port.
    #[serde(default = "zero")]
    pub endpoint: String,
    /// An address of its own.
    #[serde(default = "zero")]
    pub leased_ip: String,
    /// The least that an order costs.
    #[serde(default = "zero")]
    pub minimum: String,
}

/// What prices are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    Second,
    Hour,
    #[default]
    Month,
}

impl Per {
    /// A month is 30 days, as in the manifest.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Hour => 3_600,
            Self::Month => 2_592_000,
        }
    }
}

/// How the price of an order is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bidding {
    pub strategy: Strategy,
    /// Whether sealed orders are bid on: whoever does not reveal loses the
    /// deposit.
    pub sealed: bool,
    /// The program that prices orders: an absolute path.
    pub script: PathBuf,
    /// What its number is for.
    pub script_per: ScriptPer,
    pub script_input: ScriptInput,
    pub script_timeout_seconds: u64,
    /// Runs at a time.
    pub script_parallel: usize,
}

/// Where prices come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The price list of `[pricing]`.
    #[default]
    Linear,
    /// A program of the operator's.
    Script,
}

/// What a script's number is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptPer {
    Second,
    /// 6 seconds, as the manifest reads amounts of foreign denoms.
    #[default]
    Block,
    Hour,
    Month,
}

impl ScriptPer {
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => Per::Second.seconds(),
            Self::Block => 6,
            Self::Hour => Per::Hour.seconds(),
            Self::Month => Per::Month.seconds(),
        }
    }
}

/// The form of what a script reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptInput {
    /// `{"resources": [...], "price": {...}, "price_precision": 18}`.
    #[default]
    Object,
    /// The list of resources alone, as older scripts take it.
    List,
}

/// Payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Money {
    /// A lease whose end is known is withdrawn from so long before it.
    pub before_end_seconds: u64,
    /// How long a workload runs on, unpaid, after its deployment's money ran
    /// out.
    pub grace_seconds: u64,
    /// Less than this, in whole units of the price list's denom, is low.
    pub low_balance: String,
}

/// What monitoring reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Address of `/metrics` and of the status page; empty: none.
    pub listen: String,
}

/// How much the daemon may take on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub max_open_bids: usize,
    pub max_leases: usize,
    /// Deposits in open bids at a time, in whole units; empty: no limit.
    pub max_exposure: String,
    /// Where not empty, only these tenants' orders are bid on.
    pub allowed_tenants: Vec<String>,
    pub denied_tenants: Vec<String>,
}

/// What tenants may lay down here before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Bytes of all blobs, arriving ones counted with the size that their
    /// manifest names.
    pub max_blob_bytes: Size,
    /// Bytes of one.
    pub max_blob: Size,
    /// Bytes of all blobs of one deployment.
    pub max_deployment_bytes: Size,
    /// How long a closed lease's manifest, blobs and sealed secrets stay.
    #[serde(alias = "manifest_keep")]
    pub keep_seconds: u64,
}

/// The container engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    pub socket: PathBuf,
    /// Workloads' networks of 16 addresses are taken out of it.
    pub network_pool: String,
    pub stop_grace_seconds: u64,
}

/// When things happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// The state is looked at after so long without an announced block.
    pub poll_seconds: u64,
    /// A chain that stands still so long is an alert.
    pub stall_seconds: u64,
    pub withdraw_seconds: u64,
    /// An updated instance must be ready within it, or the update is undone.
    pub update_seconds: u64,
    /// An instance counts as ready when it has run so long.
    pub settle_seconds: u64,
    /// Between two measurings of what workloads have written.
    pub storage_check_seconds: u64,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            connections_per_address: 128,
            requests_per_second: 50,
            handshake_seconds: 10,
            header_seconds: 15,
            idle_seconds: 120,
        }
    }
}

fn default_gas_price() -> String {
    stoa_client::config::DEFAULT_GAS_PRICE.into()
}

fn default_answers() -> usize {
    1
}

fn default_lag() -> u64 {
    10
}

fn default_connections() -> usize {
    1024
}

fn default_uploads() -> usize {
    16
}

fn default_classes() -> Vec<String> {
    vec!["default".into()]
}

fn zero() -> String {
    "0".into()
}

impl Default for Overcommit {
    fn default() -> Self {
        Self { cpu: 1.0, memory: 1.0, storage: 1.0 }
    }
}

impl Default for Bidding {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            sealed: true,
            script: PathBuf::new(),
            script_per: ScriptPer::default(),
            script_input: ScriptInput::default(),
            script_timeout_seconds: 5,
            script_parallel: 4,
        }
    }
}

impl Default for Money {
    fn default() -> Self {
        Self { before_end_seconds: 60, grace_seconds: 0, low_balance: "5000000".into() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_open_bids: 100,
            max_leases: 500,
            max_exposure: String::new(),
            allowed_tenants: vec![],
            denied_tenants: vec![],
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            max_blob_bytes: Size(64 << 30),
            max_blob: Size(16 << 30),
            max_deployment_bytes: Size(32 << 30),
            keep_seconds: 86_400,
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            socket: "/var/run/docker.sock".into(),
            network_pool: "10.224.0.0/14".into(),
            stop_grace_seconds: 10,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_seconds: 2,
            stall_seconds: 30,
            withdraw_seconds: 3_600,
            update_seconds: 120,
            settle_seconds: 2,
            storage_check_seconds: 30,
        }
    }
}

impl Config {
    /// The data plane's control socket.
    pub fn tunnel_control(&self) -> PathBuf {
        self.ingress.control.clone().unwrap_or_else(|| self.data_dir.join("tunnel.sock"))
    }

    /// The data plane's state.
    pub fn tunnel_state(&self) -> PathBuf {
        self.ingress.state.clone().unwrap_or_else(|| self.data_dir.join("tunnel"))
    }

    /// The port in the addresses that tenants are told.
    pub fn public_port(&self) -> u16 {
        self.ingress.public_port.unwrap_or(self.ingress.listen.port())
    }

    /// The host in the addresses of forwarded ports that tenants are told.
    pub fn ports_host(&self) -> &str {
        match self.ports.host.as_str() {
            "" => &self.ingress.domain,
            host => host,
        }
    }

    /// What leases earned.
    pub fn ledger_path(&self) -> PathBuf {
        self.data_dir.join("ledger.db")
    }

    /// The root certificate and its key.
    pub fn root_path(&self) -> PathBuf {
        self.data_dir.join("root.pem")
    }
}
