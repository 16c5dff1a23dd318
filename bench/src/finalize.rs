//! FinalizeBlock as a node runs it: decoding, signatures, fees, execution.

use anyhow::{ensure, Result};
use stoa_chain::app;
use stoa_chain::modules::auth::{SignatureCheck, Signatures, VerifyEach};
use stoa_client::tx::any;
use stoa_proto::cosmos::bank::v1beta1::MsgSend;
use stoa_proto::cosmos::base::v1beta1::Coin;

use crate::accounts::{address, sign};
use crate::book::{bid, post, Book, PROVIDERS};
use crate::report::{Better, Report};
use crate::timing::{median, per_second, time};

/// Transactions of a block.
const TXS: u64 = 5_000;
const RUNS: usize = 3;

/// Stands for a node that has verified every signature when it entered the
/// pool.
struct Remembered;

impl Signatures for Remembered {
    fn verify(&self, _: &SignatureCheck) -> bool {
        true
    }
}

/// A block of 5,000 sends, one core.
pub fn sends(report: &mut Report) -> Result<()> {
    let book = Book::new()?;
    let mut txs = Vec::new();
    for index in 0..TXS {
        let from = u32::try_from(index % u64::from(PROVIDERS))?;
        let to = u32::try_from((index + 1) % u64::from(PROVIDERS))?;
        let amount = vec![Coin { denom: "ustoa".to_owned(), amount: "1".to_owned() }];
        let message = any(&MsgSend {
            from_address: address(from)?.to_string(),
            to_address: address(to)?.to_string(),
            amount,
        });
        txs.push(sign(from, index / u64::from(PROVIDERS), vec![message])?);
    }
    measure(report, "finalize.sends", &book, &txs)
}

/// A block of 5,000 bids, one core.
pub fn bids(report: &mut Report) -> Result<()> {
    let mut book = Book::new()?;
    let orders = TXS / u64::from(PROVIDERS);
    let posts: Vec<_> = (1..=orders).map(|dseq| post(dseq, 604_800)).collect::<Result<_>>()?;
    book.execute(&posts)?;
    let mut txs = Vec::new();
    for dseq in 1..=orders {
        for provider in 0..PROVIDERS {
            txs.push(sign(provider, dseq - 1, vec![bid(dseq, provider)?])?);
        }
    }
    measure(report, "finalize.bids", &book, &txs)
}

fn measure(report: &mut Report, name: &str, book: &Book, txs: &[Vec<u8>]) -> Result<()> {
    let block = book.next_block();
    let result = app::finalize_block(&book.store, block.clone().into(), txs, &VerifyEach);
    let refused = result.txs.iter().find(|tx| !tx.is_ok());
    ensure!(refused.is_none(), "a transaction of the bench was refused: {refused:?}");
    let run = |signatures: &dyn Signatures| {
        median(RUNS, || {
            time(|| app::finalize_block(&book.store, block.clone().into(), txs, signatures)).0
        })
    };
    let verified = per_second(txs.len(), run(&VerifyEach));
    let remembered = per_second(txs.len(), run(&Remembered));
    let unit = "tx/s and core";
    report.add(&format!("{name}.verified"), verified, unit, Some(5_000.0), Better::Higher);
    report.add(&format!("{name}.cached"), remembered, unit, Some(10_000.0), Better::Higher);
    Ok(())
}
