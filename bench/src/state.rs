//! The state machine alone, in memory, without signatures.

use anyhow::{ensure, Result};
use stoa_chain::app;
use stoa_chain::ctx::Ctx;
use stoa_chain::modules;
use stoa_chain::modules::auth::VerifyEach;
use stoa_proto::Any;

use crate::book::{bids, execute, post, Book, FULL_BOOK};
use crate::report::{Better, Report};
use crate::timing::{median, median_of, millis, per_second, time};

/// Runs of which the median counts.
const RUNS: usize = 5;
/// Blocks without work of which the median counts.
const IDLE_BLOCKS: usize = 2_001;
/// Messages of a run.
const MESSAGES: u64 = 2_000;

/// Bids a second in a book of 100,000.
pub fn create_bid(report: &mut Report) -> Result<()> {
    let mut book = Book::new()?;
    book.fill(1, FULL_BOOK)?;
    let posts: Vec<_> =
        (1..=MESSAGES / 10).map(|index| post(FULL_BOOK + index, 604_800)).collect::<Result<_>>()?;
    book.execute(&posts)?;
    let messages = bids(FULL_BOOK + 1, MESSAGES / 10)?;
    let rate = rate_of(&book, &messages)?;
    report.add("state.create_bid", rate, "bids/s", Some(20_000.0), Better::Higher);
    Ok(())
}

/// Deployments of one group a second.
pub fn create_deployment(report: &mut Report) -> Result<()> {
    let book = Book::new()?;
    let messages: Vec<_> = (1..=MESSAGES).map(|dseq| post(dseq, 604_800)).collect::<Result<_>>()?;
    let rate = rate_of(&book, &messages)?;
    report.add("state.create_deployment", rate, "deployments/s", Some(10_000.0), Better::Higher);
    Ok(())
}

/// Messages a second on a book that each run finds as it was.
fn rate_of(book: &Book, messages: &[Any]) -> Result<f64> {
    let run = || {
        let mut ctx = Ctx::new(&book.store, book.next_block());
        time(|| execute(&mut ctx, messages))
    };
    run().1?;
    Ok(per_second(messages.len(), median(RUNS, || run().0)))
}

/// A block that closes 1,000 orders of ten bids each in a book of 100,000.
pub fn close_orders(report: &mut Report) -> Result<()> {
    let mut book = Book::new()?;
    book.fill(1, FULL_BOOK)?;
    let first = FULL_BOOK + 1;
    let posts: Vec<_> = (first..first + 1_000).map(|dseq| post(dseq, 60)).collect::<Result<_>>()?;
    book.execute(&posts)?;
    book.execute(&bids(first, 1_000)?)?;
    let mut block = book.next_block();
    block.now += 59;
    let taken = median(RUNS, || {
        let mut ctx = Ctx::new(&book.store, block.clone());
        time(|| modules::end_block(&mut ctx)).0
    });
    let result = app::finalize_block::<Vec<u8>>(&book.store, block.into(), &[], &VerifyEach);
    let matched = result.events.iter().filter(|event| event.kind.ends_with("EventLeaseCreated"));
    ensure!(matched.count() == 1_000, "not all of the 1,000 orders were matched");
    report.add("state.close_1000_orders", millis(taken), "ms", Some(500.0), Better::Lower);
    Ok(())
}

/// A block without market work: among 100,000 bids, in an empty book among as many other
/// records, and in a state that is small altogether. In turns, so that all meet the same machine.
/// What is left between the first two are cache misses of the map in memory: the same look-ups
/// end at other places of it.
pub fn idle_block(report: &mut Report) -> Result<()> {
    let mut full = Book::new()?;
    full.fill(1, FULL_BOOK)?;
    let books = [Book::without_orders(&full, |_| true)?, full, Book::new()?];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..IDLE_BLOCKS {
        for (book, times) in books.iter().zip(&mut times) {
            let block = book.next_block();
            let run =
                || app::finalize_block::<Vec<u8>>(&book.store, block.into(), &[], &VerifyEach);
            times.push(time(run).0);
        }
    }
    let [empty, full, small] = times.map(|times| median_of(times).as_secs_f64() * 1e6);
    report.add("state.idle_block.empty_book", empty, "us", None, Better::Lower);
    report.add("state.idle_block.100k_bids", full, "us", Some(100.0), Better::Lower);
    report.add("state.idle_block.small_state", small, "us", None, Better::Lower);
    Ok(())
}
