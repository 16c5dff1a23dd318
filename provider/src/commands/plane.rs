//! What the data plane says of itself, for the operator.

use stoa_tunnel::control::Status;
use stoa_tunnel::overlay::TunnelState;

use crate::config::Config;
use crate::ingress::DataPlane;

/// Lines of one kind that are told; the rest is counted.
const MAX_TOLD: usize = 8;

/// Asks it, over its socket on this machine.
pub(super) async fn ask(config: &Config) -> Result<Status, String> {
    DataPlane::new(config).client().status().await.map_err(|error| error.to_string())
}

/// Everything in its way, in words.
pub(super) fn problems(status: &Status) -> Vec<String> {
    let unbound = status.unbound.iter().map(|port| {
        format!("{}/{} cannot be listened on: {}", port.listen, port.transport, port.error)
    });
    let listeners = status.overlay_listening.iter().filter_map(|one| {
        let error = one.error.as_ref()?;
        Some(format!("{} cannot take tunnels: {error}", one.listen))
    });
    let links = status
        .links
        .iter()
        .filter_map(|link| Some(format!("{}: {}", link.instance, link.problem.as_ref()?)));
    let tunnels = status.tunnels.iter().filter(|one| one.state == TunnelState::Down).map(|one| {
        let why = one.last_error.as_deref().unwrap_or("down");
        format!("tunnel {}: {why}", one.descriptor)
    });
    [
        told(status.problems.iter().cloned()),
        told(unbound),
        told(listeners),
        told(links),
        told(tunnels),
    ]
    .concat()
}

/// The first lines, and how many more there are.
fn told(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        lines.truncate(MAX_TOLD);
        lines.push(format!("… and {more} more of the kind"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let lines = told((0..10).map(|number| number.to_string()));
        assert_eq!(lines.len(), 9);
        assert_eq!(lines[8], "… and 2 more of the kind");
        assert!(told(std::iter::empty()).is_empty());
    }
}
