//! One SQLite file. Each block's payments go in with the height that they
//! bring the ledger to, or not at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{params, Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction};
use stoa_client::ids::TextId;
use stoa_client::money::Dec;
use stoa_client::proto::market::v1::{CloseReason, Lease, LeaseState};

use super::lines::{Kind, Payment};
use super::totals;
use crate::failpoint::failpoint;

/// The layout below; a file of a later one is refused.
const VERSION: &str = "2";
/// It had no totals.
const FIRST_VERSION: &str = "1";
const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS leases (
    lease TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    denom TEXT NOT NULL DEFAULT '',
    rate TEXT NOT NULL DEFAULT '',
    opened_at INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER NOT NULL DEFAULT 0,
    closed_at INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    settled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS payments (
    height INTEGER NOT NULL,
    place INTEGER NOT NULL,
    time INTEGER NOT NULL,
    lease TEXT NOT NULL,
    denom TEXT NOT NULL,
    amount TEXT NOT NULL,
    tx TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (kind, height, place, lease, denom)
) STRICT;
DROP INDEX IF EXISTS payments_of_lease;
CREATE INDEX IF NOT EXISTS payments_of_lease_by_height ON payments (lease, height);
";

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("the ledger: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("the ledger is of {0}, not of {1}; move it away, and it is made anew")]
    Other(String, String),
    #[error("the ledger holds `{0}` where an amount belongs")]
    Damaged(String),
}

impl LedgerError {
    /// Whether it may pass by itself, as a full disk does; damage does not.
    pub fn may_pass(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.sqlite_error_code().is_some_and(|code| {
            let lasts = matches!(
                code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::Unknown
            );
            !lasts
        })
    }
}

/// What came of holding it against the chain's sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was equal.
    Equal,
    /// So much was missing, and stands there now.
    Added(u128),
    /// The ledger has so much more than the chain says was paid.
    Over(u128),
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    sql: Mutex<Connection>,
}

