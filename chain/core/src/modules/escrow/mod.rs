//! Escrow: one account for each deployment, from which its leases are paid by
//! the second, and the community pool.
//!
//! Settlement is lazy and exact: whatever touches an account first brings it
//! up to date ([`touch`]). Whatever an account holds stands in its record: the
//! balance by depositor, and what has accrued to each paid lease.
//!
//! Invariants: a balance is never negative; an account is OVERDRAWN only
//! without paid leases; `exhausts_at` is what [`account::Account::predict`]
//! says, and stands in the queue of deadlines.

pub mod account;
mod error;
mod flow;
mod genesis;
mod keys;
mod msgs;
mod params;
mod pool;
mod query;
mod share;

pub use account::{Account, AccountState, Depositor, PaidLease};
pub use error::EscrowError;
pub use flow::{
    account as get, accounts, add_lease, charge, close, end_lease_at, exhaust_at, held,
    move_overdrawn, open, prune, release, solvent, touch, withdraw,
};
pub use genesis::{deadlines_of, export, init, Genesis};
pub use msgs::Deposit;
pub use params::{market_denom, params, MarketDenom, Params, UpdateParams};
pub use pool::{add as add_to_pool, all as pool, take as take_from_pool};
pub use query::routes;
