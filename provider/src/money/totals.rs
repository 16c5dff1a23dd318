//! What the ledger's lines add up to, kept beside them and changed in the same
//! transactions: nobody has to read every payment ever made to know the sum.

use std::collections::BTreeMap;

use rusqlite::{params, OptionalExtension, Transaction};

use super::ledger::{amount, stored, sum, LedgerError};
use super::lines::{Kind, Payment};

/// All leases together. A lease's id has slashes and is never this.
const ALL: &str = "*";

/// By lease, kind of line and denom; amounts are whole units as text, for
/// SQLite's integers end at 64 bits.
pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS totals (
    lease TEXT NOT NULL,
    kind TEXT NOT NULL,
    denom TEXT NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (lease, kind, denom)
) STRICT;
";

/// A new line.
pub(super) fn add(step: &Transaction<'_>, line: &Payment) -> Result<(), LedgerError> {
    for of in [line.lease.as_str(), ALL] {
        let sum = read(step, of, line.kind, &line.denom)?.saturating_add(line.amount);
        write(step, of, line.kind.text(), &line.denom, sum)?;
    }
    Ok(())
}

/// So much of a lease's lines is taken away.
pub(super) fn take(
    step: &Transaction<'_>,
    lease: &str,
    kind: Kind,
    denom: &str,
    amount: u128,
) -> Result<(), LedgerError> {
    for of in [lease, ALL] {
        let sum = read(step, of, kind, denom)?.saturating_sub(amount);
        write(step, of, kind.text(), denom, sum)?;
    }
    Ok(())
}

/// What stands there of a kind of a lease's lines.
pub(super) fn read(
    step: &Transaction<'_>,
    lease: &str,
    kind: Kind,
    denom: &str,
) -> Result<u128, LedgerError> {
    let which = "SELECT amount FROM totals WHERE lease = ?1 AND kind = ?2 AND denom = ?3";
    let found = step.query_row(which, params![lease, kind.text(), denom], |row| row.get(0));
    found.optional()?.map_or(Ok(0), |text: String| amount(&text))
}

/// What events have paid to a lease up to a height: all of it, less the few
/// lines that came later.
pub(super) fn paid_to(
    step: &Transaction<'_>,
    lease: &str,
    height: u64,
) -> Result<u128, LedgerError> {
    let mut query = step.prepare("SELECT amount FROM totals WHERE lease = ?1 AND kind = 'paid'")?;
    let all = sum(query.query_map(params![lease], |row| row.get(0))?)?;
    let mut query = step.prepare(
        "SELECT amount FROM payments WHERE lease = ?1 AND height > ?2 AND kind = 'paid'",
    )?;
    let later = sum(query.query_map(params![lease, stored(height)], |row| row.get(0))?)?;
    Ok(all.saturating_sub(later))
}

/// What leases that have a name got up to a height.
pub(super) fn paid_to_all(
    step: &Transaction<'_>,
    denom: &str,
    height: u64,
) -> Result<u128, LedgerError> {
    let mut all: u128 = 0;
    for kind in [Kind::Paid, Kind::Rebuilt] {
        let nameless = read(step, "", kind, denom)?;
        let named = read(step, ALL, kind, denom)?.saturating_sub(nameless);
        all = all.saturating_add(named);
    }
    // By both kinds, so that the primary key leads there.
    let mut query = step.prepare(
        "SELECT amount FROM payments
         WHERE kind IN ('paid', 'rebuilt') AND height > ?2 AND lease != '' AND denom = ?1",
    )?;
    let later = sum(query.query_map(params![denom, stored(height)], |row| row.get(0))?)?;
    Ok(all.saturating_sub(later))
}

/// By denom, of all leases.
pub(super) fn of_all(sql: &rusqlite::Connection) -> Result<BTreeMap<String, u128>, LedgerError> {
    let mut query = sql.prepare("SELECT denom, amount FROM totals WHERE lease = ?1")?;
    let rows = query.query_map(params![ALL], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut totals: BTreeMap<String, u128> = BTreeMap::new();
    for row in rows {
        let (denom, text): (String, String) = row?;
        let total = totals.entry(denom).or_default();
        *total = total.saturating_add(amount(&text)?);
    }
    // What was taken away again is no denom that was earned.
    totals.retain(|_, total| *total > 0);
    Ok(totals)
}

/// Adds up all lines: for a ledger that has no totals yet.
pub(super) fn compute(step: &Transaction<'_>) -> Result<(), LedgerError> {
    step.execute("DELETE FROM totals", [])?;
    let mut query = step.prepare("SELECT lease, kind, denom, amount FROM payments")?;
    let rows = query.query_map([], |row| {
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get::<_, String>(3)?))
    })?;
    let mut totals: BTreeMap<(String, String, String), u128> = BTreeMap::new();
    for row in rows {
        let ((lease, kind, denom), text): ((String, String, String), String) = row?;
        let amount = amount(&text)?;
        for of in [lease, ALL.into()] {
            let total = totals.entry((of, kind.clone(), denom.clone())).or_default();
            *total = total.saturating_add(amount);
        }
    }
    for ((of, kind, denom), total) in totals {
        write(step, &of, &kind, &denom, total)?;
    }
    Ok(())
}

fn write(
    step: &Transaction<'_>,
    of: &str,
    kind: &str,
    denom: &str,
    total: u128,
) -> Result<(), LedgerError> {
    step.execute(
        "INSERT INTO totals (lease, kind, denom, amount) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (lease, kind, denom) DO UPDATE SET amount = excluded.amount",
        params![of, kind, denom, total.to_string()],
    )?;
    Ok(())
}
