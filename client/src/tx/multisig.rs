//! Transactions of threshold accounts: made once, signed by each member alone,
//! put together by anybody.
//!
//! Members sign JSON (`SIGN_MODE_LEGACY_AMINO_JSON`), which says nothing of who
//! else signs, so that any of them can, in any order.

use prost::Message as _;
use serde::{Deserialize, Serialize};
use stoa_proto::{
    amino,
    cosmos::{
        base::v1beta1::Coin,
        crypto::multisig::v1beta1::{CompactBitArray, MultiSignature},
        tx::v1beta1::{mode_info, AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw},
    },
    Any,
};

use super::{hash_of, SignInput, SignedTx};
use crate::{
    keys::{Algorithm, MultisigKey, PublicKey, SecretKey},
    Error, Result,
};

const UNSIGNED_FORMAT: &str = "stoa-unsigned/1";
const SIGNATURE_FORMAT: &str = "stoa-signature/1";
const LEGACY_AMINO_JSON: i32 = 127;

/// A transaction that waits for signatures, as a file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsigned {
    format: String,
    /// Who sends it.
    pub account: String,
    chain_id: String,
    account_number: u64,
    sequence: u64,
    gas: u64,
    /// Whole units.
    fee: String,
    fee_denom: String,
    /// Protobuf `TxBody` in hex: messages, memo, last height.
    body: String,
}

/// One member's signature, as a file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSignature {
    format: String,
    algorithm: Algorithm,
    /// Lower-case hex.
    public_key: String,
    /// 64 bytes in hex.
    signature: String,
}

impl Unsigned {
    /// A transaction of `account`.
    pub fn new(account: &str, messages: Vec<Any>, input: &SignInput<'_>) -> Result<Self> {
        if messages.is_empty() {
            return Err(Error::Invalid("a transaction needs a message".into()));
        }
        let body = TxBody {
            messages,
            memo: input.memo.to_owned(),
            timeout_height: input.timeout_height,
            ..TxBody::default()
        };
        Ok(Self {
            format: UNSIGNED_FORMAT.into(),
            account: account.to_owned(),
            chain_id: input.chain_id.to_owned(),
            account_number: input.account_number,
            sequence: input.sequence,
            gas: input.gas,
            fee: input.fee.to_string(),
            fee_denom: input.fee_denom.to_owned(),
            body: hex::encode(body.encode_to_vec()),
        })
    }

    /// From a file's text.
    pub fn from_json(text: &str) -> Result<Self> {
        let bad = |e: String| Error::Invalid(format!("no unsigned transaction: {e}"));
        let unsigned: Self = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        if unsigned.format != UNSIGNED_FORMAT {
            return Err(bad(format!("its format is `{}`", unsigned.format)));
        }
        Ok(unsigned)
    }

    fn body_bytes(&self) -> Result<Vec<u8>> {
        hex::decode(&self.body).map_err(|_| Error::Invalid("`body` is not hex".into()))
    }

    fn fee(&self) -> Fee {
        let coin = Coin { denom: self.fee_denom.clone(), amount: self.fee.clone() };
        let amount = if self.fee == "0" { vec![] } else { vec![coin] };
        Fee { amount, gas_limit: self.gas, ..Fee::default() }
    }

    /// What each member signs: JSON that a person can read.
    pub fn document(&self) -> Result<String> {
        let bytes = self.body_bytes()?;
        let body = TxBody::decode(bytes.as_slice())
            .map_err(|e| Error::Invalid(format!("`body` does not decode: {e}")))?;
        // What is signed is what the body says: nothing hides in fields that the JSON lacks.
        if body.encode_to_vec() != bytes {
            return Err(Error::Invalid("`body` has fields that nobody would sign".into()));
        }
        amino::sign_doc(&body, &self.fee(), &self.chain_id, self.account_number, self.sequence)
            .map_err(|e| Error::Invalid(e.to_string()))
    }

    /// One member's signature.
    pub fn sign(&self, key: &SecretKey) -> Result<MemberSignature> {
        Ok(MemberSignature {
            format: SIGNATURE_FORMAT.into(),
            algorithm: key.algorithm(),
            public_key: hex::encode(key.public().to_bytes()),
            signature: hex::encode(key.sign(self.document()?.as_bytes())),
        })
    }

