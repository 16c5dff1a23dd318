//! Sizes and cores as people write them: `8Gi`, `500m`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Word", into = "String")]
pub struct Size(pub u64);

/// Thousandths of a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Word", into = "String")]
pub struct Cores(pub u64);

/// A number or a text: `16` and `"16"` are the same.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u64),
    Text(String),
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

const SUFFIXES: [(&str, u64); 10] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = SUFFIXES
            .iter()
            .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, *unit)))
            .unwrap_or((text, 1));
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no size; right is such as 8Gi or 500M"))
    }
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no number of cores; right is such as 16 or 500m");
        let millis = match text.strip_suffix('m') {
            Some(millis) => millis.parse().ok(),
            None => text.parse::<u64>().ok().and_then(|cores| cores.checked_mul(1000)),
        };
        millis.map(Self).ok_or_else(bad)
    }
}

impl TryFrom<Word> for Size {
    type Error = String;

    fn try_from(word: Word) -> Result<Self, String> {
        word.text().parse()
    }
}

impl TryFrom<Word> for Cores {
    type Error = String;

    fn try_from(word: Word) -> Result<Self, String> {
        word.text().parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

impl From<Cores> for String {
    fn from(cores: Cores) -> String {
        cores.to_string()
    }
}

impl fmt::Display for Size {
    /// The largest binary unit that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit): &&(&str, u64)| self.0 >= *unit && self.0.is_multiple_of(*unit);
        match SUFFIXES[..5].iter().rev().find(whole) {
            Some((suffix, unit)) => write!(f, "{}{suffix}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}", self.0 / 1000),
            _ => write!(f, "{}m", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_cores_go_there_and_back() {
        for (text, bytes) in [("8Gi", 8 << 30), ("500M", 500_000_000), ("12", 12), ("1Ti", 1 << 40)]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes);
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
        assert_eq!("16".parse::<Cores>().unwrap().0, 16_000);
        assert_eq!("250m".parse::<Cores>().unwrap().to_string(), "250m");
        for bad in ["", "Gi", "-1", "1.5Gi", "99999999999Pi", "8GiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
        assert!("1.5".parse::<Cores>().is_err());
    }
}
