//! Events in words.

use stoa_client::tx::Event;

use crate::text;

/// One event in one line.
pub fn line(event: &Event) -> String {
    let get = |key: &str| event.get(key).unwrap_or("?").to_owned();
    let short = |key: &str| id(&get(key));
    match event.name() {
        "EventDeploymentCreated" => format!("deployment {} created", short("deployment")),
        "EventDeploymentUpdated" => {
            let version = get("version");
            let version = version.get(..12).unwrap_or(&version);
            format!("deployment {} updated to version {version}…", short("deployment"))
        }
        "EventDeploymentClosed" => {
            format!("deployment {} closed ({})", short("deployment"), get("reason"))
        }
        "EventGroupState" => format!("group {} is {}", short("group"), get("state")),
        "EventOrderOpened" => {
            format!("order {} opened, at most {}/s", short("order"), get("max_rate"))
        }
        "EventOrderClosed" => {
            let reason = event.get("reason").filter(|r| !r.is_empty());
            let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
            format!("order {} {}{reason}", short("order"), get("state"))
        }
        "EventBidPlaced" => {
            let bid = match event.get("rate") {
                Some("sealed") => "sealed bid".to_owned(),
                rate => format!("bid of {}/s", rate.unwrap_or("?")),
            };
            format!("{bid} on {} by {}", short("order"), short("provider"))
        }
        "EventBidClosed" => {
            format!("bid on {} by {} {}", short("order"), short("provider"), get("state"))
        }
        "EventLeaseCreated" => format!("lease {} at {}/s", short("lease"), get("rate")),
        "EventLeaseStarted" => format!("lease {} started", short("lease")),
        "EventLeaseReclaiming" => format!("lease {} is being reclaimed", short("lease")),
        "EventLeaseClosed" => format!("lease {} closed ({})", short("lease"), get("reason")),
        "EventLeasePaid" => format!("{} paid to {}", get("amount"), short("provider")),
        "EventDeposited" => {
            format!("{} deposited for {}", get("amount"), short("deployment"))
        }
        "EventRefunded" => format!("{} returned to {}", get("amount"), short("depositor")),
        "EventOverdrawn" => format!("escrow of {} is used up", short("deployment")),
        "EventAccountClosed" => format!("escrow of {} closed", short("deployment")),
        name => {
            let told = event.attributes.iter().filter(|(k, _)| k != "msg_index");
            let pairs: Vec<String> = told.map(|(k, v)| format!("{k}={}", id(v))).collect();
            format!("{} {}", name.trim_start_matches("Event"), pairs.join(" "))
        }
    }
}

/// An id with its addresses shortened.
pub fn id(text: &str) -> String {
    text.split('/').map(text::short).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_events_have_a_line() {
        let event = |name: &str, pairs: &[(&str, &str)]| Event {
            kind: format!("stoa.market.v1.{name}"),
            attributes: pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        };
        let closed = event(
            "EventOrderClosed",
            &[("order", "a/1/1/1"), ("state", "unmatched"), ("reason", "no bids")],
        );
        assert_eq!(line(&closed), "order a/1/1/1 unmatched: no bids");
        let sealed =
            event("EventBidPlaced", &[("order", "o"), ("provider", "p"), ("rate", "sealed")]);
        assert_eq!(line(&sealed), "sealed bid on o by p");
        assert_eq!(line(&event("EventNew", &[("x", "y")])), "New x=y");
        assert_eq!(line(&event("EventLeaseStarted", &[])), "lease ? started");
    }
}
