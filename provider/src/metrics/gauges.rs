//! Facts as Prometheus reads them.

use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};

use super::facts::{Facts, TunnelFacts};
use super::meters;
use crate::fleet::HostState;

/// Everything in Prometheus' text format.
pub fn exposition(facts: &Facts) -> anyhow::Result<String> {
    let registry = Registry::new();
    fill(&registry, facts)?;
    let mut families = meters().registry.gather();
    families.extend(registry.gather());
    let mut text = vec![];
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(String::from_utf8(text)?)
}

fn fill(registry: &Registry, facts: &Facts) -> anyhow::Result<()> {
    let one = |name: &str, help: &str, value: f64| many(registry, name, help, &[], &[(&[], value)]);
    let count = |length: usize| length as f64;
    one("stoa_provider_height", "Newest block that was looked at", facts.height as f64)?;
    one(
        "stoa_provider_height_lag_blocks",
        "Blocks that other endpoints are ahead of it",
        facts.height_lag as f64,
    )?;
    one(
        "stoa_provider_block_age_seconds",
        "Seconds between that block's time and this machine's clock",
        facts.block_age as f64,
    )?;
    one("stoa_provider_draining", "1: no new orders are taken", f64::from(facts.draining))?;
    one("stoa_provider_open_bids", "Bids that stand", count(facts.bids.len()))?;
    one(
        "stoa_provider_bid_deposits_units",
        "Deposits in open bids, in whole units",
        units(&facts.bid_deposits),
    )?;
    one(
        "stoa_provider_stuck_deletes",
        "Closed leases of which something is left after minutes",
        count(facts.stuck_deletes.len()),
    )?;
    let degraded = facts.leases.iter().filter(|lease| lease.phase == "degraded").count();
    one("stoa_provider_degraded_leases", "Leases that keep failing", count(degraded))?;
    one(
        "stoa_provider_low_balance",
        "1: the balance is under money.low_balance",
        f64::from(facts.low_balance),
    )?;
    one(
        "stoa_provider_ledger_height",
        "Block up to which all payments are booked",
        facts.ledger_height as f64,
    )?;
    one(
        "stoa_provider_ledger_mismatches",
        "Times that the ledger had more than the chain, since the start",
        facts.ledger_mismatches as f64,
    )?;
    fill_labelled(registry, facts)
}

fn fill_labelled(registry: &Registry, facts: &Facts) -> anyhow::Result<()> {
    let states = ["pending", "active", "reclaiming"].map(|state| {
        let count = facts.leases.iter().filter(|lease| lease.state == state).count();
        ([state], count as f64)
    });
    let states: Vec<(&[&str], f64)> = states.iter().map(|(l, v)| (l.as_slice(), *v)).collect();
    many(registry, "stoa_provider_leases", "Live leases", &["state"], &states)?;
    let money = [
        ("stoa_provider_balance_units", "What the account has", &facts.balance),
        ("stoa_provider_earned_units", "What leases earned, by the ledger", &facts.earned),
    ];
    for (name, help, amounts) in money {
        let lines = amounts.iter().map(|(denom, sum)| ([denom.as_str()], units(sum)));
        let lines: Vec<([&str; 1], f64)> = lines.collect();
        let lines: Vec<(&[&str], f64)> = lines.iter().map(|(l, v)| (l.as_slice(), *v)).collect();
        many(registry, name, help, &["denom"], &lines)?;
    }
    let (total, free) = (facts.total, facts.free);
    let capacity = [
        (["cpu_millicores", "total"], total.cpu),
        (["cpu_millicores", "free"], free.cpu),
        (["memory_bytes", "total"], total.memory),
        (["memory_bytes", "free"], free.memory),
        (["storage_bytes", "total"], total.storage),
        (["storage_bytes", "free"], free.storage),
        (["gpus", "total"], total.gpu),
        (["gpus", "free"], free.gpu),
    ];
    let capacity: Vec<(&[&str], f64)> =
        capacity.iter().map(|(labels, value)| (labels.as_slice(), *value as f64)).collect();
    let labels = ["resource", "kind"];
    many(registry, "stoa_provider_capacity", "What is for sale", &labels, &capacity)?;
    fill_machines(registry, facts)?;
    fill_tunnels(registry, facts)
}

fn fill_machines(registry: &Registry, facts: &Facts) -> anyhow::Result<()> {
    // Nobody waits for one that its operator has called dead.
    let awaited = facts.machines.iter().filter(|machine| machine.state != HostState::Dead);
    let lines = awaited.map(|machine| {
        let up = f64::from(machine.state != HostState::Unknown);
        ([machine.name.as_str()], up, machine.instances as f64)
    });
    let lines: Vec<([&str; 1], f64, f64)> = lines.collect();
    let up: Vec<(&[&str], f64)> = lines.iter().map(|(l, up, _)| (l.as_slice(), *up)).collect();
    let help = "1: the machine answers";
    many(registry, "stoa_provider_machine_up", help, &["machine"], &up)?;
    let placed: Vec<(&[&str], f64)> = lines.iter().map(|(l, _, n)| (l.as_slice(), *n)).collect();
    let help = "Instances that have their place on the machine";
    many(registry, "stoa_provider_machine_instances", help, &["machine"], &placed)?;
    let mut amounts = vec![];
    for machine in &facts.machines {
        let (total, taken) = (machine.total, machine.taken);
        for (resource, total, taken) in [
            ("cpu_millicores", total.cpu, taken.cpu),
            ("memory_bytes", total.memory, taken.memory),
            ("storage_bytes", total.storage, taken.storage),
            ("gpus", total.gpu, taken.gpu),
        ] {
            amounts.push(([machine.name.as_str(), resource, "total"], total as f64));
            amounts.push(([machine.name.as_str(), resource, "taken"], taken as f64));
        }
    }
    let amounts: Vec<(&[&str], f64)> = amounts.iter().map(|(l, v)| (l.as_slice(), *v)).collect();
    let labels = ["machine", "resource", "kind"];
    many(registry, "stoa_provider_machine_capacity", "Of the machine, for sale", &labels, &amounts)
}

