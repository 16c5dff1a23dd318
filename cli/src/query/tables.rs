//! Tables that several commands show.

use comfy_table::Table;
use stoa_client::ids::TextId;
use stoa_proto::{
    deployment::v1::{Deployment, Group},
    escrow::v1::{Account, AccountState},
    market::v1::{Bid, Lease, Order},
    types::v1::GroupSpec,
};

use super::word;
use crate::{out, text};

/// Anything with a text, or `-`.
pub fn id_text<T: TextId>(id: Option<&T>) -> String {
    id.map_or("-".into(), TextId::text)
}

pub fn deployment_state(d: &Deployment) -> String {
    word(d.state().as_str_name(), "DEPLOYMENT_STATE")
}

pub fn group_state(g: &Group) -> String {
    word(g.state().as_str_name(), "GROUP_STATE")
}

pub fn order_state(o: &Order) -> String {
    word(o.state().as_str_name(), "ORDER_STATE")
}

pub fn bid_state(b: &Bid) -> String {
    word(b.state().as_str_name(), "BID_STATE")
}

pub fn lease_state(l: &Lease) -> String {
    word(l.state().as_str_name(), "LEASE_STATE")
}

pub fn close_reason(l: &Lease) -> String {
    match l.reason() {
        stoa_proto::market::v1::CloseReason::Unspecified => String::new(),
        reason => word(reason.as_str_name(), "CLOSE_REASON").replace('_', " "),
    }
}

/// What an OVERDRAWN escrow means and what helps.
pub fn used_up(account: &Account, now: u64) -> Option<String> {
    if account.state() != AccountState::Overdrawn {
        return None;
    }
    let dseq = account.id.as_ref().map_or(0, |id| id.dseq);
    Some(format!(
        "used up     the groups are paused; the deployment closes {}. To go on: `stoa tx deposit \
         {dseq} AMOUNT`, `stoa tx start-group {dseq} GSEQ`, `stoa deploy --resume {dseq}`",
        text::when(account.overdrawn_until, now)
    ))
}

/// `2 × (0.5 cpu, 64 MiB, 1 GiB) + …`
pub fn resources(spec: &GroupSpec) -> String {
    let one = |r: &stoa_proto::types::v1::GroupResource| {
        let unit = r.unit.clone().unwrap_or_default();
        let milli = unit.cpu.map_or(0, |c| c.millicores);
        let storage: u64 = unit.storage.iter().map(|v| v.bytes).sum();
        let gpu = unit.gpu.filter(|g| g.units > 0);
        let gpu = gpu.map(|g| format!(", {} gpu", g.units)).unwrap_or_default();
        format!(
            "{} × ({} cpu, {}, {}{gpu})",
            r.count,
            stoa_client::money::Dec::from_atoms(u128::from(milli) * 1_000_000_000_000_000),
            text::bytes(unit.memory.map_or(0, |m| m.bytes)),
            text::bytes(storage),
        )
    };
    spec.resources.iter().map(one).collect::<Vec<_>>().join(" + ")
}

pub fn orders(list: &[Order]) -> Table {
    let now = text::now();
    let mut table = out::table(&["ORDER", "STATE", "BIDS", "MAX RATE", "CLOSES", "RESOURCES"]);
    for order in list {
        let spec = order.spec.clone().unwrap_or_default();
        table.add_row([
            id_text(order.id.as_ref()),
            order_state(order),
            order.bids.to_string(),
            text::dec_coin(order.max_rate.as_ref(), 6),
            text::when(order.closes_at, now),
            resources(&spec),
        ]);
    }
    table
}

pub fn bids(list: &[Bid]) -> Table {
    let mut table = out::table(&["BID", "STATE", "RATE", "PLACED AT"]);
    for bid in list {
        let rate = match bid.commitment.is_empty() || bid.revealed {
            true => text::rate(bid.rate.as_ref()),
            false => "sealed".into(),
        };
        table.add_row([
            id_text(bid.id.as_ref()),
            bid_state(bid),
            rate,
            bid.placed_height.to_string(),
        ]);
    }
    table
}

pub fn leases(list: &[Lease]) -> Table {
    let now = text::now();
    let mut table = out::table(&["LEASE", "STATE", "RATE", "STARTED", "PAID", "REASON"]);
    for lease in list {
        table.add_row([
            id_text(lease.id.as_ref()),
            lease_state(lease),
            text::rate(lease.rate.as_ref()),
            text::when(lease.started_at, now),
            lease.withdrawn.as_ref().map_or("-".into(), text::coin),
            close_reason(lease),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use stoa_proto::types::v1::DeploymentId;

    use super::*;

    #[test]
    fn an_escrow_that_is_used_up_says_what_helps() {
        let id = Some(DeploymentId { owner: "o".into(), dseq: 7 });
        let mut account = Account { id, overdrawn_until: 3_700, ..Account::default() };
        assert_eq!(used_up(&account, 100), None);
        account.set_state(AccountState::Overdrawn);
        let words = used_up(&account, 100).unwrap();
        assert!(words.contains("closes in 1h") && words.contains("deposit 7 "), "{words}");
    }
}
