//! Exact proportional sharing.

use ethnum::U256;

use super::Fine;

/// ⌊a · b / c⌋ and whether something remained.
pub fn mul_div(a: Fine, b: Fine, c: Fine) -> (Fine, Fine) {
    let product = U256::from(a) * U256::from(b);
    let (quotient, rest) = (product / U256::from(c), product % U256::from(c));
    (quotient.as_u128(), rest.as_u128())
}

/// Shares `whole` in proportion to the weights: each its floor, then one more
/// for those with the largest remainder, the first among equals. The parts sum
/// up to the whole.
pub fn largest_remainder(whole: Fine, weights: &[Fine]) -> Vec<Fine> {
    let sum: Fine = weights.iter().sum();
    let divided: Vec<_> = weights.iter().map(|weight| mul_div(whole, *weight, sum)).collect();
    let mut parts: Vec<Fine> = divided.iter().map(|(part, _)| *part).collect();
    let mut rest = whole - parts.iter().sum::<Fine>();
    let mut ranked: Vec<usize> = (0..weights.len()).collect();
    // A stable sort keeps the first among equals first.
    ranked.sort_by(|a, b| divided[*b].1.cmp(&divided[*a].1));
    for index in ranked {
        if rest == 0 {
            break;
        }
        parts[index] += 1;
        rest -= 1;
    }
    parts
}
