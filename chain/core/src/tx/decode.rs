//! The first phase: bytes to a transaction that is right in itself.
//!
//! One meaning has one encoding: a transaction whose parts do not encode back
//! to the same bytes (an unknown field at any depth, a default written out, a
//! field out of order) is refused.

use cosmos_sdk_proto::cosmos::tx::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use prost::Message as _;
use sha2::{Digest, Sha256};

use super::Msg;
use crate::error::{Failure, SdkError};
use crate::modules::auth::PublicKey;
use crate::types::{Address, Coins};

/// Bytes of a transaction.
pub const MAX_TX_BYTES: usize = 262_144;
/// Messages of a transaction.
pub const MAX_MESSAGES: usize = 256;
/// `SIGN_MODE_DIRECT`.
const DIRECT: i32 = 1;

/// A transaction that is right in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tx {
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// Its bytes' number.
    pub size: usize,
    /// What it does, in order; all or none.
    pub msgs: Vec<Msg>,
    /// Free text.
    pub memo: String,
    /// Last height at which it may be included; 0: any.
    pub timeout_height: u64,
    /// Who signs: the messages' signers in order of appearance, then a fee
    /// payer that is not among them.
    pub signers: Vec<Signer>,
    /// One for each signer.
    pub signatures: Vec<Vec<u8>>,
    /// What it pays.
    pub fee: Coins,
    /// Who pays.
    pub fee_payer: Address,
    /// Who pays it in the payer's place, by an allowance.
    pub fee_granter: Option<Address>,
    /// Most gas that it may use.
    pub gas_limit: u64,
    body_bytes: Vec<u8>,
    auth_info_bytes: Vec<u8>,
}

/// A signer as the transaction names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Who.
    pub address: Address,
    /// Needed in an account's first transaction.
    pub public_key: Option<PublicKey>,
    /// Of the account, before this transaction.
    pub sequence: u64,
}

impl Tx {
    /// What each signer signs: protobuf `SignDoc`.
    pub fn sign_bytes(&self, chain_id: &str, account_number: u64) -> Vec<u8> {
        pb::SignDoc {
            body_bytes: self.body_bytes.clone(),
            auth_info_bytes: self.auth_info_bytes.clone(),
            chain_id: chain_id.to_owned(),
            account_number,
        }
        .encode_to_vec()
    }
}

/// Decodes and validates; `signed` is false in simulation, where signatures
/// may be missing or empty.
///
/// # Errors
/// What is wrong in the transaction itself.
pub fn decode(bytes: &[u8], signed: bool) -> Result<Tx, Failure> {
    if bytes.len() > MAX_TX_BYTES {
        return Err(SdkError::TxTooLarge { size: bytes.len(), max: MAX_TX_BYTES }.into());
    }
    let raw: pb::TxRaw = canonical("TxRaw", bytes)?;
    let body: pb::TxBody = canonical("TxBody", &raw.body_bytes)?;
    let auth_info: pb::AuthInfo = canonical("AuthInfo", &raw.auth_info_bytes)?;
    check_unsupported(&body, &auth_info)?;
    let fee = auth_info.fee.ok_or_else(|| invalid("the transaction has no fee".to_owned()))?;
    let msgs = messages(&body.messages)?;
    let addresses = signer_addresses(&msgs, &fee.payer)?;
    let signers = signers(&addresses, auth_info.signer_infos)?;
    let signatures = signatures(raw.signatures, signers.len(), signed)?;
    let first =
        *addresses.first().ok_or_else(|| invalid("no message names a signer".to_owned()))?;
    let fee_payer = if fee.payer.is_empty() { first } else { fee.payer.parse()? };
    let granter = Some(&fee.granter).filter(|granter| !granter.is_empty());
    let fee_granter = granter.map(|granter| granter.parse()).transpose()?;
    Ok(Tx {
        hash: Sha256::digest(bytes).into(),
        size: bytes.len(),
        msgs,
        memo: body.memo,
        timeout_height: body.timeout_height,
        signers,
        signatures,
        fee: Coins::from_proto(fee.amount)?,
        fee_payer,
        fee_granter: fee_granter.filter(|granter| *granter != fee_payer),
        gas_limit: fee.gas_limit,
        body_bytes: raw.body_bytes,
        auth_info_bytes: raw.auth_info_bytes,
    })
}