fn fill_tunnels(registry: &Registry, facts: &Facts) -> anyhow::Result<()> {
    let states = ["waiting", "up", "down"].map(|state| {
        let count = facts.tunnels.iter().filter(|tunnel| tunnel.state == state).count();
        ([state], count as f64)
    });
    let states: Vec<(&[&str], f64)> = states.iter().map(|(l, v)| (l.as_slice(), *v)).collect();
    many(registry, "stoa_provider_tunnels", "Ends of tunnels here", &["state"], &states)?;
    let problems = [(&[] as &[&str], facts.overlay_problems.len() as f64)];
    let help = "What keeps workloads from being joined";
    many(registry, "stoa_provider_overlay_problems", help, &[], &problems)?;
    let labels = ["deployment", "from", "to", "port", "direction"];
    let of_each = |name: &str, help: &str, value: &dyn Fn(&TunnelFacts) -> f64| {
        let lines = facts.tunnels.iter().map(|one| {
            let names = [&one.deployment, &one.from, &one.to, &one.port, &one.direction];
            (names.map(String::as_str), value(one))
        });
        let lines: Vec<([&str; 5], f64)> = lines.collect();
        let lines: Vec<(&[&str], f64)> = lines.iter().map(|(l, v)| (l.as_slice(), *v)).collect();
        many(registry, name, help, &labels, &lines)
    };
    of_each("stoa_provider_tunnel_received_bytes", "Workloads' bytes from the peer", &|one| {
        one.bytes_in as f64
    })?;
    of_each("stoa_provider_tunnel_sent_bytes", "Workloads' bytes to the peer", &|one| {
        one.bytes_out as f64
    })?;
    of_each("stoa_provider_tunnel_connections", "Connections open through it", &|one| {
        one.connections_open as f64
    })?;
    of_each("stoa_provider_tunnel_failures", "Refusals and failed tries", &|one| {
        one.failures as f64
    })?;
    of_each("stoa_provider_tunnel_rtt_seconds", "To the peer's data plane and back", &|one| {
        one.rtt_micros as f64 / 1e6
    })?;
    of_each(
        "stoa_provider_tunnel_certificate_ends_seconds",
        "When this end's certificate ends, in Unix seconds",
        &|one| one.not_after as f64,
    )
}

fn many(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    values: &[(&[&str], f64)],
) -> anyhow::Result<()> {
    let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
    for (labels, value) in values {
        gauge.with_label_values(labels).set(*value);
    }
    Ok(registry.register(Box::new(gauge))?)
}

/// Monitoring's numbers are floats; a unit more or less is no matter there.
fn units(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fleet::HostReport;
    use crate::metrics::LeaseFacts;

    fn sample() -> String {
        let lease = LeaseFacts { state: "active".into(), ..LeaseFacts::default() };
        let amounts = || [("ustoa".to_string(), "12".to_string())].into();
        let facts = Facts {
            leases: vec![lease],
            tunnels: vec![TunnelFacts { state: "down".into(), ..TunnelFacts::default() }],
            machines: vec![HostReport {
                name: "local".into(),
                state: HostState::Up,
                why: String::new(),
                instances: 1,
                total: Default::default(),
                taken: Default::default(),
            }],
            balance: amounts(),
            earned: amounts(),
            ..Facts::default()
        };
        exposition(&facts).unwrap()
    }

    fn names() -> BTreeSet<String> {
        let text = sample();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|rest| rest.split(' ').next()).map(Into::into).collect()
    }

    /// Words of a text that look like a metric of ours.
    fn mentioned(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let words = words.filter(|word| word.starts_with("stoa_provider_"));
        let bare = |word: &str| -> String {
            let suffixes = ["_bucket", "_sum", "_count"];
            let cut = suffixes.iter().find_map(|suffix| word.strip_suffix(suffix));
            cut.filter(|cut| cut.ends_with("_seconds")).unwrap_or(word).into()
        };
        words.map(bare).collect()
    }

    #[test]
    fn facts_become_lines() {
        let text = sample();
        assert!(text.contains("stoa_provider_leases{state=\"active\"} 1"), "{text}");
        assert!(text.contains("stoa_provider_tunnels{state=\"down\"} 1"), "{text}");
        assert!(text.contains("stoa_provider_machine_up{machine=\"local\"} 1"), "{text}");
        assert!(text.contains("stoa_provider_earned_units{denom=\"ustoa\"} 12"), "{text}");
    }

    #[test]
    fn every_metric_of_the_alert_rules_exists_and_the_guide_names_all() {
        let alerts = include_str!("../../../docs/provider-alerts.yml");
        let guide = include_str!("../../../docs/provider.md");
        let (real, used, told) = (names(), mentioned(alerts), mentioned(guide));
        assert!(used.len() > 5, "{used:?}");
        assert_eq!(used.difference(&real).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(told, real);
    }
}