    /// The whole transaction, from at least the account's threshold of its
    /// members' signatures.
    ///
    /// # Errors
    /// A signature of somebody else, over something else, or too few.
    pub fn assemble(&self, key: &MultisigKey, parts: &[MemberSignature]) -> Result<SignedTx> {
        if key.address().to_string() != self.account {
            let text = format!("the transaction is of {}, not of {}", self.account, key.address());
            return Err(Error::Invalid(text));
        }
        let signatures = self.verified(key, parts)?;
        let signed = signatures.iter().filter(|signature| signature.is_some()).count();
        if signed < key.threshold() as usize {
            let needed = key.threshold();
            return Err(Error::Invalid(format!("{signed} signatures; {needed} are needed")));
        }
        self.with_signatures(key, &signatures)
    }

    /// Bytes for simulation, as long as the whole will be.
    pub fn for_simulation(&self, key: &MultisigKey) -> Result<Vec<u8>> {
        let signed = |index| (index < key.threshold() as usize).then(|| vec![0; 64]);
        let signatures: Vec<_> = (0..key.keys().len()).map(signed).collect();
        Ok(self.with_signatures(key, &signatures)?.bytes)
    }

    /// The signature of each member that signed.
    fn verified(
        &self,
        key: &MultisigKey,
        parts: &[MemberSignature],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let document = self.document()?;
        let mut signatures = vec![None; key.keys().len()];
        for part in parts {
            let (public, signature) = part.decode()?;
            let who = public.address();
            let index = key.keys().iter().position(|member| *member == public);
            let index = index.ok_or_else(|| {
                Error::Invalid(format!("{who} signed, but is none of {}'s keys", self.account))
            })?;
            if !public.verify(document.as_bytes(), &signature) {
                return Err(Error::Invalid(format!(
                    "{who}'s signature is not of this transaction"
                )));
            }
            signatures[index] = Some(signature);
        }
        Ok(signatures)
    }

    fn with_signatures(
        &self,
        key: &MultisigKey,
        signatures: &[Option<Vec<u8>>],
    ) -> Result<SignedTx> {
        let mut elems = vec![0_u8; signatures.len().div_ceil(8)];
        for (index, _) in signatures.iter().enumerate().filter(|(_, s)| s.is_some()) {
            elems[index / 8] |= 0x80 >> (index % 8);
        }
        let extra_bits_stored = (signatures.len() % 8) as u32;
        let signatures: Vec<Vec<u8>> = signatures.iter().flatten().cloned().collect();
        let multi = mode_info::Multi {
            bitarray: Some(CompactBitArray { extra_bits_stored, elems }),
            mode_infos: vec![single_mode(); signatures.len()],
        };
        let info = SignerInfo {
            public_key: Some(key.to_any()),
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Multi(multi)) }),
            sequence: self.sequence,
        };
        let auth_info =
            AuthInfo { signer_infos: vec![info], fee: Some(self.fee()), ..AuthInfo::default() };
        let body_bytes = self.body_bytes()?;
        let timeout_height =
            TxBody::decode(body_bytes.as_slice()).map_or(0, |body| body.timeout_height);
        let bytes = TxRaw {
            body_bytes,
            auth_info_bytes: auth_info.encode_to_vec(),
            signatures: vec![MultiSignature { signatures }.encode_to_vec()],
        }
        .encode_to_vec();
        Ok(SignedTx {
            hash: hash_of(&bytes),
            bytes,
            sequence: self.sequence,
            timeout_height,
            fee: self.fee.parse().map_err(|_| Error::Invalid("`fee` is no number".into()))?,
            gas: self.gas,
        })
    }
}

impl MemberSignature {
    /// From a file's text.
    pub fn from_json(text: &str) -> Result<Self> {
        let bad = |e: String| Error::Invalid(format!("no signature: {e}"));
        let signature: Self = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        if signature.format != SIGNATURE_FORMAT {
            return Err(bad(format!("its format is `{}`", signature.format)));
        }
        Ok(signature)
    }

