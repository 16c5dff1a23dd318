//! The daemon's settings: one TOML file, overridden by the environment,
//! overridden by flags.

mod edge;
mod file;
mod load;
mod overlay;
mod peering;
mod sizes;
mod template;
mod workloads;

pub use edge::{Acme, HostNames, Https, Ips, Ports};
pub use file::{
    Bidding, Capacity, Chain, Config, Engine, Gateway, GatewayLimits, Info, Ingress, Key, Limits,
    Metrics, Money, Overcommit, Per, Pricing, ScriptInput, ScriptPer, Storage, Strategy, Timing,
    PERSISTENT_CLASSES,
};
pub use load::{ConfigError, Overrides};
pub use overlay::Overlay;
pub use peering::{Peering, RelayPorts};
pub use sizes::{Cores, Size};
pub use template::{render, Setting};
pub use workloads::Workloads;
