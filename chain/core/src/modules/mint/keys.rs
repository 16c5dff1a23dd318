//! Keys of mint.

const PARAMS: u8 = 0x54;
const MINTER: u8 = 0x55;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn minter() -> Vec<u8> {
    vec![MINTER]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        assert_eq!(params(), [0x54]);
        assert_eq!(minter(), [0x55]);
    }
}
