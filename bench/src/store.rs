//! The node's store: Merkle tree, one synced write.

use anyhow::{anyhow, Result};
use stoa_chain::store::Changes;
use stoad::store::{Database, Options};

use crate::accounts::NOW;
use crate::report::{Better, Report};
use crate::timing::{median, millis, per_second, time};

/// Records that a block changes.
const RECORDS: u64 = 5_000;

/// Commit of a block that changes 5,000 records in a state of 100,000, and of
/// an empty one.
pub fn commit(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let database = Database::open(dir.path(), Options::default()).map_err(|e| anyhow!(e))?;
    let mut height = 0;
    let mut next = |from: u64, records: u64| -> Result<std::time::Duration> {
        height += 1;
        let changes = changes(from, records, height);
        let (taken, result) = time(|| {
            let staged = database.stage(height, NOW + height, &changes)?;
            database.commit(staged)
        });
        result.map_err(|e| anyhow!(e))?;
        Ok(taken)
    };
    for batch in 0..20 {
        next(batch * RECORDS, RECORDS)?;
    }
    let mut times = Vec::new();
    for batch in 0..5 {
        times.push(next(batch * 4 * RECORDS, RECORDS)?);
    }
    let mut times = times.into_iter();
    let taken = median(5, || times.next().unwrap_or_default());
    let rate = per_second(usize::try_from(RECORDS)?, taken);
    report.add("store.commit.updates", rate, "records/s", Some(20_000.0), Better::Higher);
    let mut empty = Vec::new();
    for _ in 0..21 {
        empty.push(next(0, 0)?);
    }
    let mut empty = empty.into_iter();
    let taken = median(21, || empty.next().unwrap_or_default());
    report.add("store.commit.empty", millis(taken), "ms", Some(10.0), Better::Lower);
    Ok(())
}

/// Records of 120 bytes under keys of 37, as bids are.
fn changes(from: u64, records: u64, height: u64) -> Changes {
    (from..from + records)
        .map(|number| {
            let mut key = vec![0x32; 29];
            key.extend(number.to_be_bytes());
            let mut value = vec![0x55; 112];
            value.extend(height.to_be_bytes());
            (key, Some(value))
        })
        .collect()
}
