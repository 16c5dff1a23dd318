//! The rules as chains of iptables, for machines without nftables. They stand
//! in the tables `mangle` and `nat`: what is dropped in `mangle` is dropped
//! before the engine's own rules in `filter` could take it, wherever the
//! engine inserts them.

use std::path::Path;

use super::program::run;
use super::{fingerprint, Firewall, NOT_PUBLIC};
use crate::runtime::names::BRIDGE_PREFIX;

/// Chains' names are this, the owner's digits, `-` and a word.
const CHAIN: &str = "STOA-";
const BYTES_PER_KILOBYTE: u64 = 1024;
/// There where the kernel has IPv6.
const IPV6: &str = "/proc/net/if_inet6";

/// One table of one version of IP.
struct Table {
    family: Family,
    name: &'static str,
    /// Chain and rule.
    rules: Vec<(&'static str, String)>,
    /// The kernel's chain, what restricts the jump, our chain.
    jumps: Vec<(&'static str, String, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn program(self, form: &str) -> String {
        match self {
            Self::V4 => format!("iptables{form}"),
            Self::V6 => format!("ip6tables{form}"),
        }
    }
}

pub(super) async fn install(firewall: &Firewall) -> Result<(), String> {
    for table in tables(firewall) {
        let saved = save(table.family, table.name).await?;
        let script = table.script(&firewall.owner, &saved);
        let program = table.family.program("-restore");
        run(&program, &["--noflush", "--wait"], &script).await?;
    }
    Ok(())
}

pub(super) async fn is_there(firewall: &Firewall) -> bool {
    for table in tables(firewall) {
        let Ok(saved) = save(table.family, table.name).await else { return false };
        if !table.is_in(&firewall.owner, &saved) {
            return false;
        }
    }
    true
}

/// Removes the owner's chains, or all that are ours.
pub(super) async fn remove(owner: Option<&str>) -> Result<(), String> {
    for family in families() {
        for name in ["mangle", "nat"] {
            // A kernel without the table has nothing of ours in it.
            let Ok(saved) = save(family, name).await else { continue };
            let chains = chains_in(&saved, owner);
            if chains.is_empty() {
                continue;
            }
            let mut script = format!("*{name}\n");
            chains.iter().for_each(|chain| script += &format!(":{chain} - [0:0]\n"));
            script += &deletions(&saved, &chains);
            chains.iter().for_each(|chain| script += &format!("-X {chain}\n"));
            script += "COMMIT\n";
            run(&family.program("-restore"), &["--noflush", "--wait"], &script).await?;
        }
    }
    Ok(())
}

async fn save(family: Family, table: &str) -> Result<String, String> {
    run(&family.program("-save"), &["-t", table], "").await
}

fn families() -> Vec<Family> {
    match Path::new(IPV6).exists() {
        true => vec![Family::V4, Family::V6],
        false => vec![Family::V4],
    }
}

fn tables(firewall: &Firewall) -> Vec<Table> {
    let mut tables = vec![filtering(firewall), masquerading(firewall)];
    if families().contains(&Family::V6) {
        tables.push(no_ipv6(firewall));
    }
    tables
}

fn filtering(firewall: &Firewall) -> Table {
    let (from, own) = (format!("-i {}+", firewall.egress), format!("-i {BRIDGE_PREFIX}+"));
    let to = format!("-o {}+", firewall.egress);
    let barred = format!("-j {CHAIN}{}-BARRED", firewall.owner);
    let blocks = NOT_PUBLIC.iter().map(ToString::to_string);
    let blocks = blocks.chain(firewall.deny.iter().map(ToString::to_string));
    let mut rules: Vec<(&str, String)> =
        blocks.map(|block| ("BARRED", format!("-d {block} -j DROP"))).collect();
    let mut rule = |chain, text: String| rules.push((chain, text));
    rule("FROM", "-m rpfilter --invert -j DROP".into());
    rule("FROM", "-m addrtype ! --dst-type UNICAST -j DROP".into());
    rule("FROM", barred.clone());
    if firewall.connections > 0 {
        let above = firewall.connections;
        let count = format!("-m connlimit --connlimit-above {above} --connlimit-saddr");
        rule("FROM", format!("-m conntrack --ctstate NEW {count} -j DROP"));
    }
    rule("IN", format!("{from} -j DROP"));
    rule("IN", format!("{own} -j DROP"));
    rule("FORWARD", format!("{own} ! -o {BRIDGE_PREFIX}+ -j DROP"));
    rule("FORWARD", format!("! -i {BRIDGE_PREFIX}+ -o {BRIDGE_PREFIX}+ -j DROP"));
    rule("FORWARD", format!("{from} {to} -j DROP"));
    rule("FORWARD", format!("{from} -o docker0 -j DROP"));
    rule("FORWARD", format!("{from} {barred}"));
    rule("FORWARD", format!("{to} -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP"));
    rule("OUT", format!("{to} -m conntrack --ctstate NEW -j DROP"));
    if firewall.bytes_per_second > 0 {
        rule("FROM", rate(firewall, "srcip", "sent"));
        rule("FORWARD", format!("{to} {}", rate(firewall, "dstip", "received")));
    }
    Table {
        family: Family::V4,
        name: "mangle",
        rules,
        jumps: vec![
            ("PREROUTING", from, "FROM"),
            ("INPUT", String::new(), "IN"),
            ("FORWARD", String::new(), "FORWARD"),
            ("OUTPUT", String::new(), "OUT"),
        ],
    }
}

/// A workload's bytes a second, by its address.
fn rate(firewall: &Firewall, mode: &str, name: &str) -> String {
    let kilobytes = firewall.bytes_per_second.div_ceil(BYTES_PER_KILOBYTE);
    format!(
        "-m hashlimit --hashlimit-above {kilobytes}kb/s --hashlimit-mode {mode} --hashlimit-name \
         {}-{name} -j DROP",
        firewall.owner
    )
}

fn masquerading(firewall: &Firewall) -> Table {
    Table {
        family: Family::V4,
        name: "nat",
        rules: vec![
            ("NAT", format!("-o {}+ -j RETURN", firewall.egress)),
            ("NAT", format!("-o {BRIDGE_PREFIX}+ -j RETURN")),
            ("NAT", format!("-s {} -j MASQUERADE", firewall.pool)),
        ],
        jumps: vec![("POSTROUTING", String::new(), "NAT")],
    }
}

/// Workloads have no IPv6; nothing of it passes.
fn no_ipv6(firewall: &Firewall) -> Table {
    let egress = &firewall.egress;
    let rules = [
        ("IN", format!("-i {egress}+ -j DROP")),
        ("IN", format!("-i {BRIDGE_PREFIX}+ -j DROP")),
        ("FORWARD", format!("-i {egress}+ -j DROP")),
        ("FORWARD", format!("-o {egress}+ -j DROP")),
        ("FORWARD", format!("-i {BRIDGE_PREFIX}+ ! -o {BRIDGE_PREFIX}+ -j DROP")),
    ];
    Table {
        family: Family::V6,
        name: "mangle",
        rules: rules.into(),
        jumps: vec![("INPUT", String::new(), "IN"), ("FORWARD", String::new(), "FORWARD")],
    }
}

impl Table {
    /// Every chain that it needs, with the one whose name says which rules
    /// these are.
    fn chains(&self, owner: &str) -> Vec<String> {
        let words = self.rules.iter().map(|(chain, _)| *chain);
        let mut words: Vec<&str> = words.collect();
        words.sort_unstable();
        words.dedup();
        let text = format!("{:?}{:?}", self.rules, self.jumps);
        let mut chains: Vec<String> = words.iter().map(|word| chain(owner, word)).collect();
        chains.push(chain(owner, &fingerprint(&text)));
        chains
    }

