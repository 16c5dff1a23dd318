//! Sharing what is left in proportion, to the last 10^-18 unit.

use crate::types::{mul_div_rem, Fine, Rate};

/// Shares of `total` in proportion to `rates`: rounded down, then the
/// remaining 10^-18 units go one each to the largest remainders, among equals
/// to the first. The shares' sum is `total` wherever a rate is over zero.
pub fn share(total: Fine, rates: &[Rate]) -> Vec<Fine> {
    let sum = rates.iter().fold(Rate::ZERO, |sum, rate| sum.saturating_add(*rate));
    let exact: Vec<(u128, u128)> = rates
        .iter()
        .map(|rate| mul_div_rem(total.raw(), rate.raw(), sum.raw()).unwrap_or_default())
        .collect();
    let mut shares: Vec<Fine> = exact.iter().map(|(floor, _)| Fine::from_raw(*floor)).collect();
    let given = shares.iter().fold(Fine::ZERO, |sum, share| sum.saturating_add(*share));
    let mut left = if sum.is_zero() { 0 } else { total.saturating_sub(given).raw() };
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(exact.get(*index).map(|(_, rest)| *rest)));
    for index in order {
        if left == 0 {
            break;
        }
        if let Some(share) = shares.get_mut(index) {
            *share = share.saturating_add(Fine::from_raw(1));
            left = left.saturating_sub(1);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(total: u128, rates: &[u128]) -> Vec<u128> {
        let rates: Vec<Rate> = rates.iter().map(|rate| Rate::from_raw(*rate)).collect();
        share(Fine::from_raw(total), &rates).into_iter().map(Fine::raw).collect()
    }

    #[test]
    fn the_largest_remainder_gets_the_last_unit_and_the_first_among_equals() {
        assert_eq!(shares(100, &[2, 1]), [67, 33]);
        assert_eq!(shares(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(shares(1, &[1, 3]), [0, 1]);
        assert_eq!(shares(0, &[1, 3]), [0, 0]);
    }

    proptest! {
        #[test]
        fn shares_sum_up_exactly_and_none_is_off_by_one(
            total in 0..10u128.pow(38),
            rates in prop::collection::vec(1..10u128.pow(30), 1..20),
        ) {
            let sum: u128 = rates.iter().sum();
            let shares = shares(total, &rates);
            prop_assert_eq!(shares.iter().sum::<u128>(), total);
            for (share, rate) in shares.iter().zip(&rates) {
                let (floor, _) = mul_div_rem(total, *rate, sum).unwrap();
                prop_assert!(*share == floor || *share == floor + 1);
            }
        }
    }
}
