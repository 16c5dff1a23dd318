//! This machine without its engine: files, key, disk, data plane.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::Uid;
use stoa_client::tls::{self, Identity};

use super::Finding;
use crate::config::{Config, Strategy};
use crate::money::{Filter, Ledger};

/// Less free space on the data directory's disk is little.
const LITTLE_SPACE: u64 = 2 << 30;

/// The provider's address, where its key is found, and what was found.
pub(super) fn look(config: &Config) -> (Option<String>, Vec<Finding>) {
    let (provider, key) = key(config);
    let mut findings = vec![rights(), data_dir(config), key];
    findings.push(root(config, provider.as_deref()));
    findings.push(space(&config.data_dir));
    findings.extend(ledger(config));
    findings.extend(script(config));
    (provider, findings)
}

fn rights() -> Finding {
    if Uid::effective().is_root() {
        return Finding::good("rights", "root");
    }
    Finding::warning(
        "rights",
        "not root",
        "the data plane enters network namespaces, which takes root: run the daemon as root",
    )
}

fn data_dir(config: &Config) -> Finding {
    let (name, dir) = ("data directory", &config.data_dir);
    match std::fs::metadata(dir) {
        Err(error) => {
            Finding::bad(name, format!("{}: {error}", dir.display()), "run `stoa-provider init`")
        }
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Finding::warning(
            name,
            format!("{} can be read by others", dir.display()),
            format!("chmod 700 {}", dir.display()),
        ),
        Ok(_) => Finding::good(name, dir.display().to_string()),
    }
}

fn key(config: &Config) -> (Option<String>, Finding) {
    match config.key_store().show(&config.key.name) {
        Ok(info) => {
            let found = format!("{} is {}", config.key.name, info.address);
            (Some(info.address), Finding::good("key", found))
        }
        Err(error) => {
            let remedy = format!(
                "stoa --keyring-dir {} keys add {}",
                config.key.dir.display(),
                config.key.name
            );
            (None, Finding::bad("key", error.to_string(), remedy))
        }
    }
}

fn root(config: &Config, provider: Option<&str>) -> Finding {
    let name = "root certificate";
    let init = "run `stoa-provider init`; a root that is lost is made anew and rotated on chain";
    let path = config.root_path();
    let loaded = Identity::load(&path).map_err(|error| error.to_string());
    let checked = loaded.and_then(|root| {
        let owner = tls::common_name(root.certificate()).map_err(|error| error.to_string())?;
        let validity = tls::validity(root.certificate()).map_err(|error| error.to_string())?;
        let now = i64::try_from(super::chain::now()).unwrap_or(0);
        match validity.refusal(now) {
            Some(refusal) => Err(refusal.to_string()),
            None => Ok(owner),
        }
    });
    match checked {
        Ok(owner) if provider.is_some_and(|provider| provider != owner) => {
            let found = format!("{} is of {owner}, not of the key", path.display());
            Finding::bad(name, found, "name the right key in [key], or the right data_dir")
        }
        Ok(_) => Finding::good(name, path.display().to_string()),
        Err(problem) => Finding::bad(name, format!("{}: {problem}", path.display()), init),
    }
}

fn space(dir: &Path) -> Finding {
    let name = "disk of the data directory";
    let Ok(found) = nix::sys::statvfs::statvfs(dir) else {
        return Finding::warning(name, "cannot be measured", "make the data directory");
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let words = format!("{} MiB free", free >> 20);
    if free < LITTLE_SPACE {
        return Finding::warning(name, words, "make room: a full disk stops new leases");
    }
    Finding::good(name, words)
}

fn ledger(config: &Config) -> Option<Finding> {
    let (name, path) = ("ledger", config.ledger_path());
    if !path.exists() {
        return None;
    }
    let read = Ledger::open_to_read(&path).and_then(|ledger| ledger.earnings(&Filter::default()));
    Some(match read {
        Ok(earnings) => {
            let count = earnings.payments.len();
            Finding::good(name, format!("{count} payments, to block {}", earnings.height))
        }
        Err(error) => Finding::bad(
            name,
            error.to_string(),
            format!("move {} away; it is made anew from the chain", path.display()),
        ),
    })
}

fn script(config: &Config) -> Option<Finding> {
    if config.bidding.strategy != Strategy::Script {
        return None;
    }
    let (name, path) = ("pricing script", &config.bidding.script);
    let runs = std::fs::metadata(path).map(|found| found.permissions().mode() & 0o111 != 0);
    Some(match runs {
        Ok(true) => Finding::good(name, path.display().to_string()),
        Ok(false) => Finding::bad(
            name,
            format!("{} is not executable", path.display()),
            format!("chmod 755 {}", path.display()),
        ),
        Err(error) => Finding::bad(
            name,
            format!("{}: {error}", path.display()),
            "name the program in bidding.script",
        ),
    })
}

/// What the running data plane says of itself.
pub(super) async fn data_plane(config: &Config) -> Vec<Finding> {
    const NAME: &str = "data plane";
    let status = match super::super::plane::ask(config).await {
        Ok(status) => status,
        Err(error) => {
            let remedy = "the daemon starts it; look at its log, or run `stoa-tunnel` by hand";
            return vec![Finding::warning(NAME, error, remedy)];
        }
    };
    let problems = super::super::plane::problems(&status);
    if problems.is_empty() {
        let words = format!("{} host names, {} tunnel ends", status.hosts, status.tunnels.len());
        return vec![Finding::good(NAME, words)];
    }
    let remedy = "see the guide's chapters on names, certificates and tunnels; it is tried again";
    problems.into_iter().map(|problem| Finding::warning(NAME, problem, remedy)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::tests_support::config;

    #[test]
    fn what_is_missing_is_told_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config();
        config.data_dir = dir.path().join("none");
        config.key.dir = dir.path().into();
        config.key.backend = stoa_client::keys::Backend::Test;
        config.bidding.strategy = Strategy::Script;
        config.bidding.script = dir.path().join("price.sh");
        let (provider, findings) = look(&config);
        assert_eq!(provider, None);
        for name in ["data directory", "key", "root certificate", "pricing script"] {
            let finding = findings.iter().find(|finding| finding.name == name).unwrap();
            assert_eq!(finding.verdict, Verdict::Bad, "{name}");
            assert!(!finding.remedy.is_empty(), "{name}");
        }
    }
}
