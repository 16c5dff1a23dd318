//! Keys of upgrade.

const PLAN: u8 = 0x70;
const APPLIED: u8 = 0x71;
const STATE_VERSION: u8 = 0x72;

pub fn plan() -> Vec<u8> {
    vec![PLAN]
}

pub fn all_applied() -> Vec<u8> {
    vec![APPLIED]
}

pub fn applied(name: &str) -> Vec<u8> {
    [&[APPLIED], name.as_bytes()].concat()
}

pub fn applied_name(key: &[u8]) -> Option<String> {
    let (_, name) = key.split_first()?;
    String::from_utf8(name.to_vec()).ok()
}

pub fn state_version() -> Vec<u8> {
    vec![STATE_VERSION]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        assert_eq!(plan(), [0x70]);
        assert_eq!(applied("v2"), b"\x71v2");
        assert_eq!(applied_name(&applied("v2")).as_deref(), Some("v2"));
        assert_eq!(state_version(), [0x72]);
    }
}
