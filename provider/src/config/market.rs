//! What is sold, at which price, to whom, and how it is paid.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sizes::{Cores, Size};

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
