//! Certificates of providers and tenants.

use std::collections::BTreeMap;

use rcgen::{
    date_time_ymd, BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use stoa_chain::types::Address;

use crate::scenario::Cast;

fn params(owner: Address) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, owner.to_string());
    params
}

fn sign(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// A tenant's; each has another serial number.
pub fn leaf(owner: Address) -> Vec<u8> {
    sign(&params(owner))
}

/// A root for each provider.
pub fn roots(cast: &Cast) -> BTreeMap<Address, Vec<u8>> {
    let root = |owner| {
        let mut params = params(owner);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        sign(&params)
    };
    cast.providers.iter().map(|actor| (actor.address, root(actor.address))).collect()
}
