//! The words for amounts: CPU, sizes, decimals, durations.
//!
//! Fractions of CPUs and sizes are read as binary64 and truncated, as the SDL's other readers
//! do: 1.001 cores are 1000 millicores. Money is never read that way, see [`Dec18`].

use std::fmt;

/// A decimal number with 18 places, kept as a whole number of 10^-18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dec18(pub u128);

impl Dec18 {
    /// 1.0
    pub const ONE: Dec18 = Dec18(1_000_000_000_000_000_000);

    /// Reads `12`, `12.5` or `.5`: digits, and at most 18 after the point.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if fraction.is_empty() || text == "." || !digits(whole) || !digits(fraction) {
            return Err(format!("`{}` is not a decimal number", shown(text)));
        }
        if fraction.len() > 18 {
            return Err(format!("`{}` has more than 18 digits after the point", shown(text)));
        }
        if whole.is_empty() && !text.contains('.') {
            return Err("an empty text is not a decimal number".to_owned());
        }
        let too_large = || format!("`{}` is too large", shown(text));
        let whole: u128 = match whole {
            "" => 0,
            whole => whole.parse().map_err(|_| too_large())?,
        };
        let fraction: u128 = format!("{fraction:0<18}").parse().map_err(|_| too_large())?;
        whole
            .checked_mul(Self::ONE.0)
            .and_then(|scaled| scaled.checked_add(fraction))
            .map(Self)
            .ok_or_else(too_large)
    }

    /// True for 0.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self × factor / divisor`, rounded down at 18 places; `None` where it does not fit or the
    /// divisor is 0.
    pub fn scale(self, factor: Dec18, divisor: u64) -> Option<Self> {
        use ethnum::U256;
        let below = U256::from(Self::ONE.0).checked_mul(U256::from(divisor))?;
        let above = U256::from(self.0).checked_mul(U256::from(factor.0))?;
        u128::try_from(above.checked_div(below)?).ok().map(Self)
    }

    /// `self × n`, `None` where it does not fit.
    pub fn times(self, n: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(n)).map(Self)
    }

    /// The sum, `None` where it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The number with no more places than it needs, for people: `12.5`.
    pub fn short(self) -> String {
        let long = self.to_string();
        long.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl fmt::Display for Dec18 {
    /// All 18 places: `100.000000000000000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:018}", self.0 / Self::ONE.0, self.0 % Self::ONE.0)
    }
}

/// CPU in millicores: `100m`, or cores such as `0.5` or `2`.
pub(crate) fn millicores(text: &str) -> Result<u32, String> {
    if let Some(milli) = text.strip_suffix('m') {
        if milli.starts_with('-') {
            return Err(format!("`{}` is negative", shown(text)));
        }
        return match whole(milli) {
            Some(value) => {
                u32::try_from(value).map_err(|_| format!("`{}` is too large", shown(text)))
            }
            None => Err(format!("`{}` is not a whole number of millicores", shown(text))),
        };
    }
    let cores = number(text)?;
    let milli = cores * 1000.0;
    if milli > f64::from(u32::MAX) {
        return Err(format!("`{}` is too large", shown(text)));
    }
    Ok(milli as u32)
}

const SIZE_UNITS: [(&str, u64); 12] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// A size in bytes: `512Mi`, `1.5G`, or bytes without a unit.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (amount, unit) = SIZE_UNITS
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|amount| (amount, *unit)))
        .unwrap_or((text, 1));
    let bytes = number(amount).map_err(|error| match amount == text {
        true => format!("{error}; sizes end in k, Ki, M, Mi, G, Gi, T, Ti, P, Pi, E, Ei"),
        false => error,
    })? * unit as f64;
    // 2^64 as binary64: the first value that does not fit.
    if bytes >= 18_446_744_073_709_551_616.0 {
        return Err(format!("`{}` is too large", shown(text)));
    }
    Ok(bytes as u64)
}

/// A size for people: `512Mi`, `1.5Gi`, `1000`.
pub(crate) fn show_bytes(bytes: u64) -> String {
    SIZE_UNITS[..6].iter().rev().find(|(_, unit)| bytes >= *unit).map_or_else(
        || bytes.to_string(),
        |(suffix, unit)| {
            let hundredths = u128::from(bytes) * 100 / u128::from(*unit);
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
        },
    )
}

/// A finite number of 0 or more in decimal notation, with an exponent or without.
fn number(text: &str) -> Result<f64, String> {
    if text.starts_with('-') {
        return Err(format!("`{}` is negative", shown(text)));
    }
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(value) if decimal && value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("`{}` is not a number", shown(text))),
    }
}

