//! Keys of slashing.

use crate::types::ConsAddress;

const PARAMS: u8 = 0x50;
const SIGNING_INFO: u8 = 0x51;
const MISSED: u8 = 0x52;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn signing_infos() -> Vec<u8> {
    vec![SIGNING_INFO]
}

pub fn signing_info(validator: &ConsAddress) -> Vec<u8> {
    [&[SIGNING_INFO], validator.as_bytes().as_slice()].concat()
}

pub fn signing_info_validator(key: &[u8]) -> Option<ConsAddress> {
    Some(ConsAddress::new(key.get(1..)?.try_into().ok()?))
}

pub fn missed() -> Vec<u8> {
    vec![MISSED]
}

pub fn missed_by(validator: &ConsAddress) -> Vec<u8> {
    [&[MISSED], validator.as_bytes().as_slice()].concat()
}

/// Of the window's chunks, the one of this number.
pub fn missed_chunk(validator: &ConsAddress, chunk: u32) -> Vec<u8> {
    [&missed_by(validator)[..], &chunk.to_be_bytes()].concat()
}

pub fn missed_chunk_parts(key: &[u8]) -> Option<(ConsAddress, u32)> {
    let (validator, chunk) = key.get(1..)?.split_first_chunk::<20>()?;
    Some((ConsAddress::new(*validator), u32::from_be_bytes(chunk.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were_and_read_back() {
        let validator = ConsAddress::new([0xaa; 20]);
        assert_eq!(params(), [0x50]);
        assert_eq!(signing_info(&validator), [&[0x51][..], &[0xaa; 20]].concat());
        let chunk = [&[0x52][..], &[0xaa; 20], &[0, 0, 1, 2]].concat();
        assert_eq!(missed_chunk(&validator, 258), chunk);
        assert_eq!(signing_info_validator(&signing_info(&validator)), Some(validator));
        assert_eq!(missed_chunk_parts(&chunk), Some((validator, 258)));
    }
}
