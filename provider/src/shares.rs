//! Who goes without where there is not enough for all.

use std::collections::BTreeSet;

/// Those who must go so that the rest fits into `most`: whoever takes the most
/// goes first, and nobody who need not.
pub fn heaviest<'a>(uses: impl Iterator<Item = (&'a str, usize)>, most: usize) -> BTreeSet<String> {
    let mut uses: Vec<(usize, &str)> = uses.map(|(who, count)| (count, who)).collect();
    uses.sort_unstable();
    let mut all = uses.iter().fold(0_usize, |sum, (count, _)| sum.saturating_add(*count));
    let mut gone = BTreeSet::new();
    while all > most {
        let Some((count, who)) = uses.pop() else { break };
        all = all.saturating_sub(count);
        gone.insert(who.to_owned());
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_the_most_goes_and_no_more_than_must() {
        let uses = [("a", 3), ("b", 50), ("c", 40), ("d", 0)];
        let gone = |most| heaviest(uses.into_iter(), most).into_iter().collect::<Vec<_>>();
        assert!(gone(93).is_empty());
        assert_eq!(gone(92), ["b"]);
        assert_eq!(gone(43), ["b"]);
        assert_eq!(gone(42), ["b", "c"]);
        assert_eq!(gone(0), ["a", "b", "c"]);
    }
}
