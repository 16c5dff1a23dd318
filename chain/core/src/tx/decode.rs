//! The first phase: bytes to a transaction that is right in itself.
//!
//! One meaning has one encoding: a transaction whose parts do not encode back
//! to the same bytes (an unknown field at any depth, a default written out, a
//! field out of order) is refused.

use cosmos_sdk_proto::cosmos::tx::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use prost::Message as _;
use sha2::{Digest, Sha256};
use stoa_proto::amino::{self, AminoError};
use stoa_proto::tx::v1::TxBodyTail;

use super::{signers, Msg, SignMode, Signer};
use crate::error::{Failure, SdkError};
use crate::types::{Address, Coins};

/// Bytes of a transaction.
pub const MAX_TX_BYTES: usize = 262_144;
/// Messages of a transaction.
pub const MAX_MESSAGES: usize = 256;

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
    /// Last block time at which it may be included.
    pub timeout_time: Option<Timeout>,
    /// It has no place in its signers' sequences; its time of timeout stands in
    /// for one.
    pub unordered: bool,
    /// Who signs: the messages' signers in order of appearance, then a fee
    /// payer that is not among them.
    pub signers: Vec<Signer>,
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

/// A moment, as exact as a transaction names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout {
    /// Unix seconds.
    pub seconds: u64,
    /// And nanoseconds, under 10^9.
    pub nanos: u32,
}

impl Tx {
    /// What a signer signs: protobuf `SignDoc`, or the JSON that means the same.
    ///
    /// # Errors
    /// JSON is asked for of what has no form there.
    pub fn sign_bytes(
        &self,
        mode: SignMode,
        chain_id: &str,
        account_number: u64,
        sequence: u64,
    ) -> Result<Vec<u8>, SdkError> {
        match mode {
            SignMode::Direct => Ok(pb::SignDoc {
                body_bytes: self.body_bytes.clone(),
                auth_info_bytes: self.auth_info_bytes.clone(),
                chain_id: chain_id.to_owned(),
                account_number,
            }
            .encode_to_vec()),
            SignMode::AminoJson => self.amino_json(chain_id, account_number, sequence),
        }
    }

    fn amino_json(
        &self,
        chain_id: &str,
        account_number: u64,
        sequence: u64,
    ) -> Result<Vec<u8>, SdkError> {
        let body = decode_part("TxBody", &self.body_bytes)?;
        let auth_info: pb::AuthInfo = decode_part("AuthInfo", &self.auth_info_bytes)?;
        if self.unordered || self.timeout_time.is_some() {
            return Err(SdkError::NotSupported(
                "`unordered` and `timeout_timestamp` in SIGN_MODE_LEGACY_AMINO_JSON, \
                         which does not sign them; use SIGN_MODE_DIRECT"
                    .to_owned(),
            ));
        }
        let fee = auth_info.fee.unwrap_or_default();
        amino::sign_doc(&body, &fee, chain_id, account_number, sequence)
            .map(String::into_bytes)
            .map_err(|error| match error {
                AminoError::Unsupported(text) => SdkError::NotSupported(text),
                AminoError::Malformed(text) => SdkError::TxDecode(text),
            })
    }
}

