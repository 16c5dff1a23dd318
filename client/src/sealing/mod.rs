//! Secrets from a tenant to one provider, over anybody: HPKE (RFC 9180) with
//! X25519, HKDF-SHA256 and ChaCha20-Poly1305.
//!
//! Two bindings stand around the values. The tenant's certificate signs names
//! and values together with chain, deployment, version, group and revision, so
//! that no provider can make up secrets for another. And what is sealed is
//! bound to all of that and the recipient, so that no text can be moved. The
//! recipient may seal the same signed values anew to a provider that takes its
//! group over.

mod key;
mod statement;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use hpke::{
    aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256, Deserializable, OpModeR,
    OpModeS, Serializable,
};
use serde::{Deserialize, Serialize};
use stoa_proto::{gateway::v1::SealedSecrets, types::v1::DeploymentId};
use zeroize::Zeroizing;

pub use key::SealingSecret;
pub use statement::{check_statement, make_statement};
pub use values::{Value, Values, MAX_SECRETS, MAX_VALUE, MAX_VALUES_BYTES};

use crate::{
    ids::TextId,
    tls::{common_name, verify_signature, Identity},
    Error, Result,
};

type Aead = ChaCha20Poly1305;
type Kdf = HkdfSha256;
type Kem = X25519HkdfSha256;

/// What HPKE is told that it is used for.
const INFO: &[u8] = b"stoa-secrets/1";
/// What is signed begins so.
const SIGNED: &str = "stoa-secrets-signed/1";
/// What is bound begins so.
const BOUND: &str = "stoa-secrets-bound/1";
/// A text's length tells no more of its values than this.
const PADDING: usize = 512;
/// More is refused unread.
pub const MAX_TEXT: usize = 768 << 10;

/// What secrets are for.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    pub chain_id: String,
    pub deployment: DeploymentId,
    /// Hex.
    pub version: String,
    pub group: String,
    /// The tenant's count of sealings; the highest counts.
    pub revision: u64,
}

impl Binding {
    /// Of a bundle.
    pub fn of(chain_id: &str, bundle: &SealedSecrets) -> Self {
        Self {
            chain_id: chain_id.into(),
            deployment: bundle.deployment.clone().unwrap_or_default(),
            version: bundle.version.clone(),
            group: bundle.group.clone(),
            revision: bundle.revision,
        }
    }

    fn form(&self, domain: &str) -> Form {
        let mut form = Form::default();
        form.text(domain).text(&self.chain_id).text(&self.deployment.text());
        form.text(&self.version).text(&self.group).text(&self.revision.to_string());
        form
    }

    fn bound(&self, recipient: &str) -> Vec<u8> {
        let mut form = self.form(BOUND);
        form.text(recipient);
        form.0
    }

    fn signed(&self, values: &Values) -> Zeroizing<Vec<u8>> {
        let mut form = self.form(SIGNED);
        for (name, value) in values.iter() {
            form.text(name).text(value.expose());
        }
        Zeroizing::new(form.0)
    }
}

/// Length-prefixed texts: two lists never have one form.
#[derive(Default)]
struct Form(Vec<u8>);

impl Form {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }
}

/// Values with the tenant's word for them. `Debug` shows names alone.
#[derive(Clone)]
pub struct Signed {
    pub binding: Binding,
    pub values: Values,
    /// DER; on chain, or it counts for nothing.
    pub certificate: Vec<u8>,
    signature: Vec<u8>,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed")
            .field("binding", &self.binding)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}

/// What is sealed, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    values: BTreeMap<String, Value>,
    /// Hex.
    certificate: String,
    signature: String,
}

impl Signed {
    /// The tenant's word for values.
    pub fn new(binding: Binding, values: Values, tenant: &Identity) -> Result<Self> {
        values.check()?;
        let signature = tenant.sign(&binding.signed(&values))?;
        Ok(Self { binding, values, certificate: tenant.certificate().to_vec(), signature })
    }

    /// Refuses what the deployment's owner did not sign. That the certificate
    /// is on chain is the caller's to see.
    fn check(&self) -> Result<()> {
        self.values.check()?;
        let owner = common_name(&self.certificate)?;
        if owner != self.binding.deployment.owner {
            return Err(Error::Tls(format!(
                "the secrets are signed by {owner} and not by {}",
                self.binding.deployment.owner
            )));
        }
        verify_signature(&self.certificate, &self.binding.signed(&self.values), &self.signature)
    }

    /// Seals to a provider's public key.
    pub fn seal(&self, recipient: &str, public_key: &[u8]) -> Result<SealedSecrets> {
        let bad = |_| Error::Invalid(format!("the sealing key of {recipient} is none"));
        let key = <Kem as hpke::Kem>::PublicKey::from_bytes(public_key).map_err(bad)?;
        let (encapsulated, ciphertext) = hpke::single_shot_seal::<Aead, Kdf, Kem>(
            &OpModeS::Base,
            &key,
            INFO,
            &self.text()?,
            &self.binding.bound(recipient),
        )
        .map_err(bad)?;
        Ok(SealedSecrets {
            deployment: Some(self.binding.deployment.clone()),
            version: self.binding.version.clone(),
            group: self.binding.group.clone(),
            recipient: recipient.into(),
            revision: self.binding.revision,
            encapsulated_key: encapsulated.to_bytes().to_vec(),
            ciphertext,
        })
    }

    fn text(&self) -> Result<Zeroizing<Vec<u8>>> {
        let text = Text {
            values: self.values.clone().into_map(),
            certificate: hex::encode(&self.certificate),
            signature: hex::encode(&self.signature),
        };
        let bytes = serde_json::to_vec(&text).map_err(|e| Error::Invalid(e.to_string()))?;
        let mut bytes = Zeroizing::new(bytes);
        // JSON may end in blanks.
        let padded = bytes.len().next_multiple_of(PADDING);
        bytes.resize(padded, b' ');
        Ok(bytes)
    }
}

/// Opens what was sealed to this key for `recipient`, and checks that the
/// deployment's owner signed it.
///
/// # Errors
/// None of them, nor any log, has a word of the text in it.
pub fn open(
    chain_id: &str,
    recipient: &str,
    key: &SealingSecret,
    bundle: &SealedSecrets,
) -> Result<Signed> {
    let binding = Binding::of(chain_id, bundle);
    let closed = || {
        Error::Invalid(format!(
            "the secrets for group {} of {} do not open: they are for another provider, key, \
             version or chain",
            binding.group,
            binding.deployment.text()
        ))
    };
    if bundle.recipient != recipient || bundle.ciphertext.len() > MAX_TEXT {
        return Err(closed());
    }
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&bundle.encapsulated_key);
    let text = hpke::single_shot_open::<Aead, Kdf, Kem>(
        &OpModeR::Base,
        key.private(),
        &encapsulated.map_err(|_| closed())?,
        INFO,
        &bundle.ciphertext,
        &binding.bound(recipient),
    )
    .map_err(|_| closed())?;
    let text = Zeroizing::new(text);
    // serde's own error might repeat a piece of what it read.
    let text: Text = serde_json::from_slice(&text).map_err(|_| {
        Error::Invalid("the sealed text is not of the form that it should be".into())
    })?;
    let hex = |text: &str| hex::decode(text).map_err(|_| closed());
    let (certificate, signature) = (hex(&text.certificate)?, hex(&text.signature)?);
    let signed = Signed { binding, values: Values::from(text.values), certificate, signature };
    signed.check()?;
    Ok(signed)
}
