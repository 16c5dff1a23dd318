//! What the ledger says, for people and programs.

use std::collections::BTreeMap;

use rusqlite::params;
use serde::Serialize;

use super::ledger::{amount, stored, Ledger, LedgerError};
use super::lines::{Kind, LeaseLine, Payment};
use super::totals;

/// What is wanted of the ledger.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The lease's id as text.
    pub lease: Option<String>,
    /// The tenant's address.
    pub tenant: Option<String>,
    /// Unix seconds: payments from then on.
    pub since: u64,
}

/// Payments, and their leases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Earnings {
    /// All payments up to this height stand in it.
    pub height: u64,
    /// By denom, whole units as text.
    pub total: BTreeMap<String, String>,
    pub leases: Vec<LeaseLine>,
    /// Oldest first.
    pub payments: Vec<Payment>,
}

impl Ledger {
    /// What was earned.
    pub fn earnings(&self, filter: &Filter) -> Result<Earnings, LedgerError> {
        let payments = self.payments(filter)?;
        let mut totals: BTreeMap<String, u128> = BTreeMap::new();
        let mut by_lease: BTreeMap<String, (u128, u64)> = BTreeMap::new();
        for payment in &payments {
            let total = totals.entry(payment.denom.clone()).or_default();
            *total = total.saturating_add(payment.amount);
            let (earned, count) = by_lease.entry(payment.lease.clone()).or_default();
            *earned = earned.saturating_add(payment.amount);
            *count += 1;
        }
        let mut leases = self.leases(filter)?;
        leases.retain_mut(|line| {
            let (earned, count) = by_lease.get(&line.lease).copied().unwrap_or_default();
            (line.earned, line.payments) = (earned, count);
            // Leases that were over before the time asked for, and got nothing since.
            count > 0 || line.closed_at == 0 || line.closed_at >= filter.since
        });
        let total = totals.into_iter().map(|(denom, sum)| (denom, sum.to_string())).collect();
        Ok(Earnings { height: self.height()?.unwrap_or(0), total, leases, payments })
    }

    /// What was earned in all, by denom, in whole units.
    pub fn totals(&self) -> Result<BTreeMap<String, u128>, LedgerError> {
        totals::of_all(&self.sql())
    }

    fn payments(&self, filter: &Filter) -> Result<Vec<Payment>, LedgerError> {
        let sql = self.sql();
        let mut query = sql.prepare(
            "SELECT height, place, time, lease, denom, amount, tx, kind FROM payments
             WHERE (?1 = '' OR lease = ?1) AND (?2 = '' OR lease LIKE ?2 || '/%') AND time >= ?3
             ORDER BY height, place, lease",
        )?;
        let (lease, tenant) = names(filter);
        let rows = query.query_map(params![lease, tenant, stored(filter.since)], |row| {
            Ok((
                Payment {
                    height: number(row.get(0)?),
                    place: row.get(1)?,
                    time: number(row.get(2)?),
                    lease: row.get(3)?,
                    denom: row.get(4)?,
                    amount: 0,
                    tx: row.get(6)?,
                    kind: Kind::parse(&row.get::<_, String>(7)?),
                },
                row.get::<_, String>(5)?,
            ))
        })?;
        let mut payments = vec![];
        for row in rows {
            let (payment, text) = row?;
            payments.push(Payment { amount: amount(&text)?, ..payment });
        }
        Ok(payments)
    }

    fn leases(&self, filter: &Filter) -> Result<Vec<LeaseLine>, LedgerError> {
        let sql = self.sql();
        let mut query = sql.prepare(
            "SELECT lease, tenant, denom, rate, opened_at, started_at, closed_at, reason
             FROM leases WHERE (?1 = '' OR lease = ?1) AND (?2 = '' OR tenant = ?2)
             ORDER BY opened_at, lease",
        )?;
        let (lease, tenant) = names(filter);
        let rows = query.query_map(params![lease, tenant], |row| {
            Ok(LeaseLine {
                lease: row.get(0)?,
                tenant: row.get(1)?,
                denom: row.get(2)?,
                rate: row.get(3)?,
                opened_at: number(row.get(4)?),
                started_at: number(row.get(5)?),
                closed_at: number(row.get(6)?),
                reason: row.get(7)?,
                ..LeaseLine::default()
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn names(filter: &Filter) -> (&str, &str) {
    (filter.lease.as_deref().unwrap_or_default(), filter.tenant.as_deref().unwrap_or_default())
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
