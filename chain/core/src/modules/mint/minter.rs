//! How much is minted. The formula is the Cosmos SDK's
//! (`x/mint/types/minter.go`), by seconds where it counts blocks.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::Params;
use crate::types::{mul_div_floor, Amount, Dec, Fine};

/// Seconds of a year of 8766 hours.
pub const YEAR: u64 = 31_557_600;
/// Most seconds between two blocks for which coins are minted: nobody secures
/// a chain that stands still.
pub const MAX_SECONDS: u64 = 60;

/// Inflation as it is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Minter {
    /// New coins of a year, as a part of the supply.
    pub inflation: Dec,
    /// Fraction of a unit that is due.
    pub remainder: Fine,
}

impl Default for Minter {
    fn default() -> Self {
        Self { inflation: Dec::percent(13), remainder: Fine::ZERO }
    }
}

impl Minter {
    /// Moves inflation for `seconds` towards where the goal is bonded: a year's
    /// change is `(1 - bonded / goal) * inflation_rate_change`.
    pub fn adjust(&mut self, params: &Params, bonded: Dec, seconds: u64) {
        let off = distance(bonded, params.goal_bonded);
        let a_year = off.checked_mul(params.inflation_rate_change).unwrap_or(Dec::ONE);
        let change = mul_div_floor(a_year.raw(), seconds.into(), YEAR.into());
        let change = Dec::from_raw(change.unwrap_or_default());
        let moved = if bonded < params.goal_bonded {
            self.inflation.saturating_add(change)
        } else {
            self.inflation.saturating_sub(change)
        };
        self.inflation = moved.min(params.inflation_max).max(params.inflation_min);
    }

    /// New coins of a year.
    pub fn annual_provisions(&self, supply: Amount) -> Fine {
        self.inflation.of_fine(supply.to_fine())
    }

    /// Whole units that `seconds` bring; the fraction is due next time.
    pub fn mint(&mut self, supply: Amount, seconds: u64) -> Amount {
        let yearly = self.annual_provisions(supply).raw();
        let due = mul_div_floor(yearly, seconds.into(), YEAR.into()).unwrap_or_default();
        let due = self.remainder.saturating_add(Fine::from_raw(due));
        self.remainder = due.fraction();
        due.whole()
    }
}

/// |1 - bonded / goal|.
fn distance(bonded: Dec, goal: Dec) -> Dec {
    let reached = bonded.checked_div(goal).unwrap_or(Dec::ONE);
    Dec::ONE.saturating_sub(reached).max(reached.saturating_sub(Dec::ONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUPPLY: Amount = Amount::from_raw(1_000_000_000_000);

    #[test]
    fn a_year_of_blocks_mints_what_its_inflation_says() {
        let mut minter = Minter::default();
        let mut minted = 0;
        for seconds in [100, 300, 150, 50].into_iter().cycle().take(YEAR as usize / 600 * 4) {
            minted += minter.mint(SUPPLY, seconds).raw();
        }
        // 13% of the supply; rounded off is under one unit.
        assert!((129_999_999_999..=130_000_000_000).contains(&minted), "{minted}");
    }

    #[test]
    fn inflation_rises_under_the_goal_falls_above_it_and_rests_on_it() {
        let params = Params::default();
        let after_a_year = |bonded| {
            let mut minter = Minter::default();
            minter.adjust(&params, bonded, YEAR);
            minter.inflation
        };
        // (1 - 0.335/0.67) * 0.13 = 0.065.
        assert_eq!(after_a_year("0.335".parse().unwrap()), "0.195".parse().unwrap());
        assert_eq!(after_a_year(params.goal_bonded), Dec::percent(13));
        // (1 - 0.9045/0.67) * 0.13 = -0.0455.
        assert_eq!(after_a_year("0.9045".parse().unwrap()), "0.0845".parse().unwrap());
        assert_eq!(after_a_year(Dec::ZERO), params.inflation_max);
    }

    proptest! {
        #[test]
        fn inflation_stays_within_its_bounds(
            bonded in 0..=crate::types::ONE, seconds: u64, start in 0..=crate::types::ONE,
        ) {
            let params = Params::default();
            let mut minter = Minter { inflation: Dec::from_raw(start), ..Minter::default() };
            minter.adjust(&params, Dec::from_raw(bonded), seconds);
            prop_assert!(minter.inflation >= params.inflation_min);
            prop_assert!(minter.inflation <= params.inflation_max);
        }
    }
}
