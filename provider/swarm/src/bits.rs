//! A set of pieces.

/// One bit for each piece of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    words: Vec<u64>,
    length: u32,
    ones: u32,
}

impl Bits {
    /// None of so many.
    pub fn none(length: u32) -> Self {
        Self { words: vec![0; length.div_ceil(64) as usize], length, ones: 0 }
    }

    /// All of so many.
    pub fn all(length: u32) -> Self {
        let mut bits = Self::none(length);
        (0..length).for_each(|bit| {
            bits.set(bit);
        });
        bits
    }

    /// From bytes, the lowest bit of the first byte first. None where there
    /// are more or fewer bytes than needed, or bits behind the end.
    pub fn from_bytes(length: u32, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != byte_length(length) {
            return None;
        }
        let mut bits = Self::none(length);
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(word) = bits.words.get_mut(at / 8) {
                *word |= u64::from(*byte) << (8 * (at % 8));
            }
        }
        let behind = bits.words.last().copied().unwrap_or(0).checked_shr(length % 64).unwrap_or(0);
        if !length.is_multiple_of(64) && behind != 0 {
            return None;
        }
        bits.ones = bits.words.iter().map(|word| word.count_ones()).sum();
        Some(bits)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(byte_length(self.length)).collect()
    }

    /// The byte that holds a bit, as [`Bits::to_bytes`] has it.
    pub fn byte_of(&self, bit: u32) -> (u64, u8) {
        let word = self.words.get(bit as usize / 64).copied().unwrap_or(0);
        let index = bit / 8;
        (u64::from(index), word.to_le_bytes()[index as usize % 8])
    }

    pub fn get(&self, bit: u32) -> bool {
        self.words.get(bit as usize / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Whether it was not set before. One behind the end is not set.
    pub fn set(&mut self, bit: u32) -> bool {
        if bit >= self.length || self.get(bit) {
            return false;
        }
        self.words[bit as usize / 64] |= 1 << (bit % 64);
        self.ones += 1;
        true
    }

    pub fn clear(&mut self, bit: u32) {
        if self.get(bit) {
            self.words[bit as usize / 64] &= !(1 << (bit % 64));
            self.ones -= 1;
        }
    }

    /// How many bits there are.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// How many are set.
    pub fn count(&self) -> u32 {
        self.ones
    }

    pub fn is_full(&self) -> bool {
        self.ones == self.length
    }

    /// 64 of them from bit 64 · `index` on.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    pub(crate) fn words(&self) -> usize {
        self.words.len()
    }

    /// Those that are set.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.length).filter(|bit| self.get(*bit))
    }
}

/// Bytes that hold so many bits.
pub fn byte_length(bits: u32) -> usize {
    bits.div_ceil(8) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back_from_their_bytes(
            length in 1_u32..300,
            picked in proptest::collection::vec(0_u32..300, 0..50),
        ) {
            let mut bits = Bits::none(length);
            for bit in picked {
                let new = bit < length && !bits.get(bit);
                prop_assert_eq!(bits.set(bit), new);
                prop_assert_eq!(bits.get(bit), bit < length);
            }
            let back = Bits::from_bytes(length, &bits.to_bytes()).unwrap();
            prop_assert_eq!(&back, &bits);
            prop_assert_eq!(back.count() as usize, bits.iter().count());
            for bit in bits.iter() {
                let (at, byte) = bits.byte_of(bit);
                prop_assert_eq!(bits.to_bytes()[at as usize], byte);
            }
        }
    }

    #[test]
    fn bits_behind_the_end_are_refused() {
        assert!(Bits::from_bytes(3, &[0b1000]).is_none());
        assert!(Bits::from_bytes(3, &[0b0111]).unwrap().is_full());
        assert!(Bits::from_bytes(3, &[0, 0]).is_none());
        assert!(Bits::from_bytes(9, &[0]).is_none());
        assert!(Bits::all(130).is_full());
    }
}
