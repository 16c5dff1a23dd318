//! What stands at the end, on stdout.

use serde_json::{json, Value};
use stoa_client::{ids::TextId, money::show_dec_coin};

use super::{
    book::{End, GroupEnd},
    deliver::Served,
    resolve,
    state::State,
    Tenant,
};
use crate::{exit::Failure, out, text};

/// Prints what runs and where, and what found no provider.
pub async fn print(
    tenant: &Tenant,
    state: &State,
    served: &[Served],
    unmatched: &[&GroupEnd],
) -> Result<(), Failure> {
    if tenant.context.is_json() {
        return as_json(state, served, unmatched).await;
    }
    if served.is_empty() {
        return Ok(());
    }
    out::print_lines(&format!("deployment  {}", state.id().text()));
    out::print_lines(&format!("version     {}", state.version));
    for one in served {
        let uri = &one.provider.host_uri;
        out::print_lines(&format!(
            "group       {} at {} ({uri}), {}",
            one.group,
            one.provider.owner,
            text::rate(one.lease.rate.as_ref())
        ));
        if let Some(why) = &one.unreached {
            out::print_lines(&format!("  not reached from here: {why}"));
        }
        for service in &one.status.services {
            for uri in &service.uris {
                let leads = resolve::words(uri).await;
                out::print_lines(&format!("  {:<10}{uri}  → {leads}", service.name));
            }
        }
    }
    Ok(())
}

async fn as_json(state: &State, served: &[Served], unmatched: &[&GroupEnd]) -> Result<(), Failure> {
    let mut leases = vec![];
    for one in served {
        let mut services = vec![];
        for service in &one.status.services {
            let mut uris = vec![];
            for uri in &service.uris {
                uris.push(json!({ "uri": uri, "addresses": resolve::addresses(uri).await }));
            }
            services.push(json!({
                "name": service.name,
                "wanted": service.wanted,
                "ready": service.ready,
                "uris": uris,
            }));
        }
        leases.push(json!({
            "lease": one.lease.id.as_ref().map(TextId::text),
            "group": one.group,
            "provider": one.provider.owner,
            "gateway": one.provider.host_uri,
            "rate": one.lease.rate.as_ref().map(show_dec_coin),
            "version": one.status.version,
            "services": services,
            "unreached": one.unreached,
        }));
    }
    out::print_json(&json!({
        "deployment": state.id().text(),
        "owner": state.owner,
        "dseq": state.dseq.to_string(),
        "version": state.version,
        "leases": leases,
        "unmatched": unmatched.iter().map(|e| of_group(e)).collect::<Vec<_>>(),
    }))
}

fn of_group(end: &GroupEnd) -> Value {
    let (state, reason) = match &end.end {
        End::Leased(_) => ("leased", String::new()),
        End::Unmatched(reason) => ("unmatched", reason.clone()),
        End::Cancelled(reason) => ("cancelled", reason.clone()),
        End::LeaseEnded(lease) => ("lease_ended", crate::query::tables::close_reason(lease)),
    };
    json!({
        "group": end.name,
        "order": end.order.id.as_ref().map(TextId::text),
        "state": state,
        "reason": reason,
        "bids": end.seen,
    })
}
