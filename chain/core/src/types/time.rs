//! Times as protobuf has them. The chain's clock goes by whole seconds, so
//! parts of a second are dropped.

use cosmos_sdk_proto::tendermint::google::protobuf::{Duration, Timestamp};

/// The last second that a `Timestamp` may say: the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Unix seconds. None before 1970, after 9999, or with parts of a second that
/// are none.
pub fn seconds_of(time: &Timestamp) -> Option<u64> {
    let seconds = u64::try_from(time.seconds).ok()?;
    (seconds <= LAST && (0..1_000_000_000).contains(&time.nanos)).then_some(seconds)
}

/// So many Unix seconds.
pub fn timestamp(seconds: u64) -> Timestamp {
    Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }
}

/// A period of so many seconds.
pub fn duration(seconds: u64) -> Duration {
    Duration { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }
}

/// Unix seconds as RFC 3339 has them, in UTC: `2027-01-15T08:00:00Z`.
pub fn rfc3339(unix: u64) -> String {
    let (days, second) = div_rem(unix, 86_400);
    let (hour, rest) = div_rem(second, 3_600);
    let (minute, second) = div_rem(rest, 60);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of so many days after 1970-01-01. Years are taken from
/// March on, in eras of 400 years, each of 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let (era, day_of_era) = div_rem(days.saturating_add(719_468), 146_097);
    let leap_days = |every: u64| day_of_era.checked_div(every).unwrap_or_default();
    let year_of_era = day_of_era
        .saturating_sub(leap_days(1_460))
        .saturating_add(leap_days(36_524))
        .saturating_sub(leap_days(146_096));
    let year_of_era = div_rem(year_of_era, 365).0;
    let before = year_of_era
        .saturating_mul(365)
        .saturating_add(div_rem(year_of_era, 4).0)
        .saturating_sub(div_rem(year_of_era, 100).0);
    let day_of_year = day_of_era.saturating_sub(before);
    // Months from March on have 153 days in each five.
    let month = div_rem(day_of_year.saturating_mul(5).saturating_add(2), 153).0;
    let month_begins = div_rem(month.saturating_mul(153).saturating_add(2), 5).0;
    let day = day_of_year.saturating_sub(month_begins).saturating_add(1);
    let january = month >= 10;
    let month = if january { month.saturating_sub(9) } else { month.saturating_add(3) };
    let year = era.saturating_mul(400).saturating_add(year_of_era);
    (year.saturating_add(u64::from(january)), month, day)
}

fn div_rem(a: u64, b: u64) -> (u64, u64) {
    (a.checked_div(b).unwrap_or_default(), a.checked_rem(b).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_after_9999_and_with_broken_parts_are_none() {
        assert_eq!(seconds_of(&timestamp(LAST)), Some(LAST));
        assert_eq!(seconds_of(&Timestamp { seconds: 5, nanos: 999_999_999 }), Some(5));
        for (seconds, nanos) in [(-1, 0), (253_402_300_800, 0), (5, -1), (5, 1_000_000_000)] {
            assert_eq!(seconds_of(&Timestamp { seconds, nanos }), None);
        }
    }

    #[test]
    fn moments_are_written_as_calendars_have_them() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ];
        for (unix, text) in cases {
            assert_eq!(rfc3339(unix), text);
        }
    }
}
