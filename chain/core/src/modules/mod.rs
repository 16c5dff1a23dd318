//! The modules. Each writes only its own keys, and calls another through that
//! module's public functions.
//!
//! First byte of a key: whose it is. Those from [`crate::store::INDEX_SPACE`]
//! on are derived indexes.
//!
//! | byte | module |
//! | --- | --- |
//! | 0x00 | the chain itself (last block) |
//! | 0x01.. | auth |
//! | 0x08.. | bank |
//! | 0x10.. | provider |
//! | 0x18.. | audit |
//! | 0x20.. | cert |
//! | 0x28.. | deployment |
//! | 0x30.. | market |
//! | 0x40.. | escrow |
//! | 0x90.. | provider's indexes |
//! | 0xb0.. | market's indexes |
//! | 0xc0.. | escrow's indexes |

pub mod audit;
pub mod auth;
pub mod bank;
pub mod cert;
pub mod provider;

use std::collections::BTreeMap;

use crate::ctx::Ctx;
use crate::types::{Denom, Fine};

/// What is due at a block's end. Nothing here can fail.
pub fn end_block(ctx: &mut Ctx<'_>) {
    provider::end_block(ctx);
}

/// What is wrong with the state, in words; empty: nothing.
pub fn check_invariants(ctx: &Ctx<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    check_supply(ctx, &mut broken);
    provider::check_invariants(ctx, &mut broken);
    audit::check_invariants(ctx, &mut broken);
    cert::check_invariants(ctx, &mut broken);
    broken
}

/// balances + what modules hold = supply, in every denom.
fn check_supply(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let mut held = Holdings::default();
    for (_, account) in auth::accounts(ctx) {
        account.balances.iter().for_each(|coin| held.add(&coin.denom, coin.amount.to_fine()));
    }
    bank::collected_fees(ctx).iter().for_each(|coin| held.add(&coin.denom, coin.amount.to_fine()));
    provider::add_holdings(ctx, &mut held);
    for coin in bank::supplies(ctx) {
        let found = held.0.remove(&coin.denom).unwrap_or_default();
        if found != coin.amount.to_fine() {
            broken
                .push(format!("supply of {} is {}, but {found} is held", coin.denom, coin.amount));
        }
    }
    for (denom, found) in held.0 {
        broken.push(format!("{found}{denom} is held, but {denom} has no supply"));
    }
}

/// Money found, by denom, in 10^-18 units.
#[derive(Default)]
pub struct Holdings(BTreeMap<Denom, Fine>);

impl Holdings {
    /// Adds what was found.
    pub fn add(&mut self, denom: &Denom, money: Fine) {
        let sum = self.0.entry(denom.clone()).or_default();
        *sum = sum.saturating_add(money);
    }
}
