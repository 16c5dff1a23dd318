//! F1 against a naive computation that goes through every delegator at every
//! allocation, over random staking; and what an operation costs with few
//! delegators and with many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects)]

mod chain;
mod cost;
mod coverage;
mod generate;
mod naive;
mod run;

use coverage::Coverage;

#[test]
fn rewards_are_those_of_a_naive_computation_for_each_block_and_delegator() {
    let mut coverage = Coverage::default();
    for seed in 0..36 {
        run::run(seed, 80, &mut coverage);
    }
    coverage.assert_complete();
}

/// A longer search for what the fixed seeds do not show:
/// `cargo test -p stoa-chain --test distribution -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn rewards_are_those_of_a_naive_computation_over_many_more_seeds() {
    for seed in 1_000..1_200 {
        run::run(seed, 200, &mut Coverage::default());
    }
}
