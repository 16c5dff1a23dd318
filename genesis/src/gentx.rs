//! A validator's signed request to be in the genesis document.

use secp256k1::{Message, Secp256k1, SecretKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoa_chain::{
    modules::{
        auth::{PublicKey, SignatureCheck},
        staking::{Commission, UNITS_PER_POWER},
    },
    types::{Address, Amount, Dec, STAKE_DENOM},
};

use crate::{document::ConsensusKey, GenesisError};

/// Sets what is signed here apart from every other signature of the key.
const DOMAIN: &[u8] = b"stoa genesis transaction, version 2\n";

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
    /// What the operator delegates to it of its account, in ustoa.
    pub amount: Amount,
    /// Its part of its delegators' rewards.
    pub commission: CommissionRates,
    /// Under this much of its operator's own it is jailed, in ustoa.
    pub min_self_delegation: Amount,
    /// `ID@host:port` under which peers find the node; may be empty.
    #[serde(default)]
    pub peer: String,
}

/// What a validator asks of its delegators, and promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommissionRates {
    /// Now.
    pub rate: Dec,
    /// Ever.
    pub max_rate: Dec,
    /// Most by which it rises or falls in a day.
    pub max_change_rate: Dec,
}

impl CommissionRates {
    /// As a validator has them from a moment on, in Unix seconds.
    pub fn since(self, updated_at: u64) -> Commission {
        let Self { rate, max_rate, max_change_rate } = self;
        Commission { rate, max_rate, max_change_rate, updated_at }
    }
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
        let GentxBody { moniker, operator, consensus_key, .. } = &self.body;
        let control = moniker.chars().any(char::is_control);
        if moniker.is_empty() || moniker.len() > MAX_MONIKER || control {
            return Err(self.refuse(format!("a moniker has 1 to {MAX_MONIKER} bytes of text")));
        }
        consensus_key.bytes().map_err(|reason| self.refuse(reason))?;
        self.check_stake()?;
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

    fn check_stake(&self) -> Result<(), GenesisError> {
        let GentxBody { amount, commission, min_self_delegation: least, .. } = &self.body;
        if amount.raw() < UNITS_PER_POWER {
            let reason = format!(
                "{amount}{STAKE_DENOM} is less than one vote; delegate at least \
                 {UNITS_PER_POWER}{STAKE_DENOM}"
            );
            return Err(self.refuse(reason));
        }
        commission.since(0).validate().map_err(|error| self.refuse(error.to_string()))?;
        if least.is_zero() || least > amount {
            let reason = format!("the least self-delegation is {least}; it is 1 to {amount}");
            return Err(self.refuse(reason));
        }
        Ok(())
    }

    pub(crate) fn refuse(&self, reason: impl Into<String>) -> GenesisError {
        GenesisError::Gentx { moniker: self.body.moniker.clone(), reason: reason.into() }
    }
}
