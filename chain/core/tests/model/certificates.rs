//! Root certificates for the providers.

use std::collections::BTreeMap;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use stoa_chain::types::Address;

use crate::scenario::Cast;

/// A self-signed CA in the owner's name.
fn root(owner: Address) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, owner.to_string());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// One for each provider.
pub fn roots(cast: &Cast) -> BTreeMap<Address, Vec<u8>> {
    cast.providers.iter().map(|actor| (actor.address, root(actor.address))).collect()
}
