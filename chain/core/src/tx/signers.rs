//! Who signs a transaction, in which mode, with which bytes.

use cosmos_sdk_proto::cosmos::crypto::multisig::v1beta1::{CompactBitArray, MultiSignature};
use cosmos_sdk_proto::cosmos::tx::v1beta1 as pb;
use prost::Message as _;

use crate::error::SdkError;
use crate::modules::auth::{AccountKey, MAX_MULTISIG_KEYS};
use crate::types::Address;

/// A signer as the transaction names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Who.
    pub address: Address,
    /// Needed in an account's first transaction.
    pub public_key: Option<AccountKey>,
    /// Of the account, before this transaction; 0 in an unordered one.
    pub sequence: u64,
    /// The signatures.
    pub proof: Proof,
}

/// What shows that a signer agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: a simulation.
    Missing,
    /// One signature.
    Single(Signature),
    /// Those of some of a threshold account's keys.
    Multi {
        /// How many keys the account has.
        keys: usize,
        /// Which of them signed, in their order.
        signed: Vec<(usize, Signature)>,
    },
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What was signed.
    pub mode: SignMode,
    /// 64 bytes.
    pub bytes: Vec<u8>,
}

/// What a signature is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignMode {
    /// Protobuf `SignDoc`: `SIGN_MODE_DIRECT`.
    Direct,
    /// Sorted JSON, which hardware wallets show: `SIGN_MODE_LEGACY_AMINO_JSON`.
    AminoJson,
}

impl SignMode {
    fn from_number(mode: i32) -> Result<Self, SdkError> {
        match mode {
            1 => Ok(Self::Direct),
            127 => Ok(Self::AminoJson),
            _ => Err(SdkError::NotSupported(format!(
                "sign mode {mode}; use SIGN_MODE_DIRECT (1) or SIGN_MODE_LEGACY_AMINO_JSON (127)"
            ))),
        }
    }
}

/// The signers with what they signed, in the order of `addresses`. In a
/// simulation (`signatures` is none) they need neither mode nor signature.
///
/// # Errors
/// Too few or too many of something, or a mode that is not supported.
pub(super) fn signers(
    addresses: &[Address],
    infos: Vec<pb::SignerInfo>,
    signatures: Option<Vec<Vec<u8>>>,
) -> Result<Vec<Signer>, SdkError> {
    check_number("signers", addresses.len(), infos.len())?;
    let proofs = match signatures {
        None => vec![Proof::Missing; infos.len()],
        Some(signatures) => {
            check_number("signatures", addresses.len(), signatures.len())?;
            let each = infos.iter().zip(signatures);
            each.map(|(info, bytes)| proof(info.mode_info.as_ref(), bytes))
                .collect::<Result<_, _>>()?
        }
    };
    let each = addresses.iter().zip(infos).zip(proofs);
    each.map(|((address, info), proof)| {
        let public_key = info.public_key.as_ref().map(AccountKey::from_any).transpose()?;
        Ok(Signer { address: *address, public_key, sequence: info.sequence, proof })
    })
    .collect()
}

fn check_number(of: &str, expected: usize, got: usize) -> Result<(), SdkError> {
    if expected == got {
        return Ok(());
    }
    let text = format!("wrong number of {of}; expected {expected}, got {got}");
    Err(SdkError::Unauthorized(text))
}

fn proof(mode: Option<&pb::ModeInfo>, bytes: Vec<u8>) -> Result<Proof, SdkError> {
    match mode.and_then(|mode| mode.sum.as_ref()) {
        Some(pb::mode_info::Sum::Single(single)) => {
            signature(single.mode, bytes).map(Proof::Single)
        }
        Some(pb::mode_info::Sum::Multi(multi)) => multi_proof(multi, &bytes),
        None => Err(SdkError::NotSupported("a signer without a sign mode".to_owned())),
    }
}

fn signature(mode: i32, bytes: Vec<u8>) -> Result<Signature, SdkError> {
    let mode = SignMode::from_number(mode)?;
    if bytes.len() != 64 {
        return Err(SdkError::Unauthorized("a signature has 64 bytes".to_owned()));
    }
    Ok(Signature { mode, bytes })
}

/// The signatures of a threshold account. They have one form only: nobody who
/// passes a transaction on can change it.
fn multi_proof(multi: &pb::mode_info::Multi, bytes: &[u8]) -> Result<Proof, SdkError> {
    let wrong = |text: String| SdkError::Unauthorized(text);
    let bits = multi.bitarray.as_ref().ok_or_else(|| wrong("no keys are named".to_owned()))?;
    let (keys, signed) = set_bits(bits)?;
    let decoded = MultiSignature::decode(bytes)
        .map_err(|error| wrong(format!("the multi-signature does not decode: {error}")))?;
    super::decode::check_canonical("MultiSignature", &decoded, bytes)?;
    check_number("sign modes", signed.len(), multi.mode_infos.len())?;
    check_number("signatures of keys", signed.len(), decoded.signatures.len())?;
    let each = signed.into_iter().zip(&multi.mode_infos).zip(decoded.signatures);
    let signed = each.map(|((index, mode), bytes)| match &mode.sum {
        Some(pb::mode_info::Sum::Single(single)) => Ok((index, signature(single.mode, bytes)?)),
        _ => {
            Err(SdkError::NotSupported("a threshold account among the keys of another".to_owned()))
        }
    });
    Ok(Proof::Multi { keys, signed: signed.collect::<Result<_, _>>()? })
}

/// How many bits there are, and which are set; the first is the highest of the
/// first byte.
fn set_bits(bits: &CompactBitArray) -> Result<(usize, Vec<usize>), SdkError> {
    let wrong = || {
        let text = format!("the bit array is malformed or has over {MAX_MULTISIG_KEYS} keys");
        SdkError::Unauthorized(text)
    };
    let extra = usize::try_from(bits.extra_bits_stored).map_err(|_| wrong())?;
    let room = bits.elems.len().checked_mul(8).ok_or_else(wrong)?;
    let unused = if extra == 0 { 0 } else { 8usize.checked_sub(extra).ok_or_else(wrong)? };
    let count = room.checked_sub(unused).ok_or_else(wrong)?;
    if extra > 7 || count == 0 || count > MAX_MULTISIG_KEYS {
        return Err(wrong());
    }
    let is_set = |index: &usize| {
        let byte = index.checked_shr(3).and_then(|place| bits.elems.get(place));
        let mask = 0x80u8.checked_shr(u32::try_from(index & 7).unwrap_or_default());
        byte.zip(mask).is_some_and(|(byte, mask)| byte & mask != 0)
    };
    if (count..room).any(|index| is_set(&index)) {
        return Err(wrong());
    }
    Ok((count, (0..count).filter(is_set).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(extra_bits_stored: u32, elems: &[u8]) -> Option<(usize, Vec<usize>)> {
        set_bits(&CompactBitArray { extra_bits_stored, elems: elems.to_vec() }).ok()
    }

    #[test]
    fn bits_count_from_the_highest_and_the_unused_are_zero() {
        assert_eq!(bits(3, &[0b1010_0000]), Some((3, vec![0, 2])));
        assert_eq!(bits(0, &[0b0000_0001]), Some((8, vec![7])));
        assert_eq!(bits(1, &[0, 0b1000_0000]), Some((9, vec![8])));
        assert_eq!(bits(3, &[0b1011_0000]), None);
        assert_eq!(bits(8, &[0xff]), None);
        assert_eq!(bits(0, &[]), None);
        assert_eq!(bits(3, &[]), None);
        assert_eq!(bits(1, &[0, 0, 0x80]), None);
    }
}
