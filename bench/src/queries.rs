//! Queries over gRPC while blocks are executed.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{anyhow, Result};
use stoa_chain::{ctx::Block, store::Changes};
use stoa_client::{query::QueryClient, tx::any};
use stoa_proto::cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin};
use stoad::{
    app::{AppOptions, Machine},
    comet::Rpc,
    grpc::{bind, Server},
    query::Queries,
    services::{Facts, Services},
    store::{Database, Options},
};

use crate::accounts::{address, sign, CHAIN_ID};
use crate::book::{Book, PROVIDERS};
use crate::report::{Better, Report};
use crate::timing::per_second;

/// Callers at a time.
const CALLERS: usize = 32;
/// How long is measured.
const LASTS: Duration = Duration::from_secs(4);
/// Transactions of each block that is executed meanwhile.
const TXS: u32 = 500;

/// Balances a second that 32 callers get: of a node at rest, and of one that executes one block
/// after the other.
pub fn grpc(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (machine, mut last) = machine(dir.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let address = runtime.block_on(serve(Arc::clone(&machine)))?;
    let at_rest = runtime.block_on(ask(&address))?;
    let goes_on = Arc::new(AtomicBool::new(true));
    let blocks = {
        let goes_on = Arc::clone(&goes_on);
        thread::spawn(move || -> Result<u64> {
            let mut blocks = 0;
            while goes_on.load(Ordering::Relaxed) {
                block(&machine, &mut last, blocks)?;
                blocks += 1;
            }
            Ok(blocks)
        })
    };
    let busy = runtime.block_on(ask(&address))?;
    goes_on.store(false, Ordering::Relaxed);
    let blocks = blocks.join().map_err(|_| anyhow!("executing blocks panicked"))??;
    report.add("node.grpc.at_rest", at_rest, "queries/s", Some(2_000.0), Better::Higher);
    report.add("node.grpc.in_blocks", busy, "queries/s", Some(1_000.0), Better::Higher);
    let executed = blocks as f64 * f64::from(TXS) / LASTS.as_secs_f64();
    report.add("node.grpc.blocks_meanwhile", executed, "tx/s", None, Better::Higher);
    Ok(())
}

fn machine(dir: &std::path::Path) -> Result<(Arc<Machine>, Block)> {
    let book = Book::new()?;
    let database = Database::open(dir, Options::default())?;
    let entries = book.store.entries().iter();
    let changes: Changes = entries.map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    let staged = database.stage(1, book.now, &changes)?;
    database.commit(staged)?;
    let machine = Machine::new(database, CHAIN_ID, book.now, AppOptions::default());
    let last = Block { chain_id: CHAIN_ID.to_owned(), height: 1, now: book.now };
    Ok((Arc::new(machine), last))
}

async fn serve(machine: Arc<Machine>) -> Result<String> {
    let queries = Arc::new(Queries::new(machine));
    // No engine is asked for balances.
    let services = Services::new(queries, Rpc::new("tcp://127.0.0.1:1")?, Facts::default());
    let server = Server::new(Arc::new(services), 64);
    let listener = bind("127.0.0.1:0".parse()?).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(server.serve(listener));
    Ok(url)
}

/// Balances a second.
async fn ask(url: &str) -> Result<f64> {
    let answered = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + LASTS;
    let callers = (0..CALLERS).map(|caller| {
        let (url, answered) = (url.to_owned(), Arc::clone(&answered));
        tokio::spawn(async move {
            let client = QueryClient::new(&[url])?;
            let whose = address(u32::try_from(caller)? % PROVIDERS)?.to_string();
            while Instant::now() < end {
                client.balances(&whose).await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        })
    });
    for caller in futures::future::join_all(callers).await {
        caller??;
    }
    Ok(per_second(usize::try_from(answered.load(Ordering::Relaxed))?, LASTS))
}

/// A block of sends, one from each of some accounts.
fn block(machine: &Machine, last: &mut Block, number: u64) -> Result<()> {
    let mut txs = Vec::new();
    for from in 0..PROVIDERS {
        for nth in 0..TXS / PROVIDERS {
            let amount = vec![Coin { denom: "ustoa".to_owned(), amount: "1".to_owned() }];
            let from_address = address(from)?.to_string();
            let to_address = address((from + 1) % PROVIDERS)?.to_string();
            let message = any(&MsgSend { from_address, to_address, amount });
            let sequence = number * u64::from(TXS / PROVIDERS) + u64::from(nth);
            txs.push(sign(from, sequence, vec![message])?.into());
        }
    }
    last.height += 1;
    last.now += 1;
    machine.finalize(last.clone().into(), &txs)?;
    machine.commit()?;
    Ok(())
}
