use proptest::prelude::*;
use rcgen::{date_time_ymd, CertificateParams, KeyPair, KeyUsagePurpose, SerialNumber};

use super::forge::{authority, extension, leaf, name, sign, value, Parts};
use super::{Certificate, Error};
use crate::types::Address;

const NOW: u64 = 1_800_000_000;

fn owner() -> Address {
    Address::new([5; 20])
}

fn read(der: &[u8]) -> Result<Certificate, Error> {
    Certificate::read(der, &owner())
}

/// The number of what is wrong with a spelled-out certificate.
fn number(change: impl FnOnce(&mut Parts)) -> u32 {
    let mut parts = Parts::right(&owner());
    change(&mut parts);
    read(&parts.signed()).unwrap_err().number()
}

fn is_root(der: &[u8]) -> Result<(), Error> {
    let certificate = read(der)?;
    certificate.check_time(NOW)?;
    certificate.check_authority()
}

fn signed_with(params: &CertificateParams, kind: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    let key = KeyPair::generate_for(kind).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn roots_on_both_curves_are_taken() {
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        is_root(&signed_with(&authority(&owner()), kind)).unwrap();
    }
    is_root(&Parts::right(&owner()).signed()).unwrap();
}

#[test]
fn a_leaf_is_read_but_is_no_authority() {
    let certificate = read(&sign(&leaf(&owner()))).unwrap();
    assert_eq!(certificate.check_authority(), Err(Error::NotAuthority));
}

#[test]
fn a_root_with_a_key_usage_must_be_able_to_sign_certificates() {
    let mut params = authority(&owner());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    assert_eq!(read(&sign(&params)).unwrap().check_authority(), Err(Error::KeyUsage));
    params.key_usages.clear();
    is_root(&sign(&params)).unwrap();
}

#[test]
fn validity_includes_both_of_its_ends() {
    let mut params = leaf(&owner());
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 2);
    let certificate = read(&sign(&params)).unwrap();
    let (start, end) = (1_577_836_800, 1_577_923_200);
    assert_eq!(certificate.check_time(start), Ok(()));
    assert_eq!(certificate.check_time(end), Ok(()));
    assert_eq!(certificate.check_time(start - 1).unwrap_err().number(), 7);
    assert_eq!(certificate.check_time(end + 1).unwrap_err().number(), 8);
    assert_eq!(certificate.check_time(u64::MAX).unwrap_err().number(), 8);
}

#[test]
fn size_is_bounded_before_anything_is_read() {
    assert_eq!(read(&vec![0x30; 4_097]).unwrap_err().number(), 1);
}

#[test]
fn there_is_exactly_one_certificate_and_nothing_else() {
    let der = Parts::right(&owner()).signed();
    assert_eq!(read(&[der.clone(), vec![0]].concat()).unwrap_err().number(), 2);
    assert_eq!(read(&[der.clone(), der.clone()].concat()).unwrap_err().number(), 2);
    assert_eq!(read(&der[..der.len() - 1]).unwrap_err().number(), 2);
    assert_eq!(read(&[]).unwrap_err().number(), 2);
    assert_eq!(read(b"-----BEGIN CERTIFICATE-----").unwrap_err().number(), 2);
}

#[test]
fn fields_after_the_last_known_one_are_refused() {
    assert_eq!(number(|parts| parts.after_extensions = value(0x05, &[])), 2);
}

#[test]
fn versions_before_the_third_and_unique_identifiers_are_refused() {
    assert_eq!(number(|parts| parts.version = value(0xa0, &value(0x02, &[1]))), 3);
    assert_eq!(number(|parts| parts.after_key = value(0x81, &[0x00, 0xff])), 3);
}

#[test]
fn serial_numbers_are_positive_shortest_and_bounded() {
    let with = |content: Vec<u8>| {
        let mut parts = Parts::right(&owner());
        parts.serial = value(0x02, &content);
        read(&parts.signed())
    };
    for bad in [vec![0], vec![0x80], vec![0xff, 1], vec![0, 1], vec![1; 21], vec![]] {
        assert!(matches!(with(bad.clone()), Err(Error::Serial | Error::Malformed(_))), "{bad:?}");
    }
    assert_eq!(with(vec![0x80]).unwrap_err().number(), 4);
    assert_eq!(with(vec![0, 0x80]).unwrap().serial(), [0x80]);
    assert_eq!(with(vec![1; 20]).unwrap().serial(), [1; 20]);
    let mut params = leaf(&owner());
    params.serial_number = Some(SerialNumber::from_slice(&[0x12, 0x34]));
    assert_eq!(read(&sign(&params)).unwrap().serial(), [0x12, 0x34]);
}

