//! The daemon's settings: one TOML file, overridden by the environment,
//! overridden by flags.

mod chain;
mod edge;
mod file;
mod load;
mod machine;
mod market;
mod overlay;
mod peering;
mod sizes;
mod template;
mod ways_in;
mod workloads;

pub use chain::{Chain, Key};
pub use edge::{Acme, HostNames, Https, Ips, Ports};
pub use file::{Config, PERSISTENT_CLASSES};
pub use load::{ConfigError, Overrides};
pub use machine::{Engine, Storage, Timing};
pub use market::{
    Bidding, Capacity, Info, Limits, Money, Overcommit, Per, Pricing, ScriptInput, ScriptPer,
    Strategy,
};
pub use overlay::Overlay;
pub use peering::{Peering, RelayPorts};
pub use sizes::{Cores, Size};
pub use template::{render, Setting};
pub use ways_in::{Gateway, GatewayLimits, Ingress, Metrics};
pub use workloads::Workloads;
