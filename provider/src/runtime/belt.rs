//! The belt: one rule of the host's firewall that drops what a workload sends
//! to the host itself. The workloads' networks have no host address to send
//! to; this holds even where that fails. The rule is the same for every
//! provider on the machine, so that each may put it there.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::unistd::Uid;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const NFT_RULES: &str = "table inet stoa_guard
delete table inet stoa_guard
table inet stoa_guard {
\tchain input {
\t\ttype filter hook input priority -10; policy accept;
\t\tiifname \"st*\" drop
\t}
}
";
const NFT_TABLE: [&str; 3] = ["table", "inet", "stoa_guard"];
/// For machines that have no nft: one rule for each version of IP.
const IPTABLES: [&str; 2] = ["iptables", "ip6tables"];
const IPTABLES_RULE: [&str; 9] =
    ["INPUT", "-i", "st+", "-m", "comment", "--comment", "stoa_guard", "-j", "DROP"];
const DEADLINE: Duration = Duration::from_secs(10);
const CLASS: &str = "/sys/class/net";

/// By which program the rule is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belt {
    Nft,
    Iptables,
}

impl Belt {
    pub fn program(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Iptables => "iptables",
        }
    }
}

/// Puts the rule there; doing so again changes nothing.
///
/// # Errors
/// Why it cannot be, in words.
pub async fn install() -> Result<Belt, String> {
    check_root()?;
    if let Some(interface) = foreign_interface(Path::new(CLASS)) {
        return Err(format!(
            "the rule for st* would hit the interface {interface}, which is not a workload's \
             bridge; rename it"
        ));
    }
    let refused = match run("nft", &["-f", "-"], NFT_RULES).await {
        Ok(output) if output.status.success() => return Ok(Belt::Nft),
        Ok(output) => format!("nft says: {}", said(&output)),
        Err(problem) => problem,
    };
    for program in IPTABLES {
        if iptables(program, "-C").await.is_ok() {
            continue;
        }
        iptables(program, "-I").await.map_err(|problem| format!("{refused}; {problem}"))?;
    }
    Ok(Belt::Iptables)
}

/// Takes the rule away; one that is not there is no error. Every provider on
/// this machine loses it.
///
/// # Errors
/// Why it cannot be, in words.
pub async fn remove() -> Result<(), String> {
    check_root()?;
    if has_nft_table().await {
        let output = run("nft", &[&["delete"][..], &NFT_TABLE].concat(), "").await?;
        if !output.status.success() {
            return Err(format!("nft says: {}", said(&output)));
        }
    }
    for program in IPTABLES {
        while iptables(program, "-C").await.is_ok() {
            iptables(program, "-D").await?;
        }
    }
    Ok(())
}

/// Whether the rule is there; `None` where it is not, or cannot be seen.
pub async fn find() -> Option<Belt> {
    if has_nft_table().await {
        return Some(Belt::Nft);
    }
    for program in IPTABLES {
        iptables(program, "-C").await.ok()?;
    }
    Some(Belt::Iptables)
}

async fn has_nft_table() -> bool {
    let listed = run("nft", &[&["list"][..], &NFT_TABLE].concat(), "").await;
    listed.is_ok_and(|output| output.status.success() && said(&output).contains("\"st*\" drop"))
}

async fn iptables(program: &str, action: &str) -> Result<(), String> {
    let output = run(program, &[&["-w", action][..], &IPTABLES_RULE].concat(), "").await?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} says: {}", said(&output))),
    }
}

fn check_root() -> Result<(), String> {
    match Uid::effective().is_root() {
        true => Ok(()),
        false => Err("it takes root".into()),
    }
}

async fn run(program: &str, arguments: &[&str], input: &str) -> Result<Output, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{program} cannot be run: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing has its say in its exit code.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .map_err(|_| format!("{program} did not end in time"))?
        .map_err(|e| format!("{program}: {e}"))
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_string()
}

/// An interface that the rule's `st*` fits but that is no bridge of ours.
fn foreign_interface(class: &Path) -> Option<String> {
    let names = std::fs::read_dir(class).ok()?.flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| name.strip_prefix("st").is_some_and(|rest| !is_bridge_suffix(rest)))
}

/// What follows `st` in the name of a workload's bridge.
pub(super) fn is_bridge_suffix(rest: &str) -> bool {
    rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_no_bridge_of_ours_is_found() {
        let class = tempfile::tempdir().unwrap();
        std::fs::write(class.path().join("st0123456789ab"), "").unwrap();
        assert_eq!(foreign_interface(class.path()), None);
        std::fs::write(class.path().join("storage0"), "").unwrap();
        assert_eq!(foreign_interface(class.path()).as_deref(), Some("storage0"));
    }

    /// In a network namespace of its own, for the machine's is shared.
    #[test]
    fn the_rule_comes_stays_once_and_goes() {
        if !Uid::effective().is_root() {
            println!("not run: network namespaces take root");
            return;
        }
        let output = std::process::Command::new("unshare")
            .args(["--net", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "runtime::belt::tests::child_in_a_namespace"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    #[ignore = "the child process of the_rule_comes_stays_once_and_goes"]
    async fn child_in_a_namespace() {
        assert_eq!(find().await, None);
        remove().await.unwrap();
        let belt = install().await.unwrap();
        assert_eq!(find().await, Some(belt));
        assert_eq!(install().await.unwrap(), belt);
        remove().await.unwrap();
        assert_eq!(find().await, None);
        // The other way, for machines without nft.
        for program in IPTABLES {
            iptables(program, "-I").await.unwrap();
        }
        assert_eq!(find().await, Some(Belt::Iptables));
        remove().await.unwrap();
        assert_eq!(find().await, None);
    }
}
