//! Times as protobuf has them. The chain's clock goes by whole seconds, so
//! parts of a second are dropped.

use cosmos_sdk_proto::tendermint::google::protobuf::Timestamp;

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
}
