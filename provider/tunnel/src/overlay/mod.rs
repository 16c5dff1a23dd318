//! The overlay: local workloads dial stable names in their own networks, and
//! each declared connection goes through a mutually authenticated tunnel to
//! the data plane where the other service runs.

mod name;
mod status;
mod table;

pub use name::{tunnel_name, TUNNEL_DOMAIN};
pub use status::{Direction, LinkStatus, OverlayListener, TunnelState, TunnelStatus};
pub use table::{
    Backend, Connection, Credential, Link, Name, OverlayTable, PeerRoot, Port, Served, TunnelId,
    MAX_BACKENDS, MAX_DESCRIPTOR, MAX_LINKS, MAX_LINK_ENTRIES, MAX_OVERLAY_BYTES, MAX_TUNNELS,
};
