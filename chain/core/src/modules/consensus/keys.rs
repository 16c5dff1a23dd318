//! Keys of consensus.

const PARAMS: u8 = 0x74;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        assert_eq!(params(), [0x74]);
    }
}
