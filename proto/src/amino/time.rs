//! Times and durations as text.

/// First and last second that protobuf's `Timestamp` has: years 1 to 9999.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

const DAY: i64 = 86_400;

/// RFC 3339 in UTC, with as many digits of a second as it needs; none where it
/// is no time.
pub fn rfc3339(seconds: i64, nanos: i32) -> Option<String> {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    if !RANGE.contains(&seconds) {
        return None;
    }
    let (year, month, day) = date(seconds.div_euclid(DAY))?;
    let second = seconds.rem_euclid(DAY);
    let (hour, rest) = (second.checked_div(3_600)?, second.checked_rem(3_600)?);
    let (minute, second) = (rest.checked_div(60)?, rest.checked_rem(60)?);
    let fraction = match nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`: years begin in March, eras have 400 years.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(719_468)?;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let leap_days = day_of_era
        .checked_sub(day_of_era.checked_div(1_460)?)?
        .checked_add(day_of_era.checked_div(36_524)?)?
        .checked_sub(day_of_era.checked_div(146_096)?)?;
    let year_of_era = leap_days.checked_div(365)?;
    let before = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era.checked_div(4)?)?
        .checked_sub(year_of_era.checked_div(100)?)?;
    let day_of_year = day_of_era.checked_sub(before)?;
    let shifted = day_of_year.checked_mul(5)?.checked_add(2)?.checked_div(153)?;
    let month_start = shifted.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let day = day_of_year.checked_sub(month_start)?.checked_add(1)?;
    let (month, later) =
        if shifted < 10 { (shifted.checked_add(3)?, 0) } else { (shifted.checked_sub(9)?, 1) };
    let year = era.checked_mul(400)?.checked_add(year_of_era)?.checked_add(later)?;
    Some((year, month, day))
}

/// A duration in nanoseconds; none where it does not fit.
pub fn nanoseconds(seconds: i64, nanos: i32) -> Option<i64> {
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let cases = [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (1_800_000_000, 120_000_000, "2027-01-15T08:00:00.12Z"),
            (-1, 1, "1969-12-31T23:59:59.000000001Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        ];
        for (seconds, nanos, wanted) in cases {
            assert_eq!(rfc3339(seconds, nanos).as_deref(), Some(wanted));
        }
        assert_eq!(rfc3339(253_402_300_800, 0), None);
        assert_eq!(rfc3339(0, -1), None);
        assert_eq!(rfc3339(0, 1_000_000_000), None);
    }

    // Every day of 800 years, against a calendar that counts.
    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1_600, 1, 1);
        for number in -135_140..157_100 {
            assert_eq!(date(number), Some((year, month, day)), "{number}");
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > days {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
