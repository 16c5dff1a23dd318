//! The database, and whether it and CometBFT are of one height.

use stoa_chain::{ctx::Ctx, modules::upgrade, store::INDEX_SPACE};

use super::{Finding, Patient};
use crate::{
    cmd::{genesis, inspect},
    store::{Snapshot, StoreError},
};

/// Records whose flat value is compared with the tree's.
const SAMPLE: usize = 2_000;

/// All checks of the state.
pub fn check(patient: &Patient<'_>) -> Vec<Finding> {
    if !patient.home.database().exists() {
        return vec![Finding::ok("database", "there is none yet")];
    }
    let remedy = "see \"Recovery\" in the validator's guide";
    let view = match inspect::open(patient.home) {
        Ok(view) => view,
        Err(error) => return vec![Finding::fail("database", format!("{error:#}"), remedy)],
    };
    let mut found = vec![database(&view, remedy), version(patient, &view)];
    found.extend(heights(patient, &view));
    found
}

/// The root was compared at the opening; a sample of the values is here.
fn database(view: &Snapshot, remedy: &str) -> Finding {
    match compare(view) {
        Ok(None) => {
            let what = format!("height {}, history from {}", view.height(), view.oldest());
            Finding::ok("database", what)
        }
        Ok(Some(key)) => {
            let what = format!("the value of {} is not what the tree says", hex::encode(key));
            Finding::fail("database", what, remedy)
        }
        Err(error) => Finding::fail("database", error.to_string(), remedy),
    }
}

fn compare(view: &Snapshot) -> Result<Option<Vec<u8>>, StoreError> {
    for entry in view.try_range(&[], &[INDEX_SPACE]).take(SAMPLE) {
        let (key, value) = entry?;
        if view.value_at(view.height(), &key)?.as_ref() != Some(&value) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Whether this program may execute the next block.
fn version(patient: &Patient<'_>, view: &Snapshot) -> Finding {
    let chain_id = genesis::read(&patient.home.genesis()).map(|document| document.chain_id);
    let block = stoa_chain::ctx::Block {
        chain_id: chain_id.unwrap_or_default(),
        height: view.height(),
        now: view.time(),
    };
    let ctx = Ctx::new(view, block);
    match upgrade::due(&ctx, view.height().saturating_add(1)) {
        Some(due) if due.stops() => {
            Finding::fail("program", due.to_string(), "start the program that the state needs")
        }
        Some(due) => Finding::ok("program", due.to_string()),
        None => Finding::ok("program", format!("state version {}", upgrade::STATE_VERSION)),
    }
}

fn heights(patient: &Patient<'_>, view: &Snapshot) -> Option<Finding> {
    let engine = patient.running.as_ref()?.sync_info.latest_block_height.value();
    let state = view.height();
    let what = format!("CometBFT {engine}, state {state}");
    if engine.abs_diff(state) > 2 {
        let remedy = "look again in a moment; if it stays so, see \"Recovery\" in the guide";
        return Some(Finding::warn("heights", what, remedy));
    }
    Some(Finding::ok("heights", what))
}
