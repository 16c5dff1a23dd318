//! Times and spans as protobuf's JSON has them.

use time::{
    format_description::well_known::Rfc3339, macros::format_description, OffsetDateTime, UtcOffset,
};

/// "2026-01-31T12:00:00Z"; `None` outside the years 1 to 9999.
pub fn write_timestamp(seconds: i64, nanos: i32) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let whole = time.format(form).ok()?;
    Some(format!("{whole}{}Z", fraction(u32::try_from(nanos).ok()?)))
}

/// "1814400s", "0.500s".
pub fn write_duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs()))
}

/// None, three, six or nine digits.
fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!(".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => format!(".{:06}", n / 1_000),
        n => format!(".{n:09}"),
    }
}

/// Seconds and nanoseconds of an RFC 3339 time.
pub fn read_timestamp(text: &str) -> Option<(i64, i32)> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
    Some((time.unix_timestamp(), i32::try_from(time.nanosecond()).ok()?))
}

/// Seconds and nanoseconds of a span such as "1.5s".
pub fn read_duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    if !plain || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Some((seconds.checked_mul(i64::from(sign))?, nanos.checked_mul(sign)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_went() {
        let times = [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, 120_000_000, "2023-11-14T22:13:20.120Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        ];
        for (seconds, nanos, text) in times {
            assert_eq!(write_timestamp(seconds, nanos).as_deref(), Some(text));
            assert_eq!(read_timestamp(text), Some((seconds, nanos)));
        }
        assert_eq!(read_timestamp("2023-11-15T00:13:20+02:00"), Some((1_700_000_000, 0)));
        assert_eq!(write_timestamp(i64::MAX, 0), None);
    }

    #[test]
    fn spans_come_back_as_they_went() {
        let spans = [
            (1_814_400, 0, "1814400s"),
            (0, 500_000_000, "0.500s"),
            (-1, -1_000, "-1.000001s"),
            (0, 1, "0.000000001s"),
        ];
        for (seconds, nanos, text) in spans {
            assert_eq!(write_duration(seconds, nanos), text);
            assert_eq!(read_duration(text), Some((seconds, nanos)));
        }
        for bad in ["", "1", "xs", "1.0000000001s", "--1s"] {
            assert_eq!(read_duration(bad), None, "{bad:?}");
        }
    }
}
