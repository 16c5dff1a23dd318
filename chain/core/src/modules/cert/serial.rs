//! Serial numbers, as keys and as texts.

use std::fmt;
use std::str::FromStr;

use super::Error;
use crate::x509::MAX_SERIAL_BYTES;

/// A serial number: 1 to 20 bytes, big-endian, the first not zero. As text,
/// lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Of these bytes, where they are right.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let right = bytes.len() <= MAX_SERIAL_BYTES && bytes.first().is_some_and(|byte| *byte != 0);
        right.then(|| Self(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for Serial {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::SerialText(text.chars().take(64).collect());
        if text.len() > 2 * MAX_SERIAL_BYTES || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        Self::new(&bytes).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_has_one_text() {
        let serial = Serial::new(&[0x0a, 0xff]).unwrap();
        assert_eq!(serial.to_string(), "0aff");
        assert_eq!("0aff".parse(), Ok(serial));
        for text in ["", "0AFF", "aff", "00ff", "xy", "0x0a", &"11".repeat(21), " 0a"] {
            assert!(text.parse::<Serial>().is_err(), "{text:?}");
        }
    }
}