/// A whole number in decimal digits.
pub(crate) fn whole(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A duration such as `30s`, `1h30m` or `1.5h`, in seconds, rounded up to a whole one.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let nanos = nanoseconds(text)
        .ok_or_else(|| format!("`{}` is not a duration such as 30s, 10m or 24h", shown(text)))?;
    u64::try_from(nanos.div_ceil(NANOS_PER_SECOND))
        .map_err(|_| format!("`{}` is too long", shown(text)))
}

fn nanoseconds(text: &str) -> Option<u128> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total: u128 = 0;
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, tail) = rest.split_at(unit_at);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3_600 * NANOS_PER_SECOND,
            _ => return None,
        };
        let amount = Dec18::parse(amount.strip_suffix('.').unwrap_or(amount)).ok()?;
        total = total.checked_add(amount.0.checked_mul(unit)? / Dec18::ONE.0)?;
        rest = tail;
    }
    Some(total)
}

/// A duration for people: `1h30m`, `45s`.
pub(crate) fn show_seconds(seconds: u64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// What was written, short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST_SHOWN: usize = 60;
    if text.chars().count() <= LONGEST_SHOWN {
        return text.escape_debug().to_string();
    }
    let start: String = text.chars().take(LONGEST_SHOWN).collect();
    format!("{}…", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_binary64_truncated() {
        assert_eq!(millicores("100m"), Ok(100));
        assert_eq!(millicores("1.001"), Ok(1000));
        assert_eq!(millicores("0.01"), Ok(10));
        assert_eq!(millicores("2"), Ok(2000));
        assert_eq!(millicores(".5"), Ok(500));
        for wrong in ["-100m", "-1", "", "m", "0.5m", "1 core", "NaN", "inf", "5000000", "1x"] {
            assert!(millicores(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_in_every_unit() {
        assert_eq!(bytes("128Mi"), Ok(134_217_728));
        assert_eq!(bytes("1k"), Ok(1_000));
        assert_eq!(bytes("1Ki"), Ok(1_024));
        assert_eq!(bytes("1.5Gi"), Ok(1_610_612_736));
        assert_eq!(bytes("0.3Ki"), Ok(307));
        assert_eq!(bytes("1E"), Ok(1_000_000_000_000_000_000));
        assert_eq!(bytes("1e3"), Ok(1_000));
        assert_eq!(bytes("7"), Ok(7));
        assert_eq!(bytes("15Ei"), Ok(15 << 60));
        for wrong in ["16Ei", "1KB", "1 Gi", "-1Mi", "Gi", "", "1GB", "0x10"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(show_bytes(134_217_728), "128Mi");
        assert_eq!(show_bytes(1_610_612_736), "1.5Gi");
        assert_eq!(show_bytes(1000), "1000");
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(Dec18::parse("100").map(|d| d.to_string()), Ok("100.000000000000000000".into()));
        assert_eq!(Dec18::parse("0.000000000000000001"), Ok(Dec18(1)));
        assert_eq!(Dec18::parse(".5"), Ok(Dec18(Dec18::ONE.0 / 2)));
        assert_eq!(Dec18::parse("12.50").map(Dec18::short), Ok("12.5".into()));
        for wrong in ["", ".", "1.", "1e3", "-1", "+1", "1_000", "0.0000000000000000001", "x"] {
            assert!(Dec18::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Dec18::parse("340282366920938463464").is_err(), "over 128 bits");
    }

    #[test]
    fn scaling_rounds_down_in_256_bits() {
        let amount = Dec18(u128::MAX / 2);
        assert_eq!(amount.scale(Dec18::ONE, 1), Some(amount));
        assert_eq!(Dec18(10).scale(Dec18::ONE, 3), Some(Dec18(3)));
        assert_eq!(Dec18(u128::MAX).scale(Dec18(u128::MAX), 1), None);
        assert_eq!(Dec18::ONE.scale(Dec18::ONE, 0), None);
    }

    #[test]
    fn durations_as_go_reads_them() {
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert_eq!(seconds("1.5h"), Ok(5_400));
        assert_eq!(seconds("1500ms"), Ok(2), "rounded up");
        assert_eq!(seconds("0s"), Ok(0));
        for wrong in ["", "30", "h", "-1s", "1d", "1h 30m", "30S", "1..5h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(show_seconds(5_405), "1h30m5s");
    }
}
