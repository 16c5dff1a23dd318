//! Stoa's state machine: accounts, bank, providers, audits, certificates,
//! deployments, the order book, leases and escrow.
//!
//! Pure and deterministic: the same blocks give the same state on every
//! machine. Integers are checked, lists are bounded, and there is no clock, no
//! chance, no float, no hash map and no I/O in here. The node stores what
//! [`app`] returns and carries messages between it and the consensus engine.
//!
//! A message goes through three phases ([`tx`]): *validate* (stateless, may
//! run in parallel), *admit* (signature, sequence, fee) and *execute* (on an
//! overlay that is dropped on error).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::arithmetic_side_effects
    )
)]

pub mod app;
pub mod ctx;
pub mod error;
pub mod event;
pub mod gas;
pub mod genesis;
pub mod input;
pub mod modules;
pub mod page;
pub mod query;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tx;
pub mod types;
pub mod x509;