    fn decode(&self) -> Result<(PublicKey, Vec<u8>)> {
        let hex = |text: &str| hex::decode(text).map_err(|e| Error::Invalid(e.to_string()));
        let public = PublicKey::from_bytes(self.algorithm, &hex(&self.public_key)?)
            .map_err(|e| Error::Invalid(e.to_string()))?;
        Ok((public, hex(&self.signature)?))
    }
}

fn single_mode() -> ModeInfo {
    let mode = mode_info::Single { mode: LEGACY_AMINO_JSON };
    ModeInfo { sum: Some(mode_info::Sum::Single(mode)) }
}

#[cfg(test)]
mod tests {
    use stoa_proto::cosmos::{bank::v1beta1::MsgSend, tx::v1beta1::Tx};

    use super::*;
    use crate::tx::any;

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_bytes(Algorithm::Secp256k1, &[seed; 32]).unwrap()
    }

    fn treasury() -> MultisigKey {
        MultisigKey::new(2, [1, 2, 3].map(|seed| secret(seed).public()).to_vec()).unwrap()
    }

    fn unsigned() -> Unsigned {
        let account = treasury().address().to_string();
        let message =
            MsgSend { from_address: account.clone(), to_address: account.clone(), amount: vec![] };
        let input = SignInput {
            chain_id: "stoa-test",
            account_number: 4,
            sequence: 9,
            gas: 100_000,
            fee: 250,
            fee_denom: "ustoa",
            memo: "rent",
            timeout_height: 77,
        };
        Unsigned::new(&account, vec![any(&message)], &input).unwrap()
    }

    #[test]
    fn any_members_signatures_make_a_transaction_in_any_order() {
        let unsigned = Unsigned::from_json(&serde_json::to_string(&unsigned()).unwrap()).unwrap();
        let parts = [3, 1].map(|seed| unsigned.sign(&secret(seed)).unwrap());
        let signed = unsigned.assemble(&treasury(), &parts).unwrap();
        let tx = Tx::decode(signed.bytes.as_slice()).unwrap();
        let info = &tx.auth_info.unwrap().signer_infos[0];
        assert_eq!(info.public_key, Some(treasury().to_any()));
        let Some(mode_info::Sum::Multi(multi)) = info.mode_info.clone().unwrap().sum else {
            panic!("no multi-signature")
        };
        assert_eq!(multi.bitarray.unwrap().elems[0].count_ones(), 2);
        // In the order of the account's keys, whatever order they came in.
        let found = MultiSignature::decode(tx.signatures[0].as_slice()).unwrap().signatures;
        let document = unsigned.document().unwrap();
        let signers: Vec<_> = treasury()
            .keys()
            .iter()
            .filter(|key| found.iter().any(|s| key.verify(document.as_bytes(), s)))
            .copied()
            .collect();
        assert_eq!(signers.len(), 2);
        assert!(signers.iter().zip(&found).all(|(key, s)| key.verify(document.as_bytes(), s)));
        assert_eq!((signed.sequence, signed.timeout_height, signed.fee), (9, 77, 250));
    }

    #[test]
    fn too_few_strange_and_other_signatures_are_refused() {
        let unsigned = unsigned();
        let sign = |seed| unsigned.sign(&secret(seed)).unwrap();
        let refusal = |parts: &[MemberSignature]| {
            unsigned.assemble(&treasury(), parts).unwrap_err().to_string()
        };
        assert!(refusal(&[sign(1)]).contains("2 are needed"));
        assert!(refusal(&[sign(1), sign(1)]).contains("2 are needed"));
        assert!(refusal(&[sign(1), sign(9)]).contains("none of"));
        let mut other = unsigned.clone();
        other.sequence += 1;
        let strange = other.sign(&secret(2)).unwrap();
        assert!(refusal(&[sign(1), strange]).contains("not of this transaction"));
    }

    #[test]
    fn what_members_sign_shows_what_it_does() {
        let document = unsigned().document().unwrap();
        assert!(document.contains("cosmos-sdk/MsgSend") && document.contains("rent"));
        let mut hidden = unsigned();
        // Field 4, true: a body's `unordered`, which the JSON does not show.
        hidden.body.push_str("2001");
        assert!(hidden.document().unwrap_err().to_string().contains("nobody would sign"));
    }
}
