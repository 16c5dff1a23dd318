//! Looking at the state of a node, running or not, without touching it.

use std::path::Path;

use anyhow::{bail, Context, Result};
use stoa_chain::{
    app,
    ctx::Block,
    store::{Changes, MemoryStore, Store},
};
use time::OffsetDateTime;

use super::{args::ExportArgs, genesis, print, tell};
use crate::{
    config::Config,
    home::Home,
    store::{Database, Options, Snapshot, StoreError},
};

/// How often opening beside a running node is tried.
const OPEN_TRIES: u32 = 5;

/// A view of the database as it is now; a running node may go on.
pub fn open(home: &Home) -> Result<Snapshot> {
    let path = home.database();
    if !path.exists() {
        bail!("{} does not exist: the node has not run yet", path.display());
    }
    let options = Config::read(home)?.store_options();
    let snapshot = open_beside_writer(&path, &options)?.latest();
    if snapshot.height() == 0 {
        bail!("no block is committed yet");
    }
    Ok(snapshot)
}

/// A running node may remove a file between the list of files and their opening: then the next
/// try finds the new list.
fn open_beside_writer(path: &Path, options: &Options) -> Result<Database> {
    let mut tries = 1;
    loop {
        match Database::open_read_only(path, options.clone()) {
            Err(StoreError::Engine(_)) if tries < OPEN_TRIES => tries += 1,
            other => return other.with_context(|| path.display().to_string()),
        }
    }
}

/// Prints the state at a height as the document of a chain that goes on from there.
pub fn export(home: &Home, args: &ExportArgs) -> Result<()> {
    let snapshot = open(home)?;
    let mut document = genesis::read(&home.genesis())?;
    let height = args.height.unwrap_or_else(|| snapshot.height());
    let now = snapshot.time_at(height)?;
    let block = Block { chain_id: document.chain_id.clone(), height, now };
    document.adopt_state(if height == snapshot.height() {
        app::export(&snapshot, block)
    } else {
        app::export(&past(&snapshot, height)?, block)
    });
    document.initial_height = i64::try_from(height.saturating_add(1))?;
    document.genesis_time = OffsetDateTime::from_unix_timestamp(i64::try_from(now)?)?;
    document.list_validators()?;
    print(document.to_json()?.trim_end())
}

/// The state of a past height in memory; derived indexes are not part of history.
pub(crate) fn past(snapshot: &Snapshot, height: u64) -> Result<MemoryStore> {
    let mut changes = Changes::new();
    for entry in snapshot.state_at(height)? {
        let (key, value) = entry?;
        changes.insert(key, Some(value));
    }
    let mut memory = MemoryStore::default();
    memory.apply(&changes);
    Ok(memory)
}

/// Checks every invariant of the last committed state.
pub fn invariants(home: &Home) -> Result<bool> {
    let snapshot = open(home)?;
    let chain_id = genesis::read(&home.genesis())?.chain_id;
    let (height, now) = (snapshot.height(), snapshot.time());
    let store: &dyn Store = &snapshot;
    let broken = app::check_invariants(store, Block { chain_id, height, now });
    for what in &broken {
        print(what)?;
    }
    match broken.len() {
        0 => tell(&format!("height {height}: all invariants hold")),
        count => tell(&format!("height {height}: {count} invariants are broken")),
    }
    Ok(broken.is_empty())
}
