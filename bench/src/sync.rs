//! State sync and restart with a large state.

use std::sync::Arc;

use anyhow::{anyhow, Result};
use stoa_chain::app;
use stoa_chain::ctx::Block;
use stoa_chain::genesis::Genesis;
use stoa_chain::modules::auth::{Account, GenesisAccount};
use stoa_chain::types::{Address, Amount, Coins, Denom};
use stoad::snapshots::{make, Offer, Restoring, Shelf, FORMAT};
use stoad::store::{Database, Options};

use crate::accounts::{CHAIN_ID, NOW};
use crate::report::{Better, Report};
use crate::timing::{millis, time};

/// Records of the state.
const RECORDS: u64 = 1_000_000;

/// What each account holds.
const FUNDS: u128 = 1_000_000_000_000;

/// A snapshot of a state of a million accounts is made, taken in by an empty
/// node, and that node's database is opened again.
pub fn million_records(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let open = |name: &str| {
        Database::open(&dir.path().join(name), Options::default()).map_err(|e| anyhow!(e))
    };
    let giver = open("giver")?;
    let block = Block { chain_id: CHAIN_ID.to_owned(), height: 0, now: NOW };
    let mut genesis = genesis()?;
    genesis.last_block_time = Some(NOW);
    let beginning = app::init_chain(&genesis, block).map_err(|e| anyhow!(e))?;
    drop(genesis);
    giver.commit(giver.stage(1, NOW, &beginning.changes)?)?;
    drop(beginning);

    let shelf = Shelf::new(dir.path().join("snapshots"));
    let (made, manifest) = time(|| make(&giver.latest(), &shelf.path(1)));
    let manifest = manifest?;
    report.add("sync.1m_records.snapshot", made.as_secs_f64(), "s", None, Better::Lower);

    let joiner = Arc::new(open("joiner")?);
    let (hash, metadata, app_hash) = (manifest.hash(), manifest.encode(), giver.app_hash());
    let offer = Offer {
        format: FORMAT,
        height: 1,
        chunks: manifest.count(),
        hash: &hash,
        metadata: &metadata,
        app_hash: &app_hash,
    };
    let (taken, result) = time(|| -> Result<()> {
        let mut restoring = Restoring::begin(&joiner, &offer)?;
        for index in 0..manifest.count() {
            restoring.apply(index, &shelf.chunk(1, index)?)?;
        }
        Ok(restoring.finish(CHAIN_ID)?)
    });
    result?;
    anyhow::ensure!(joiner.app_hash() == app_hash, "the restored state is another");
    report.add("sync.1m_records.restore", taken.as_secs_f64(), "s", Some(120.0), Better::Lower);

    drop(joiner);
    let (taken, opened) = time(|| open("joiner"));
    anyhow::ensure!(opened?.height() == 1, "the restored state is gone");
    report.add("sync.1m_records.restart", millis(taken), "ms", Some(2_000.0), Better::Lower);
    Ok(())
}

fn genesis() -> Result<Genesis> {
    let denom = Denom::try_from("ustoa")?;
    let mut balances = Coins::new();
    balances.set(denom.clone(), Amount::from_raw(FUNDS));
    let mut genesis = Genesis::default();
    for number in 0..RECORDS {
        let mut address = [0x11; 20];
        address[12..].copy_from_slice(&number.to_be_bytes());
        let account = Account::new(number, balances.clone());
        let address = Address::new(address);
        genesis.auth.accounts.push(GenesisAccount { address, account });
    }
    genesis.auth.next_number = RECORDS;
    genesis.bank.supply.set(denom, Amount::from_raw(FUNDS * u128::from(RECORDS)));
    Ok(genesis)
}