#[test]
fn another_issuer_is_refused() {
    assert_eq!(number(|parts| parts.issuer = name(&["somebody"])), 5);
}

#[test]
fn the_one_common_name_is_the_owners() {
    let other = Address::new([6; 20]).to_string();
    let own = owner().to_string();
    for names in [vec![], vec![other.as_str()], vec![own.as_str(), own.as_str()]] {
        let found = number(|parts| {
            parts.subject = name(&names);
            parts.issuer = name(&names);
        });
        assert_eq!(found, 6, "{names:?}");
    }
    let mut upper = leaf(&owner());
    upper.distinguished_name.push(rcgen::DnType::CommonName, own.to_uppercase());
    assert_eq!(read(&sign(&upper)).unwrap_err().number(), 6);
}

#[test]
fn other_algorithms_are_refused() {
    let p384 = signed_with(&leaf(&owner()), &rcgen::PKCS_ECDSA_P384_SHA384);
    assert_eq!(read(&p384).unwrap_err().number(), 9);
    let with_null = [value(0x06, &[0x2b, 0x65, 0x70]), value(0x05, &[])].concat();
    let with_null = value(0x30, &with_null);
    assert_eq!(number(|parts| parts.outer_algorithm = with_null.clone()), 9, "they differ");
    let both_with_it = number(|parts| {
        parts.outer_algorithm = with_null.clone();
        parts.algorithm = with_null.clone();
    });
    assert_eq!(both_with_it, 9, "parameters");
    let short = [parts_algorithm(), value(0x03, &[0, 1, 2])].concat();
    assert_eq!(number(|parts| parts.key = value(0x30, &short)), 9, "a short key");
}

fn parts_algorithm() -> Vec<u8> {
    Parts::right(&owner()).algorithm
}

#[test]
fn a_signature_of_other_bytes_is_refused() {
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let mut der = signed_with(&leaf(&owner()), kind);
        *der.last_mut().unwrap() ^= 1;
        assert_eq!(read(&der).unwrap_err(), Error::Signature);
    }
    // Somebody else's key under the same names.
    let signer = KeyPair::generate().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = authority(&owner());
    let issuer = rcgen::Issuer::new(params.clone(), signer);
    let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
    assert_eq!(read(&der).unwrap_err(), Error::Signature);
}

#[test]
fn extensions_are_few_distinct_and_known_where_critical() {
    let fill = |parts: &mut Parts, count: u8| {
        parts.extensions.extend((0..count).map(|id| extension(0x40 + id, false, &[])));
    };
    let mut parts = Parts::right(&owner());
    fill(&mut parts, 15);
    read(&parts.signed()).unwrap();
    assert_eq!(number(|parts| fill(parts, 16)), 11);
    assert_eq!(number(|parts| parts.extensions.push(parts.extensions[0].clone())), 12);
    assert_eq!(number(|parts| parts.extensions.push(extension(0x40, true, &[]))), 12);
    let junk = extension(0x13, true, &[0x30, 0x05]);
    assert_eq!(number(|parts| parts.extensions = vec![junk]), 12);
    let beside = extension(0x0f, true, &[0x03, 0x02, 0x01, 0x06, 0x00]);
    assert_eq!(number(|parts| parts.extensions.push(beside)), 12);
}

#[test]
fn every_changed_bit_is_refused() {
    let good = Parts::right(&owner()).signed();
    read(&good).unwrap();
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut der = good.clone();
            der[index] ^= 1 << bit;
            assert!(read(&der).is_err(), "bit {bit} of byte {index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn no_splice_makes_it_panic(
        cuts in prop::collection::vec((0usize..10_000, 0usize..40, prop::collection::vec(any::<u8>(), 0..6)), 1..6),
    ) {
        let mut der = Parts::right(&owner()).signed();
        for (at, drop, insert) in cuts {
            let start = at % der.len();
            let end = (start + drop).min(der.len());
            der.splice(start..end, insert);
            if der.is_empty() {
                der.push(0);
            }
        }
        let _ = read(&der);
        let _ = super::parse(&der);
    }
}
