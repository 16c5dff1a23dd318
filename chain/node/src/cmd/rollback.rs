//! `stoad rollback`: the last block taken back, of CometBFT's state and of ours.

use anyhow::{bail, Context, Result};
use stoa_chain::{app, ctx::Block, store::Changes};

use super::{args::RollbackArgs, genesis, inspect, tell};
use crate::{
    comet::Binary,
    config::Config,
    home::Home,
    snapshots::Shelf,
    store::{Database, Snapshot},
};

/// CometBFT goes back first and says to which height; our state follows it there. A run that
/// was interrupted between the two can be repeated: ours follows again.
pub fn run(home: &Home, args: &RollbackArgs) -> Result<()> {
    let config = Config::read(home)?;
    let database = open(home, &config)?;
    let before = database.height();
    // Asked before anything is changed.
    database
        .latest()
        .time_at(before.saturating_sub(1))
        .context("the height before the last one must be kept (store.pruning)")?;
    let named = args.comet.cometbft.clone().or_else(|| config.comet_path());
    let target = Binary::find(named.as_deref())?.rollback(home.dir(), args.hard)?;
    let chain_id = genesis::read(&home.genesis())?.chain_id;
    while database.height() > target {
        take_back(&database, &chain_id)
            .with_context(|| format!("CometBFT is back at height {target}, the state is not"))?;
    }
    if database.height() < target {
        bail!("CometBFT is at height {target}, but the state at {}", database.height());
    }
    forget_snapshots(home, target)?;
    tell(&format!("the state was at height {before} and is at {target}, as CometBFT is"));
    tell("start the program that executes the next block as the network does");
    Ok(())
}

/// The database of a node that stands.
pub fn open(home: &Home, config: &Config) -> Result<Database> {
    let path = home.database();
    if !path.exists() {
        bail!("{} does not exist: the node has not run yet", path.display());
    }
    let database = Database::open(&path, config.store_options())
        .with_context(|| format!("{}: stop the node first", path.display()))?;
    if database.height() == 0 {
        bail!("no block is committed yet");
    }
    Ok(database)
}

/// Takes one block back: the records as history has them, the indexes made from them.
fn take_back(database: &Database, chain_id: &str) -> Result<()> {
    let latest: Snapshot = database.latest();
    let height = latest.height().saturating_sub(1);
    let mut state = inspect::past(&latest, height)?;
    let block = Block { chain_id: chain_id.to_owned(), height, now: latest.time_at(height)? };
    let indexes: Changes = app::derive_indexes(&state, block).map_err(anyhow::Error::msg)?;
    state.apply(&indexes);
    drop(latest);
    Ok(database.roll_back(state.entries())?)
}

/// What was snapshot above the height may be what was wrong.
fn forget_snapshots(home: &Home, height: u64) -> Result<()> {
    let shelf = Shelf::new(home.snapshots());
    for above in shelf.heights()?.into_iter().filter(|snapshot| *snapshot > height) {
        shelf.remove(above)?;
    }
    Ok(())
}
