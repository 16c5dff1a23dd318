//! Each tunnel's own key and certificate of this side, renewed before it
//! ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoa_client::tls::{self, tunnel_leaf, Identity};
use stoa_tunnel::overlay::{tunnel_name, Credential};

/// All of them, by their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Credentials(BTreeMap<String, Own>);

#[derive(Clone, Serialize, Deserialize)]
struct Own {
    chain: String,
    key: String,
    /// Unix seconds.
    made: u64,
    renew_at: u64,
    /// When the certificate ends, in Unix seconds. What an older version made
    /// does not say, and is made anew.
    #[serde(default)]
    not_after: i64,
    /// SHA-256 of the root that signed it, in hex.
    root: String,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("made", &self.made).finish_non_exhaustive()
    }
}

impl Credentials {
    /// The id of this tunnel's, made now where there is none that is good.
    /// `side` is `out` or `in`: both ends may be here. What the root of the
    /// fingerprint `also` has signed is good too.
    pub(super) fn ensure(
        &mut self,
        side: &str,
        descriptor: &str,
        root: &Identity,
        also: Option<&str>,
        seconds: u64,
    ) -> anyhow::Result<String> {
        let id = format!("{side} {descriptor}");
        let now = now();
        let signer = fingerprint(root.certificate());
        let good = |own: &Own| {
            let signed = own.root == signer || Some(own.root.as_str()) == also;
            signed && own.renew_at > now && own.made <= now && own.not_after > 0
        };
        if !self.0.get(&id).is_some_and(good) {
            let leaf = tunnel_leaf(root, &tunnel_name(descriptor), seconds)?;
            let own = Own {
                chain: leaf.certificates_pem(),
                key: leaf.key_pem().to_string(),
                made: now,
                renew_at: now.saturating_add(seconds / 2),
                not_after: tls::validity(leaf.certificate())?.not_after,
                root: signer,
            };
            self.0.insert(id.clone(), own);
        }
        Ok(id)
    }

    /// Forgets all but these.
    pub(super) fn keep(&mut self, used: &BTreeSet<String>) {
        self.0.retain(|id, _| used.contains(id));
    }

    /// For the data plane.
    pub(super) fn all(&self) -> Vec<Credential> {
        let one = |(id, own): (&String, &Own)| Credential {
            id: id.clone(),
            chain: own.chain.clone(),
            key: own.key.clone(),
        };
        self.0.iter().map(one).collect()
    }

    /// The certificate shown under an id, in DER, and when it ends, in Unix
    /// seconds.
    pub(super) fn shown(&self, id: &str) -> Option<(Vec<u8>, i64)> {
        let own = self.0.get(id)?;
        let ders = tls::certificates_of_pem(&own.chain).ok()?;
        Some((ders.into_iter().next()?, own.not_after))
    }
}

pub(super) fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// Unix seconds by this machine's clock.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use stoa_client::tls::provider_root;

    use super::*;

    impl Credentials {
        fn certificate(&self, id: &str) -> Option<Vec<u8>> {
            self.shown(id).map(|(certificate, _)| certificate)
        }
    }

    #[test]
    fn a_certificate_stays_until_its_half_is_over_or_the_root_changes() {
        let root = provider_root("p", 30).unwrap();
        let mut all = Credentials::default();
        let id = all.ensure("out", "a > b", &root, None, 3_600).unwrap();
        let first = all.certificate(&id).unwrap();
        all.ensure("out", "a > b", &root, None, 3_600).unwrap();
        assert_eq!(all.certificate(&id).unwrap(), first);
        let other = all.ensure("in", "a > b", &root, None, 3_600).unwrap();
        assert_ne!(all.certificate(&other).unwrap(), first);

        all.0.get_mut(&id).unwrap().renew_at = now();
        all.ensure("out", "a > b", &root, None, 3_600).unwrap();
        let second = all.certificate(&id).unwrap();
        assert_ne!(second, first);

        let rotated = provider_root("p", 30).unwrap();
        let before = fingerprint(root.certificate());
        all.ensure("out", "a > b", &rotated, Some(&before), 3_600).unwrap();
        assert_eq!(all.certificate(&id).unwrap(), second, "others know the root before");
        all.ensure("out", "a > b", &rotated, None, 3_600).unwrap();
        assert_ne!(all.certificate(&id).unwrap(), second);
        assert!(!format!("{all:?}").contains("PRIVATE"), "{all:?}");
        let (certificate, ends) = all.shown(&id).unwrap();
        assert_eq!(tls::validity(&certificate).unwrap().not_after, ends);
        assert!((ends - now() as i64 - 3_600).abs() < 60, "{ends}");
        // As an older version has left it.
        all.0.get_mut(&id).unwrap().not_after = 0;
        all.ensure("out", "a > b", &rotated, None, 3_600).unwrap();
        assert!(all.shown(&id).unwrap().1 >= ends);
        assert_ne!(all.certificate(&id).unwrap(), certificate);
    }
}
