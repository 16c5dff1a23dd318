//! Whether the router would lead a port here.

use stoa_client::gateway::GatewayAddress;

use super::Finding;
use crate::config::Config;
use crate::nat::{outside_address, Wish};

/// Nothing where the router is not to be asked.
pub(super) async fn look(config: &Config) -> Option<Finding> {
    if !config.peering.map_port {
        return None;
    }
    let name = "router (peering.map_port)";
    let port = GatewayAddress::parse(&config.gateway.host_uri).map_or(0, |address| address.port);
    Some(match outside_address(&Wish::new(port, config.gateway.listen)).await {
        Ok((address, by)) => Finding::good(name, format!("{by}, from outside {address}")),
        Err(error) => Finding::bad(
            name,
            format!("{error:#}"),
            format!(
                "allow NAT-PMP or UPnP at the router; or lead its port {port} here by hand and \
                 leave map_port out; or name a relay in peering.relay"
            ),
        ),
    })
}
