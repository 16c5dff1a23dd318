//! Whether a proposal passes. Pure: sums and parameters alone.

use super::params::Params;
use super::records::Sums;
use crate::types::{mul_div_rem, Dec, Fine, ONE};

/// What a count comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Passes,
    /// It does not; whether its deposits are burned.
    Fails {
        /// Or they return.
        burns: bool,
    },
}

/// By the Cosmos SDK's rules, in their order: quorum of all stake; somebody
/// who does not abstain; veto among all votes; yes among those that do not
/// abstain.
///
/// `voted` is all power that voted, of `stake` that could.
pub fn verdict(params: &Params, expedited: bool, sums: &Sums, voted: Fine, stake: Fine) -> Verdict {
    if stake.is_zero() {
        return Verdict::Fails { burns: false };
    }
    if is_under(voted, stake, params.quorum) {
        return Verdict::Fails { burns: params.burn_vote_quorum };
    }
    let decided = voted.saturating_sub(sums.abstain);
    if decided.is_zero() {
        return Verdict::Fails { burns: false };
    }
    if is_over(sums.no_with_veto, voted, params.veto_threshold) {
        return Verdict::Fails { burns: params.burn_vote_veto };
    }
    let threshold = if expedited { params.expedited_threshold } else { params.threshold };
    if is_over(sums.yes, decided, threshold) {
        Verdict::Passes
    } else {
        Verdict::Fails { burns: false }
    }
}

/// part / whole > limit, exactly.
fn is_over(part: Fine, whole: Fine, limit: Dec) -> bool {
    match mul_div_rem(part.raw(), ONE, whole.raw()) {
        Some((ratio, rest)) => ratio > limit.raw() || (ratio == limit.raw() && rest > 0),
        None => false,
    }
}

/// part / whole < limit, exactly.
fn is_under(part: Fine, whole: Fine, limit: Dec) -> bool {
    mul_div_rem(part.raw(), ONE, whole.raw()).is_some_and(|(ratio, _)| ratio < limit.raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILS: Verdict = Verdict::Fails { burns: false };
    const BURNS: Verdict = Verdict::Fails { burns: true };

    /// Of a stake of 1,000.
    fn of(yes: u128, abstain: u128, no: u128, veto: u128) -> Verdict {
        of_kind(false, yes, abstain, no, veto)
    }

    fn of_kind(expedited: bool, yes: u128, abstain: u128, no: u128, veto: u128) -> Verdict {
        let fine = Fine::from_raw;
        let sums =
            Sums { yes: fine(yes), abstain: fine(abstain), no: fine(no), no_with_veto: fine(veto) };
        let voted = fine(yes + abstain + no + veto);
        verdict(&Params::default(), expedited, &sums, voted, fine(1_000))
    }

    #[test]
    fn the_quorum_is_reached_by_its_own_part_of_all_stake() {
        assert_eq!(of(333, 0, 0, 0), FAILS);
        assert_eq!(of(334, 0, 0, 0), Verdict::Passes);
        assert_eq!(of(1, 333, 0, 0), Verdict::Passes);
    }

    #[test]
    fn abstaining_makes_the_quorum_and_decides_nothing() {
        assert_eq!(of(0, 1_000, 0, 0), FAILS);
        assert_eq!(of(2, 900, 1, 0), Verdict::Passes);
    }

    #[test]
    fn more_than_the_threshold_is_needed() {
        assert_eq!(of(500, 0, 500, 0), FAILS);
        assert_eq!(of(501, 0, 499, 0), Verdict::Passes);
        assert_eq!(of_kind(true, 667, 0, 333, 0), FAILS);
        assert_eq!(of_kind(true, 668, 0, 332, 0), Verdict::Passes);
    }

    #[test]
    fn more_veto_than_its_threshold_rejects_and_burns() {
        assert_eq!(of(666, 0, 0, 334), Verdict::Passes);
        assert_eq!(of(665, 0, 0, 335), BURNS);
    }

    #[test]
    fn nothing_passes_where_nothing_is_staked() {
        let sums = Sums::default();
        assert_eq!(verdict(&Params::default(), false, &sums, Fine::ZERO, Fine::ZERO), FAILS);
    }

    #[test]
    fn a_quorum_that_is_missed_burns_where_the_parameters_say_so() {
        let params = Params { burn_vote_quorum: true, ..Params::default() };
        let stake = Fine::from_raw(10);
        assert_eq!(verdict(&params, false, &Sums::default(), Fine::ZERO, stake), BURNS);
    }
}
