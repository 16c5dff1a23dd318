//! `stoad prune`.

use anyhow::Result;

use super::{args::PruneArgs, rollback, tell};
use crate::{config::Config, home::Home};

/// Forgets history of a node that stands.
pub fn run(home: &Home, args: &PruneArgs) -> Result<()> {
    let mut config = Config::read(home)?;
    if let Some(pruning) = args.pruning {
        config.store.pruning = pruning;
    }
    let keep = args.keep.unwrap_or_else(|| config.retain_heights());
    let database = rollback::open(home, &config)?;
    if keep == 0 {
        tell("all heights are kept: nothing is pruned");
        return Ok(());
    }
    let before = database.disk_bytes();
    let removed = database.prune(keep)?;
    let (latest, after) = (database.latest(), database.disk_bytes());
    tell(&format!(
        "heights {} to {} are kept; {removed} records removed; {} MiB on disk, before {}",
        latest.oldest(),
        latest.height(),
        after >> 20,
        before >> 20
    ));
    Ok(())
}
