//! Decimals: the text of an integer in units of 10^-18 and that of the number.

/// Digits after the point, as `cosmossdk.io/math.LegacyDec` writes them.
const PLACES: usize = 18;

/// "1500000000000000000" as "1.500000000000000000"; `None` where the text is no integer.
pub fn to_number(units: &str) -> Option<String> {
    let (sign, digits) = match units.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", units),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0>width$}", width = PLACES + 1);
    let (whole, fraction) = padded.split_at(padded.len() - PLACES);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    Some(format!("{sign}{whole}.{fraction}"))
}

/// "1.5" as "1500000000000000000"; `None` where the text is no number with at most 18 decimals.
pub fn to_units(number: &str) -> Option<String> {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > PLACES || !plain(whole) || !plain(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction:0<PLACES$}");
    match digits.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        digits => Some(format!("{sign}{digits}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_numbers_are_one_another() {
        let pairs = [
            ("0", "0.000000000000000000"),
            ("1", "0.000000000000000001"),
            ("100000000000000000", "0.100000000000000000"),
            ("1000000000000000000", "1.000000000000000000"),
            ("-12500000000000000000", "-12.500000000000000000"),
            ("123456789012345678901234567890", "123456789012.345678901234567890"),
        ];
        for (units, number) in pairs {
            assert_eq!(to_number(units).as_deref(), Some(number));
            assert_eq!(to_units(number).as_deref(), Some(units));
        }
        assert_eq!(to_units("5").as_deref(), Some("5000000000000000000"));
        assert_eq!(to_units("0.5").as_deref(), Some("500000000000000000"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["", "-", "x", "1.5", "+1", " 1"] {
            assert_eq!(to_number(bad), None, "{bad:?}");
        }
        for bad in ["", "-", ".5", "1.2.3", "1e5", "0.1234567890123456789"] {
            assert_eq!(to_units(bad), None, "{bad:?}");
        }
    }
}