impl Ledger {
    /// Opens the ledger of one provider on one chain; makes it where it is
    /// not there.
    pub fn open(path: &Path, chain_id: &str, provider: &str) -> Result<Self, LedgerError> {
        let mut sql = Connection::open(path)?;
        let _ = sql.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()));
        sql.execute_batch("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000;")?;
        lay_out(&mut sql)?;
        let ledger = Self { sql: Mutex::new(sql) };
        ledger.check("layout", VERSION)?;
        ledger.check("chain", chain_id)?;
        ledger.check("provider", provider)?;
        restrict(path);
        Ok(ledger)
    }

    /// For reports, beside a running daemon.
    pub fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(path, flags)?;
        sql.execute_batch("PRAGMA busy_timeout = 10000;")?;
        Ok(Self { sql: Mutex::new(sql) })
    }

    fn check(&self, key: &str, expected: &str) -> Result<(), LedgerError> {
        match self.meta(key)? {
            Some(found) if found != expected => Err(LedgerError::Other(found, expected.into())),
            Some(_) => Ok(()),
            None => {
                self.sql().execute(
                    "INSERT INTO meta (key, value) VALUES (?1, ?2)",
                    params![key, expected],
                )?;
                Ok(())
            }
        }
    }

    /// Whether something can be written now, as on a disk with room. It is
    /// another value each time: what is there already would not be written.
    pub fn try_write(&self) -> Result<(), LedgerError> {
        let tried = "INSERT INTO meta (key, value) VALUES ('tried', hex(randomblob(8)))
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.sql().execute(tried, [])?;
        Ok(())
    }

    /// All payments up to this height stand in it; none: it is new.
    pub fn height(&self) -> Result<Option<u64>, LedgerError> {
        Ok(self.meta("height")?.and_then(|text| text.parse().ok()))
    }

    /// Where a new ledger, or one with a gap, goes on.
    pub fn skip_to(&self, height: u64) -> Result<(), LedgerError> {
        let mut sql = self.sql();
        let step = sql.transaction()?;
        set_height(&step, height)?;
        Ok(step.commit()?)
    }

    /// Books a block's payments. Booking it again changes nothing.
    pub fn book(&self, height: u64, payments: &[Payment]) -> Result<(), LedgerError> {
        let mut sql = self.sql();
        let step = sql.transaction()?;
        for payment in payments {
            insert(&step, payment)?;
            step.execute(
                "INSERT OR IGNORE INTO leases (lease, tenant, denom) VALUES (?1, ?2, ?3)",
                params![payment.lease, tenant_of(&payment.lease), payment.denom],
            )?;
        }
        set_height(&step, height)?;
        failpoint("money.before_book");
        step.commit()?;
        failpoint("money.after_book");
        Ok(())
    }

    /// Notes a lease, so that it is held against the chain.
    pub fn note(&self, lease: &str) -> Result<(), LedgerError> {
        self.sql().execute(
            "INSERT OR IGNORE INTO leases (lease, tenant) VALUES (?1, ?2)",
            params![lease, tenant_of(lease)],
        )?;
        Ok(())
    }

    /// Leases that may still be paid, or that were not yet held against the
    /// chain since they closed.
    pub fn unsettled(&self) -> Result<Vec<String>, LedgerError> {
        let sql = self.sql();
        let mut query = sql.prepare("SELECT lease FROM leases WHERE settled = 0 ORDER BY lease")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Leases whose last word is booked.
    pub fn settled(&self) -> Result<BTreeSet<String>, LedgerError> {
        let sql = self.sql();
        let mut query = sql.prepare("SELECT lease FROM leases WHERE settled = 1")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes over what the chain says of a lease at a height that the ledger
    /// has reached, and holds the payments up to it against its sum.
    pub fn settle(&self, height: u64, time: u64, lease: &Lease) -> Result<Settled, LedgerError> {
        let name = lease.id.as_ref().map(TextId::text).unwrap_or_default();
        let coin = lease.withdrawn.clone().unwrap_or_default();
        let rate = lease.provider_rate.clone().unwrap_or_default();
        let denom = if coin.denom.is_empty() { rate.denom.clone() } else { coin.denom.clone() };
        let paid = amount(&coin.amount)?;
        let mut sql = self.sql();
        let step = sql.transaction()?;
        step.execute(
            "INSERT INTO leases (lease, tenant) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![name, tenant_of(&name)],
        )?;
        let closed = lease.state() == LeaseState::Closed;
        let rate = Dec::from_proto(&rate.amount).unwrap_or_default().to_string();
        step.execute(
            "UPDATE leases SET denom = ?2, rate = ?3, opened_at = ?4, started_at = ?5,
             closed_at = ?6, reason = ?7 WHERE lease = ?1",
            params![
                name,
                denom,
                rate,
                stored(lease.matched_at),
                stored(lease.started_at),
                stored(lease.closed_at),
                reason(lease)
            ],
        )?;
        let settled = equalize(&step, height, time, &name, &denom, paid)?;
        if closed && !matches!(settled, Settled::Over(_)) {
            step.execute("UPDATE leases SET settled = 1 WHERE lease = ?1", params![name])?;
        }
        step.commit()?;
        Ok(settled)
    }

    /// The chain has forgotten a lease: it stays as it is.
    pub fn forgotten(&self, lease: &str) -> Result<(), LedgerError> {
        self.sql().execute("UPDATE leases SET settled = 1 WHERE lease = ?1", params![lease])?;
        Ok(())
    }

    /// Holds all payments up to a height against the provider's sum on chain,
    /// which counts leases that the chain has forgotten too.
    pub fn settle_all(
        &self,
        height: u64,
        time: u64,
        denom: &str,
        paid: u128,
    ) -> Result<Settled, LedgerError> {
        let mut sql = self.sql();
        let step = sql.transaction()?;
        let known = totals::paid_to_all(&step, denom, height)?;
        let rest = paid.saturating_sub(known);
        let settled = match known > paid {
            true => Settled::Over(known - paid),
            false => equalize(&step, height, time, "", denom, rest)?,
        };
        step.commit()?;
        Ok(settled)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        meta(&self.sql(), key)
    }

    pub(super) fn sql(&self) -> MutexGuard<'_, Connection> {
        self.sql.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the tables that are not there, and the totals of a ledger that was
/// begun without.
fn lay_out(sql: &mut Connection) -> Result<(), LedgerError> {
    let step = sql.transaction()?;
    step.execute_batch(LAYOUT)?;
    step.execute_batch(totals::TABLE)?;
    match meta(&step, "layout")? {
        Some(found) if found == FIRST_VERSION => {
            totals::compute(&step)?;
            step.execute("UPDATE meta SET value = ?1 WHERE key = 'layout'", params![VERSION])?;
        }
        // Nothing of it is changed.
        Some(found) if found != VERSION => return Err(LedgerError::Other(found, VERSION.into())),
        _ => {}
    }
    Ok(step.commit()?)
}

fn meta(sql: &Connection, key: &str) -> Result<Option<String>, LedgerError> {
    let found =
        sql.query_row("SELECT value FROM meta WHERE key = ?1", params![key], |row| row.get(0));
    Ok(found.optional()?)
}

/// Makes a lease's lines up to a height add up to what the chain says: by one
/// rebuilt line, where lines are missing.
fn equalize(
    step: &Transaction<'_>,
    height: u64,
    time: u64,
    lease: &str,
    denom: &str,
    paid: u128,
) -> Result<Settled, LedgerError> {
    let seen = totals::paid_to(step, lease, height)?;
    let rebuilt = totals::read(step, lease, Kind::Rebuilt, denom)?;
    // The sum over all has no lines of its own besides the rebuilt one.
    let Some(missing) = paid.checked_sub(seen) else {
        return Ok(Settled::Over(seen.saturating_sub(paid)));
    };
    if missing == rebuilt {
        return Ok(Settled::Equal);
    }
    step.execute(
        "DELETE FROM payments WHERE kind = 'rebuilt' AND lease = ?1 AND denom = ?2",
        params![lease, denom],
    )?;
    totals::take(step, lease, Kind::Rebuilt, denom, rebuilt)?;
    if missing > 0 {
        let line = Payment {
            height,
            place: 0,
            time,
            lease: lease.into(),
            denom: denom.into(),
            amount: missing,
            tx: String::new(),
            kind: Kind::Rebuilt,
        };
        insert(step, &line)?;
    }
    Ok(Settled::Added(missing.saturating_sub(rebuilt)))
}

/// One that stands there already stays as it is.
fn insert(step: &Transaction<'_>, payment: &Payment) -> Result<(), LedgerError> {
    let new = step.execute(
        "INSERT OR IGNORE INTO payments (height, place, time, lease, denom, amount, tx, kind)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            stored(payment.height),
            payment.place,
            stored(payment.time),
            payment.lease,
            payment.denom,
            payment.amount.to_string(),
            payment.tx,
            payment.kind.text()
        ],
    )?;
    match new {
        0 => Ok(()),
        _ => totals::add(step, payment),
    }
}

/// The height only grows.
fn set_height(step: &Transaction<'_>, height: u64) -> Result<(), LedgerError> {
    step.execute(
        "INSERT INTO meta (key, value) VALUES ('height', ?1) ON CONFLICT (key) DO UPDATE
         SET value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)",
        params![height.to_string()],
    )?;
    Ok(())
}

/// SQLite's integers end at 64 bits; sums of money are made here.
pub(super) fn sum(
    rows: impl Iterator<Item = Result<String, rusqlite::Error>>,
) -> Result<u128, LedgerError> {
    let mut sum = 0_u128;
    for row in rows {
        sum = sum.saturating_add(amount(&row?)?);
    }
    Ok(sum)
}

/// Protobuf writes nothing where a coin is not there.
pub(super) fn amount(text: &str) -> Result<u128, LedgerError> {
    match text {
        "" => Ok(0),
        text => text.parse().map_err(|_| LedgerError::Damaged(text.into())),
    }
}

pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn tenant_of(lease: &str) -> &str {
    lease.split('/').next().unwrap_or_default()
}

fn reason(lease: &Lease) -> String {
    match lease.reason() {
        CloseReason::Unspecified => String::new(),
        reason => reason.as_str_name().trim_start_matches("CLOSE_REASON_").to_lowercase(),
    }
}

/// Who earns what is nobody else's business.
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::set_permissions(name, std::fs::Permissions::from_mode(0o600));
    }
}