    /// One transaction that replaces whatever of the owner's is there.
    fn script(&self, owner: &str, saved: &str) -> String {
        let old = chains_in(saved, Some(owner));
        let chains = self.chains(owner);
        let mut script = format!("*{}\n", self.name);
        // Naming a chain makes it, and empties it where it is there.
        for name in old.iter().chain(chains.iter().filter(|name| !old.contains(name))) {
            script += &format!(":{name} - [0:0]\n");
        }
        script += &deletions(saved, &old);
        for name in old.iter().filter(|name| !chains.contains(name)) {
            script += &format!("-X {name}\n");
        }
        for (word, rule) in &self.rules {
            script += &format!("-A {} {rule}\n", chain(owner, word));
        }
        for (kernels, matches, word) in &self.jumps {
            script += &format!("-I {kernels} {matches} -j {}\n", chain(owner, word));
        }
        script + "COMMIT\n"
    }

    /// The mark says which rules; the count, that nobody has removed one.
    fn is_in(&self, owner: &str, saved: &str) -> bool {
        let chains = self.chains(owner);
        let found = chains_in(saved, Some(owner));
        let beginning = format!("{CHAIN}{owner}-");
        let rules = saved.lines().filter(|l| l.starts_with("-A") && l.contains(&beginning)).count();
        chains.iter().all(|chain| found.contains(chain))
            && found.len() == chains.len()
            && rules == self.rules.len() + self.jumps.len()
    }
}

fn chain(owner: &str, word: &str) -> String {
    format!("{CHAIN}{owner}-{word}")
}

/// The chains of ours in what `iptables-save` prints: `:NAME POLICY [0:0]`.
fn chains_in(saved: &str, owner: Option<&str>) -> Vec<String> {
    let beginning = owner.map_or(CHAIN.to_string(), |owner| format!("{CHAIN}{owner}-"));
    let names = saved.lines().filter_map(|line| line.strip_prefix(':')?.split(' ').next());
    names.filter(|name| name.starts_with(&beginning)).map(String::from).collect()
}

/// Takes away the jumps into these chains from chains that are not ours.
fn deletions(saved: &str, chains: &[String]) -> String {
    let jumps = saved.lines().filter_map(|line| {
        let (from, rest) = line.strip_prefix("-A ")?.split_once(' ')?;
        let into = rest.rsplit_once("-j ")?.1.split(' ').next()?;
        let ours = chains.iter().any(|chain| chain == into);
        (ours && !from.starts_with(CHAIN)).then(|| format!("-D {from} {rest}\n"))
    });
    jumps.collect()
}
