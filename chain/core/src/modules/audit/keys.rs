//! Keys of audit.

use crate::types::Address;

const RECORD: u8 = 0x18;

pub fn records() -> Vec<u8> {
    vec![RECORD]
}

/// By provider, since that is what is asked for.
pub fn records_about(provider: &Address) -> Vec<u8> {
    [&[RECORD][..], provider.as_bytes()].concat()
}

pub fn record(provider: &Address, auditor: &Address) -> Vec<u8> {
    [&[RECORD][..], provider.as_bytes(), auditor.as_bytes()].concat()
}

/// Provider and auditor.
pub fn record_parts(key: &[u8]) -> Option<(Address, Address)> {
    let (_, rest) = key.split_first()?;
    let (provider, auditor) = rest.split_first_chunk::<{ Address::LEN }>()?;
    Some((Address::new(*provider), Address::new(auditor.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let (provider, auditor) = (Address::new([1; 20]), Address::new([2; 20]));
        let key = record(&provider, &auditor);
        assert_eq!(key, [&[0x18][..], &[1; 20], &[2; 20]].concat());
        assert!(key.starts_with(&records_about(&provider)));
        assert!(key.starts_with(&records()));
        assert_eq!(record_parts(&key), Some((provider, auditor)));
    }
}
