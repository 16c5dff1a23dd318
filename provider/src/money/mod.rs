//! Payment: what leases earn is fetched, and booked to the unit.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Collector`] | withdraws on a schedule, and before a lease's known end |
//! | [`Bookkeeper`] | follows the chain's payments into the ledger |
//! | [`Ledger`] | one SQLite file: what each lease earned |
//!
//! The ledger is written from the chain's own events, whoever caused a
//! payment, and held against the chain's sums. A daemon that was killed at
//! any step follows on from where its ledger ends.

mod bookkeeper;
mod collector;
#[cfg(test)]
mod full_disk;
mod history;
mod ledger;
mod lines;
mod live;
mod report;
mod schedule;
#[cfg(test)]
mod tests;
mod totals;

pub use bookkeeper::{keep_books, Bookkeeper, Books, LedgerFile};
pub use collector::{paid_leases, withdraw, Collector, Purse, MAX_LEASES};
pub use history::{Follow, History};
pub use ledger::{Ledger, LedgerError, Settled};
pub use lines::{Kind, LeaseLine, Payment};
pub use live::LiveHistory;
pub use report::{Earnings, Filter};
