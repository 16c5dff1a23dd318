//! Keys of authz.

use crate::types::Address;

const GRANT: u8 = 0x68;
/// Derived: by who may use it.
const BY_GRANTEE: u8 = 0xd0;
/// Derived: by its last second.
const EXPIRING: u8 = 0xd1;

/// Who grants what to whom: the type URL by which a grant is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub granter: Address,
    pub grantee: Address,
    pub url: String,
}

pub fn grants() -> Vec<u8> {
    vec![GRANT]
}

pub fn grants_from(granter: &Address) -> Vec<u8> {
    [&[GRANT], granter.as_bytes().as_slice()].concat()
}

pub fn grants_between(granter: &Address, grantee: &Address) -> Vec<u8> {
    [&[GRANT], granter.as_bytes().as_slice(), grantee.as_bytes()].concat()
}

pub fn grant(subject: &Subject) -> Vec<u8> {
    let mut key = grants_between(&subject.granter, &subject.grantee);
    key.extend(subject.url.as_bytes());
    key
}

pub fn grant_subject(key: &[u8]) -> Option<Subject> {
    let (granter, grantee, url) = parts(key.get(1..)?)?;
    Some(Subject { granter, grantee, url })
}

pub fn by_grantees() -> Vec<u8> {
    vec![BY_GRANTEE]
}

pub fn by_grantee_of(grantee: &Address) -> Vec<u8> {
    [&[BY_GRANTEE], grantee.as_bytes().as_slice()].concat()
}

pub fn by_grantee(subject: &Subject) -> Vec<u8> {
    let Subject { granter, grantee, url } = subject;
    let parties = [grantee.as_bytes().as_slice(), granter.as_bytes()].concat();
    [&[BY_GRANTEE], parties.as_slice(), url.as_bytes()].concat()
}

pub fn by_grantee_subject(key: &[u8]) -> Option<Subject> {
    let (grantee, granter, url) = parts(key.get(1..)?)?;
    Some(Subject { granter, grantee, url })
}

pub fn expirations() -> Vec<u8> {
    vec![EXPIRING]
}

/// The first entry of a grant whose last second is `time` or later.
pub fn expiring_from(time: u64) -> Vec<u8> {
    [&[EXPIRING], time.to_be_bytes().as_slice()].concat()
}

pub fn expiring(time: u64, subject: &Subject) -> Vec<u8> {
    let mut key = expiring_from(time);
    key.extend(subject.granter.as_bytes());
    key.extend(subject.grantee.as_bytes());
    key.extend(subject.url.as_bytes());
    key
}

pub fn expiring_subject(key: &[u8]) -> Option<Subject> {
    let (granter, grantee, url) = parts(key.get(9..)?)?;
    Some(Subject { granter, grantee, url })
}

fn parts(bytes: &[u8]) -> Option<(Address, Address, String)> {
    let (first, rest) = bytes.split_first_chunk::<{ Address::LEN }>()?;
    let (second, url) = rest.split_first_chunk::<{ Address::LEN }>()?;
    Some((Address::new(*first), Address::new(*second), String::from_utf8(url.to_vec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let subject = Subject {
            granter: Address::new([1; 20]),
            grantee: Address::new([2; 20]),
            url: "/x".to_owned(),
        };
        let key = grant(&subject);
        assert_eq!(key, [&[0x68][..], &[1; 20], &[2; 20], b"/x"].concat());
        assert_eq!(grant_subject(&key).as_ref(), Some(&subject));
        let key = by_grantee(&subject);
        assert_eq!(key, [&[0xd0][..], &[2; 20], &[1; 20], b"/x"].concat());
        assert_eq!(by_grantee_subject(&key).as_ref(), Some(&subject));
        let key = expiring(258, &subject);
        let time = [0xd1, 0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(key, [&time[..], &[1; 20], &[2; 20], b"/x"].concat());
        assert_eq!(expiring_subject(&key).as_ref(), Some(&subject));
    }
}
