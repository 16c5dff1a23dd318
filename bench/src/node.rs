//! A whole block as a node does it: FinalizeBlock with the Merkle tree, and Commit's synced write.

use std::time::Duration;

use anyhow::{anyhow, Result};
use stoa_chain::ctx::Block;
use stoa_chain::store::Changes;
use stoad::app::{AppOptions, Machine};
use stoad::store::{Database, Options};
use tempfile::TempDir;

use crate::accounts::CHAIN_ID;
use crate::book::{Book, FULL_BOOK};
use crate::report::{Better, Report};
use crate::timing::{median, millis, time};

/// Blocks of which the median counts.
const BLOCKS: usize = 201;

/// A block without transactions and without market work, in an empty book and in one of 100,000
/// bids. The state machine looks at as many keys in both (stoa-chain's tests count them); what is
/// left between them is the tree, whose one changed leaf lies deeper the more leaves there are.
pub fn idle_block(report: &mut Report) -> Result<()> {
    let mut full = Book::new()?;
    full.fill(1, FULL_BOOK)?;
    let (mut empty, mut full) = (Node::with(&Book::new()?)?, Node::with(&full)?);
    // In turns, so that both meet the same disk.
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        times.0.push(empty.idle_block()?);
        times.1.push(full.idle_block()?);
    }
    let mut add = |name: &str, times: Vec<Duration>| {
        let mut times = times.into_iter();
        let taken = median(BLOCKS, || times.next().unwrap_or_default());
        report.add(name, millis(taken), "ms", Some(10.0), Better::Lower);
    };
    add("node.idle_block_empty_book", times.0);
    add("node.idle_block_100k", times.1);
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