/// Decodes and validates; `signed` is false in simulation, where fee and
/// signatures may be missing or empty.
///
/// # Errors
/// What is wrong in the transaction itself.
pub fn decode(bytes: &[u8], signed: bool) -> Result<Tx, Failure> {
    if bytes.len() > MAX_TX_BYTES {
        return Err(SdkError::TxTooLarge { size: bytes.len(), max: MAX_TX_BYTES }.into());
    }
    let raw: pb::TxRaw = canonical("TxRaw", bytes)?;
    let (body, tail) = decode_body(&raw.body_bytes)?;
    let auth_info: pb::AuthInfo = canonical("AuthInfo", &raw.auth_info_bytes)?;
    check_unsupported(&auth_info)?;
    let fee = match auth_info.fee {
        None if !signed => pb::Fee::default(),
        fee => fee.ok_or_else(|| invalid("the transaction has no fee".to_owned()))?,
    };
    let msgs = messages(&body.messages)?;
    let addresses = signer_addresses(&msgs, &fee.payer)?;
    let signatures = signed.then_some(raw.signatures);
    let signers = signers::signers(&addresses, auth_info.signer_infos, signatures)?;
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
        timeout_time: timeout_time(&tail)?,
        unordered: tail.unordered,
        signers,
        fee: Coins::from_proto(fee.amount)?,
        fee_payer,
        fee_granter: fee_granter.filter(|granter| *granter != fee_payer),
        gas_limit: fee.gas_limit,
        body_bytes: raw.body_bytes,
        auth_info_bytes: raw.auth_info_bytes,
    })
}

/// The body, whose bytes are those of two messages: the fields 4 and 5 came to
/// Cosmos' `TxBody` after its Rust type was made.
fn decode_body(bytes: &[u8]) -> Result<(pb::TxBody, TxBodyTail), SdkError> {
    let body: pb::TxBody = decode_part("TxBody", bytes)?;
    let tail: TxBodyTail = decode_part("TxBody", bytes)?;
    if !body.extension_options.is_empty() || !body.non_critical_extension_options.is_empty() {
        let text = "extension options of a transaction".to_owned();
        return Err(SdkError::NotSupported(text));
    }
    // Without options, all fields of the one come before those of the other.
    let mut again = body.encode_to_vec();
    again.extend(tail.encode_to_vec());
    check_same("TxBody", &again, bytes)?;
    Ok((body, tail))
}

fn timeout_time(tail: &TxBodyTail) -> Result<Option<Timeout>, SdkError> {
    let Some(time) = &tail.timeout_timestamp else { return Ok(None) };
    let seconds = u64::try_from(time.seconds).ok();
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let moment = seconds.zip(nanos).map(|(seconds, nanos)| Timeout { seconds, nanos });
    let wrong = || invalid("timeout_timestamp is before 1970, or no time".to_owned());
    moment.map(Some).ok_or_else(wrong)
}

fn decode_part<M: prost::Message + Default>(name: &str, bytes: &[u8]) -> Result<M, SdkError> {
    M::decode(bytes).map_err(|error| SdkError::TxDecode(format!("{name}: {error}")))
}

/// Refuses bytes that are not the one encoding of what they say.
pub(super) fn check_canonical<M: prost::Message>(
    name: &str,
    message: &M,
    bytes: &[u8],
) -> Result<(), SdkError> {
    check_same(name, &message.encode_to_vec(), bytes)
}

fn check_same(name: &str, again: &[u8], bytes: &[u8]) -> Result<(), SdkError> {
    if again != bytes {
        return Err(SdkError::TxDecode(format!(
            "{name} holds an unknown field, or is not in canonical form (fields in order, \
             defaults left out)"
        )));
    }
    Ok(())
}

fn canonical<M: prost::Message + Default>(name: &str, bytes: &[u8]) -> Result<M, SdkError> {
    let message = decode_part(name, bytes)?;
    check_canonical(name, &message, bytes)?;
    Ok(message)
}

fn invalid(text: String) -> SdkError {
    SdkError::InvalidRequest(text)
}

fn check_unsupported(auth_info: &pb::AuthInfo) -> Result<(), SdkError> {
    let unsupported = |text: &str| Err(SdkError::NotSupported(text.to_owned()));
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
    let parse = |(index, any)| Msg::from_any(any).map_err(|failure| at(index, failure));
    let msgs: Vec<Msg> = indexed.map(parse).collect::<Result<_, _>>()?;
    let count = msgs.iter().map(Msg::count).fold(0usize, usize::saturating_add);
    if count > MAX_MESSAGES {
        let text = format!("{count} messages with those within others; {MAX_MESSAGES} are allowed");
        return Err(invalid(text).into());
    }
    Ok(msgs)
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
