//! Which piece next: the rarest of those that will do.

use rand::Rng;

use crate::bits::Bits;

/// Looked at for one choice, at most: bounds the work on large blobs.
const LOOKED_AT: usize = 1024;

/// The candidate with the lowest score; among equals, any. `candidates` gives
/// 64 at a time, as words of a bitfield of `words` words.
pub(crate) fn lowest(
    words: usize,
    random: &mut impl Rng,
    candidates: impl Fn(usize) -> u64,
    score: impl Fn(u32) -> u32,
) -> Option<u32> {
    let begin = random.gen_range(0..words.max(1));
    let (mut best, mut best_score, mut ties, mut looked) = (None, u32::MAX, 0_u32, 0);
    for step in 0..words {
        let index = (begin + step) % words;
        let mut word = candidates(index);
        while word != 0 {
            let piece = index as u32 * 64 + word.trailing_zeros();
            word &= word - 1;
            looked += 1;
            let score = score(piece);
            if score < best_score {
                (best, best_score, ties) = (Some(piece), score, 1);
            } else if score == best_score {
                // Each of the equals is as likely as the others.
                ties += 1;
                if random.gen_range(0..ties) == 0 {
                    best = Some(piece);
                }
            }
        }
        if looked >= LOOKED_AT {
            break;
        }
    }
    best
}

/// How many peers have each piece.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<u16>);

impl Counts {
    pub(crate) fn new(pieces: u32) -> Self {
        Self(vec![0; pieces as usize])
    }

    pub(crate) fn add(&mut self, piece: u32) {
        if let Some(count) = self.0.get_mut(piece as usize) {
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn subtract(&mut self, piece: u32) {
        if let Some(count) = self.0.get_mut(piece as usize) {
            *count = count.saturating_sub(1);
        }
    }

    pub(crate) fn add_all(&mut self, bits: &Bits) {
        bits.iter().for_each(|piece| self.add(piece));
    }

    pub(crate) fn subtract_all(&mut self, bits: &Bits) {
        bits.iter().for_each(|piece| self.subtract(piece));
    }

    pub(crate) fn get(&self, piece: u32) -> u32 {
        self.0.get(piece as usize).copied().map_or(0, u32::from)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_rarest_comes_first_and_equals_are_equally_likely() {
        let mut random = rand_seeded();
        let mut counts = Counts::new(200);
        counts.add_all(&Bits::all(200));
        for piece in [7, 70, 150] {
            counts.subtract(piece);
        }
        let wanted = Bits::all(200);
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..3000 {
            let words = wanted.words();
            let piece = lowest(words, &mut random, |i| wanted.word(i), |p| counts.get(p)).unwrap();
            *seen.entry(piece).or_insert(0) += 1;
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [7, 70, 150]);
        assert!(seen.values().all(|times| *times > 700), "{seen:?}");
        assert_eq!(lowest(4, &mut random, |_| 0, |_| 0), None);
        assert_eq!(lowest(0, &mut random, |_| 0, |_| 0), None);
    }

    fn rand_seeded() -> impl Rng {
        rand::rngs::StdRng::seed_from_u64(7)
    }
}
