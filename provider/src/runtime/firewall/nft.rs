//! The rules as a table of nftables, replaced in one transaction.

use super::program::run;
use super::{fingerprint, Firewall, NOT_PUBLIC};
use crate::runtime::names::BRIDGE_PREFIX;

/// A table's name is this and the owner's digits.
const TABLE: &str = "stoa_";
/// The one rule that older versions set, for all providers of a machine.
const OLD_TABLE: &str = "stoa_guard";

pub(super) async fn install(firewall: &Firewall) -> Result<(), String> {
    run("nft", &["-f", "-"], &ruleset(firewall)).await.map(|_| ())
}

pub(super) async fn is_there(firewall: &Firewall) -> bool {
    let table = format!("{TABLE}{}", firewall.owner);
    let wanted = ruleset(firewall);
    let Ok(listed) = run("nft", &["list", "table", "inet", &table], "").await else {
        return false;
    };
    // The mark says which rules; the count, that nobody has emptied a chain.
    let drops = |text: &str| text.matches(" drop").count() + text.matches("masquerade").count();
    listed.contains(&mark(&body(firewall))) && drops(&listed) == drops(&wanted)
}

/// Removes the owner's table, or all that are ours.
pub(super) async fn remove(owner: Option<&str>) -> Result<(), String> {
    let listed = run("nft", &["list", "tables", "inet"], "").await?;
    let tables = listed.lines().filter_map(|line| line.trim().strip_prefix("table inet "));
    for table in tables.filter(|table| is_ours(table, owner)) {
        run("nft", &["delete", "table", "inet", table], "").await?;
    }
    Ok(())
}

fn is_ours(table: &str, owner: Option<&str>) -> bool {
    let rest = table.strip_prefix(TABLE);
    match owner {
        Some(owner) => rest == Some(owner),
        None => {
            let digits =
                |rest: &str| rest.len() == 8 && rest.bytes().all(|b| b.is_ascii_hexdigit());
            table == OLD_TABLE || rest.is_some_and(digits)
        }
    }
}

/// The name of a chain without rules.
fn mark(body: &str) -> String {
    format!("rules_{}", fingerprint(body))
}

pub(super) fn ruleset(firewall: &Firewall) -> String {
    let table = format!("table inet {TABLE}{}", firewall.owner);
    let body = body(firewall);
    let mark = mark(&body);
    // Naming it first lets it be deleted whether or not it is there.
    format!("{table}\ndelete {table}\n{table} {{\nchain {mark} {{\n}}\n{body}}}\n")
}

/// What passes a bridge comes by here too, where the kernel shows bridges to
/// the firewall (`br_netfilter`): between a workload and its link nothing may
/// be dropped or masked.
///
/// Chains come before the rest of the machine's (-150), for what they drop is
/// dropped and what they let pass others may still refuse.
fn body(firewall: &Firewall) -> String {
    let Firewall { egress, pool, .. } = firewall;
    let barred: Vec<String> = NOT_PUBLIC
        .iter()
        .map(ToString::to_string)
        .chain(firewall.deny.iter().map(ToString::to_string))
        .collect();
    let barred = barred.join(", ");
    let sent = rate(firewall, "sent", "iifname");
    let received = rate(firewall, "received", "oifname");
    let connections = connections(firewall);
    format!(
        r#"set barred {{
	type ipv4_addr
	flags interval
	auto-merge
	elements = {{ {barred} }}
}}
set sent {{
	type ifname
	flags dynamic
}}
set received {{
	type ifname
	flags dynamic
}}
set connections {{
	type ifname
	flags dynamic
}}
chain from {{
	meta nfproto != ipv4 drop
	fib saddr . iif oif missing drop
	fib daddr type != unicast drop
	ip daddr @barred drop
{connections}{sent}}}
chain prerouting {{
	type filter hook prerouting priority -150; policy accept;
	iifname "{egress}*" jump from
}}
chain input {{
	type filter hook input priority -150; policy accept;
	iifname "{egress}*" drop
	iifname "{BRIDGE_PREFIX}*" drop
}}
chain forward {{
	type filter hook forward priority -150; policy accept;
	iifname "{BRIDGE_PREFIX}*" oifname != "{BRIDGE_PREFIX}*" drop
	oifname "{BRIDGE_PREFIX}*" iifname != "{BRIDGE_PREFIX}*" drop
	iifname "{egress}*" oifname "{egress}*" drop
	iifname "{egress}*" oifname "docker0" drop
	iifname "{egress}*" ip daddr @barred drop
	oifname "{egress}*" ct state != {{ established, related }} drop
{received}}}
chain output {{
	type filter hook output priority -150; policy accept;
	oifname "{egress}*" ct state new drop
}}
chain postrouting {{
	type nat hook postrouting priority 100; policy accept;
	ip saddr {pool} oifname != "{egress}*" oifname != "{BRIDGE_PREFIX}*" masquerade
}}
"#
    )
}

/// A workload's bytes a second, by its bridge; a second's worth at once, which
/// the kernel gives without a burst: one that is named comes on top.
fn rate(firewall: &Firewall, set: &str, interface: &str) -> String {
    let bytes = firewall.bytes_per_second;
    if bytes == 0 {
        return String::new();
    }
    let bridge = if interface == "iifname" {
        String::new()
    } else {
        format!("{interface} \"{}*\" ", firewall.egress)
    };
    format!("\t{bridge}add @{set} {{ {interface} limit rate over {bytes} bytes/second }} drop\n")
}

fn connections(firewall: &Firewall) -> String {
    match firewall.connections {
        0 => String::new(),
        most => {
            format!("\tct state new add @connections {{ iifname ct count over {most} }} drop\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_of_ours_are_removed() {
        assert!(is_ours("stoa_0123abcd", None) && is_ours("stoa_guard", None));
        assert!(!is_ours("stoa_partition", None) && !is_ours("filter", None));
        assert!(is_ours("stoa_0123abcd", Some("0123abcd")));
        assert!(!is_ours("stoa_0123abce", Some("0123abcd")) && !is_ours("stoa_guard", Some("x")));
    }
}
