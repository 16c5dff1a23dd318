//! A whole block as a node does it: FinalizeBlock with the Merkle tree, and Commit's synced write.

use std::time::Duration;

use anyhow::{anyhow, Result};
use stoa_chain::ctx::Block;
use stoa_chain::store::{is_index, Changes};
use stoad::app::{AppOptions, Machine};
use stoad::store::{Database, Options};
use tempfile::TempDir;

use crate::accounts::CHAIN_ID;
use crate::book::{Book, FULL_BOOK};
use crate::report::{Better, Report};
use crate::timing::{median_of, millis, time};

/// Blocks of which the median counts.
const BLOCKS: usize = 501;

/// A block without transactions and without market work: among 100,000 bids, in an empty book
/// among as many other records, and in a state that is small altogether. The state machine looks
/// at as many keys in each (stoa-chain's tests count them), but its one changed leaf lies deeper
/// in the tree the more leaves there are.
pub fn idle_block(report: &mut Report) -> Result<()> {
    let mut full = Book::new()?;
    full.fill(1, FULL_BOOK)?;
    let empty = Book::without_orders(&full, |key| !is_index(key))?;
    let mut nodes = [Node::with(&empty)?, Node::with(&full)?, Node::with(&Book::new()?)?];
    // In turns, so that all meet the same disk.
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..BLOCKS {
        for (node, times) in nodes.iter_mut().zip(&mut times) {
            times.push(node.idle_block()?);
        }
    }
    let [empty, full, small] = times.map(|times| millis(median_of(times)));
    report.add("node.idle_block.empty_book", empty, "ms", Some(10.0), Better::Lower);
    report.add("node.idle_block.100k_bids", full, "ms", Some(10.0), Better::Lower);
    report.add("node.idle_block.small_state", small, "ms", None, Better::Lower);
    report.add("node.idle_block.ratio", full / empty, "full/empty", Some(1.1), Better::Lower);
    Ok(())
}

/// A state machine on its database.
struct Node {
    machine: Machine,
    last: Block,
    _dir: TempDir,
}

impl Node {
    /// With all that a book in memory holds.
    fn with(book: &Book) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let database = Database::open(dir.path(), Options::default()).map_err(|e| anyhow!(e))?;
        let entries = book.store.entries().iter();
        let changes: Changes =
            entries.map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        let height = book.height.max(1);
        let staged = database.stage(height, book.now, &changes).map_err(|e| anyhow!(e))?;
        database.commit(staged).map_err(|e| anyhow!(e))?;
        let machine = Machine::new(database, CHAIN_ID, book.now, AppOptions::default());
        let last = Block { chain_id: CHAIN_ID.to_owned(), height, now: book.now };
        Ok(Self { machine, last, _dir: dir })
    }

    /// How long the next block takes, a second after the last.
    fn idle_block(&mut self) -> Result<Duration> {
        self.last.height += 1;
        self.last.now += 1;
        let block = self.last.clone();
        let (taken, result) = time(|| {
            self.machine.finalize(block.into(), &[])?;
            self.machine.commit()
        });
        result?;
        Ok(taken)
    }
}