/// Refuses bytes that are not the one encoding of what they say.
pub(super) fn check_canonical<M: prost::Message>(
    name: &str,
    message: &M,
    bytes: &[u8],
) -> Result<(), SdkError> {
    if message.encode_to_vec() != bytes {
        return Err(SdkError::TxDecode(format!(
            "{name} holds an unknown field, or is not in canonical form (fields in order, \
             defaults left out)"
        )));
    }
    Ok(())
}

fn canonical<M: prost::Message + Default>(name: &str, bytes: &[u8]) -> Result<M, SdkError> {
    let message =
        M::decode(bytes).map_err(|error| SdkError::TxDecode(format!("{name}: {error}")))?;
    check_canonical(name, &message, bytes)?;
    Ok(message)
}

fn invalid(text: String) -> SdkError {
    SdkError::InvalidRequest(text)
}

fn check_unsupported(body: &pb::TxBody, auth_info: &pb::AuthInfo) -> Result<(), SdkError> {
    let unsupported = |text: &str| Err(SdkError::NotSupported(text.to_owned()));
    if !body.extension_options.is_empty() || !body.non_critical_extension_options.is_empty() {
        return unsupported("extension options of a transaction");
    }
    #[allow(deprecated, reason = "a tip must be seen to be refused")]
    if auth_info.tip.is_some() {
        return unsupported("tips");
    }
    Ok(())
}

fn messages(messages: &[Any]) -> Result<Vec<Msg>, Failure> {
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        let text = format!("{} messages; 1 to {MAX_MESSAGES} are allowed", messages.len());
        return Err(invalid(text).into());
    }
    let indexed = messages.iter().enumerate();
    indexed.map(|(index, any)| Msg::from_any(any).map_err(|failure| at(index, failure))).collect()
}

/// Says which message it was.
pub(super) fn at(index: usize, mut failure: Failure) -> Failure {
    failure.message = format!("message index: {index}: {}", failure.message);
    failure
}

fn signer_addresses(msgs: &[Msg], payer: &str) -> Result<Vec<Address>, SdkError> {
    let mut addresses: Vec<Address> = Vec::new();
    for msg in msgs {
        let signer = msg.signer();
        if !addresses.contains(&signer) {
            addresses.push(signer);
        }
    }
    if !payer.is_empty() {
        let payer = payer.parse()?;
        if !addresses.contains(&payer) {
            addresses.push(payer);
        }
    }
    Ok(addresses)
}

fn signers(addresses: &[Address], infos: Vec<pb::SignerInfo>) -> Result<Vec<Signer>, SdkError> {
    if infos.len() != addresses.len() {
        return Err(SdkError::Unauthorized(format!(
            "wrong number of signers; expected {}, got {}",
            addresses.len(),
            infos.len()
        )));
    }
    addresses.iter().zip(infos).map(|(address, info)| signer(*address, info)).collect()
}

fn signer(address: Address, info: pb::SignerInfo) -> Result<Signer, SdkError> {
    let mode = info.mode_info.and_then(|mode| mode.sum);
    match mode {
        Some(pb::mode_info::Sum::Single(single)) if single.mode == DIRECT => {}
        _ => {
            let text = "sign modes other than SIGN_MODE_DIRECT by a single key";
            return Err(SdkError::NotSupported(text.to_owned()));
        }
    }
    let public_key = info.public_key.as_ref().map(PublicKey::from_any).transpose()?;
    Ok(Signer { address, public_key, sequence: info.sequence })
}

fn signatures(
    mut signatures: Vec<Vec<u8>>,
    signers: usize,
    signed: bool,
) -> Result<Vec<Vec<u8>>, SdkError> {
    if !signed {
        signatures.resize(signers, Vec::new());
        return Ok(signatures);
    }
    if signatures.len() != signers {
        let got = signatures.len();
        let text = format!("wrong number of signatures; expected {signers}, got {got}");
        return Err(SdkError::Unauthorized(text));
    }
    if signatures.iter().any(|signature| signature.len() != 64) {
        return Err(SdkError::Unauthorized("a signature has 64 bytes".to_owned()));
    }
    Ok(signatures)
}
