//! A validator's signed request to be in the genesis document.

use secp256k1::{Message, Secp256k1, SecretKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoa_chain::{
    modules::auth::{PublicKey, SignatureCheck},
    types::Address,
};

use crate::{document::ConsensusKey, Document, GenesisError, Validator};

/// Sets what is signed here apart from every other signature of the key.
const DOMAIN: &[u8] = b"stoa genesis transaction, version 1\n";

/// Longest moniker in bytes, as in validators' descriptions.
pub const MAX_MONIKER: usize = 70;

/// What a validator's operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GentxBody {
    /// The chain for which it is meant.
    pub chain_id: String,
    /// The validator's name for people.
    pub moniker: String,
    /// Account of the operator, whose key signs.
    pub operator: Address,
    /// The validator's consensus key.
    pub consensus_key: ConsensusKey,
    /// Voting power at the beginning.
    pub power: u32,
    /// `ID@host:port` under which peers find the node; may be empty.
    #[serde(default)]
    pub peer: String,
}

/// A signed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gentx {
    /// What is asked for.
    pub body: GentxBody,
    /// The operator's public key.
    pub public_key: PublicKey,
    /// 64 bytes over the body, in hex.
    pub signature: String,
}

/// The operator's secret key, in memory only.
pub struct OperatorKey(SecretKey);

impl OperatorKey {
    /// The secp256k1 key of these bytes.
    ///
    /// # Errors
    /// If they are no key (zero, or beyond the curve's order).
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, GenesisError> {
        SecretKey::from_byte_array(bytes)
            .map(Self)
            .map_err(|_| GenesisError::field("operator key", "the bytes are no secp256k1 key"))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::Secp256k1(self.0.public_key(&Secp256k1::signing_only()).serialize())
    }

    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let message = Message::from_digest(Sha256::digest(bytes).into());
        Secp256k1::signing_only().sign_ecdsa(message, &self.0).serialize_compact()
    }
}

impl std::fmt::Debug for OperatorKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "OperatorKey({})", self.public().address())
    }
}

impl GentxBody {
    /// The bytes that are signed: the domain, then the body as compact JSON in field order.
    fn sign_bytes(&self) -> Result<Vec<u8>, GenesisError> {
        let mut bytes = DOMAIN.to_vec();
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }
}

impl Gentx {
    /// Signs a request with the operator's key.
    ///
    /// # Errors
    /// If the body is wrong in itself or names another operator.
    pub fn sign(body: GentxBody, key: &OperatorKey) -> Result<Self, GenesisError> {
        let signature = hex::encode(key.sign(&body.sign_bytes()?));
        let gentx = Self { body, public_key: key.public(), signature };
        gentx.verify()?;
        Ok(gentx)
    }

    /// Reads a request; that it is right, [`Self::verify`] says.
    ///
    /// # Errors
    /// If it is not JSON of this shape.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        Ok(serde_json::from_str(text)?)
    }

    /// Looks at everything that can be told without a document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self) -> Result<(), GenesisError> {
        let GentxBody { moniker, operator, consensus_key, power, .. } = &self.body;
        if moniker.is_empty() || moniker.len() > MAX_MONIKER {
            return Err(self.refuse(format!("a moniker has 1 to {MAX_MONIKER} bytes")));
        }
        consensus_key.bytes().map_err(|reason| self.refuse(reason))?;
        if *power == 0 {
            return Err(self.refuse("power 0 validates nothing; give at least 1"));
        }
        if self.public_key.address() != *operator {
            let signer = self.public_key.address();
            return Err(self.refuse(format!("signed by {signer}, but the operator is {operator}")));
        }
        let signature = hex::decode(&self.signature)
            .map_err(|error| self.refuse(format!("the signature is not hex: {error}")))?;
        let sign_bytes = self.body.sign_bytes()?.into();
        let check = SignatureCheck { public_key: self.public_key, sign_bytes, signature };
        if !check.verify() {
            return Err(self.refuse("the signature does not fit; was the file changed?"));
        }
        Ok(())
    }

    pub(crate) fn refuse(&self, reason: impl Into<String>) -> GenesisError {
        GenesisError::Gentx { moniker: self.body.moniker.clone(), reason: reason.into() }
    }
}

impl Document {
    /// Makes the validators of the document those of the requests, in the order of their keys,
    /// so that everybody who collects the same requests gets the same document.
    ///
    /// # Errors
    /// If a request is wrong, is meant for another chain, comes from an account that is not in
    /// the document, or two of them share an operator or a key.
    pub fn collect(&mut self, gentxs: &[Gentx]) -> Result<(), GenesisError> {
        let mut sorted: Vec<&Gentx> = gentxs.iter().collect();
        sorted.sort_by(|a, b| a.body.consensus_key.value.cmp(&b.body.consensus_key.value));
        let mut operators = std::collections::BTreeSet::new();
        let mut validators: Vec<Validator> = Vec::with_capacity(sorted.len());
        for gentx in sorted {
            gentx.verify()?;
            self.check_fits(gentx)?;
            if !operators.insert(gentx.body.operator) {
                return Err(gentx.refuse("its operator has another request already"));
            }
            let validator = to_validator(gentx)?;
            if validators.last().is_some_and(|last| last.pub_key == validator.pub_key) {
                return Err(gentx.refuse("another request has the same consensus key"));
            }
            validators.push(validator);
        }
        self.validators = validators;
        Ok(())
    }

    fn check_fits(&self, gentx: &Gentx) -> Result<(), GenesisError> {
        let GentxBody { chain_id, operator, .. } = &gentx.body;
        if *chain_id != self.chain_id {
            let ours = &self.chain_id;
            return Err(gentx.refuse(format!("it is meant for chain {chain_id}, not {ours}")));
        }
        let accounts = &self.app_state.auth.accounts;
        if !accounts.iter().any(|known| known.address == *operator) {
            return Err(gentx.refuse(format!(
                "its operator {operator} has no account; add it with add-genesis-account"
            )));
        }
        Ok(())
    }
}

fn to_validator(gentx: &Gentx) -> Result<Validator, GenesisError> {
    let GentxBody { consensus_key, power, moniker, .. } = &gentx.body;
    Ok(Validator {
        address: consensus_key.address().map_err(|reason| gentx.refuse(reason))?,
        pub_key: consensus_key.clone(),
        power: i64::from(*power),
        name: moniker.clone(),
    })
}
