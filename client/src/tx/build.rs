//! From messages to signed bytes.

use cosmrs::tx::{AuthInfo, Body, Fee, SignDoc, SignerInfo};
use prost::Message;
use sha2::{Digest, Sha256};
use stoa_proto::{cosmos::tx::v1beta1::TxRaw, Any};

use crate::{
    keys::{PublicKey, SecretKey},
    Error, Result,
};

/// All that a signature covers besides the messages.
#[derive(Clone, Debug)]
pub struct SignInput<'a> {
    pub chain_id: &'a str,
    pub account_number: u64,
    pub sequence: u64,
    pub gas: u64,
    /// Whole units.
    pub fee: u128,
    pub fee_denom: &'a str,
    pub memo: &'a str,
    /// The last height at which it may land.
    pub timeout_height: u64,
}

/// A transaction that only needs sending; sending it twice is the same as once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    pub bytes: Vec<u8>,
    /// Upper-case hex of SHA-256, as CometBFT names it.
    pub hash: String,
    pub sequence: u64,
    pub timeout_height: u64,
    /// Whole units.
    pub fee: u128,
    pub gas: u64,
}

/// CometBFT's name of a transaction.
pub fn hash_of(bytes: &[u8]) -> String {
    hex::encode_upper(Sha256::digest(bytes))
}

/// Builds and signs (SIGN_MODE_DIRECT).
pub fn sign(key: &SecretKey, messages: Vec<Any>, input: &SignInput<'_>) -> Result<SignedTx> {
    let (body, auth) = encode(&key.public(), messages, input)?;
    let document = SignDoc {
        body_bytes: body.clone(),
        auth_info_bytes: auth.clone(),
        chain_id: input.chain_id.to_owned(),
        account_number: input.account_number,
    };
    let signature = key.sign(&document.into_bytes().map_err(invalid)?);
    let raw = TxRaw { body_bytes: body, auth_info_bytes: auth, signatures: vec![signature] };
    let bytes = raw.encode_to_vec();
    Ok(SignedTx {
        hash: hash_of(&bytes),
        bytes,
        sequence: input.sequence,
        timeout_height: input.timeout_height,
        fee: input.fee,
        gas: input.gas,
    })
}

/// The same with an empty signature of a real one's length, for simulation: gas
/// counts bytes.
pub fn unsigned(key: &PublicKey, messages: Vec<Any>, input: &SignInput<'_>) -> Result<Vec<u8>> {
    let (body, auth) = encode(key, messages, input)?;
    let raw = TxRaw { body_bytes: body, auth_info_bytes: auth, signatures: vec![vec![0; 64]] };
    Ok(raw.encode_to_vec())
}

fn encode(
    key: &PublicKey,
    messages: Vec<Any>,
    input: &SignInput<'_>,
) -> Result<(Vec<u8>, Vec<u8>)> {
    if messages.is_empty() {
        return Err(Error::Invalid("a transaction needs a message".into()));
    }
    let height = cosmrs::tendermint::block::Height::try_from(input.timeout_height)
        .map_err(|e| Error::Invalid(format!("timeout height {}: {e}", input.timeout_height)))?;
    let body = Body::new(messages, input.memo, height).into_bytes().map_err(invalid)?;
    let fee = Fee { amount: fee_coins(input)?, gas_limit: input.gas, payer: None, granter: None };
    let public = cosmrs::crypto::PublicKey::try_from(key.to_any()).map_err(invalid)?;
    let auth: AuthInfo = SignerInfo::single_direct(Some(public), input.sequence).auth_info(fee);
    Ok((body, auth.into_bytes().map_err(invalid)?))
}

fn fee_coins(input: &SignInput<'_>) -> Result<Vec<cosmrs::Coin>> {
    if input.fee == 0 {
        return Ok(vec![]);
    }
    let denom = input.fee_denom.parse().map_err(invalid)?;
    Ok(vec![cosmrs::Coin { denom, amount: input.fee }])
}

fn invalid(cause: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("building the transaction: {cause}"))
}

#[cfg(test)]
mod tests {
    use stoa_proto::cosmos::{
        bank::v1beta1::MsgSend,
        tx::v1beta1::{SignDoc as ProtoSignDoc, Tx},
    };

    use super::*;
    use crate::{
        keys::{new_mnemonic, recover, Algorithm},
        tx::any,
    };

    fn input() -> SignInput<'static> {
        SignInput {
            chain_id: "stoa-test",
            account_number: 4,
            sequence: 9,
            gas: 100_000,
            fee: 250,
            fee_denom: "ustoa",
            memo: "hello",
            timeout_height: 77,
        }
    }

    #[test]
    fn both_kinds_of_key_sign_what_the_chain_verifies() {
        for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
            let key = recover(&new_mnemonic().unwrap(), "", algorithm).unwrap();
            let message = MsgSend {
                from_address: key.address().to_string(),
                to_address: key.address().to_string(),
                amount: vec![],
            };
            let signed = sign(&key, vec![any(&message)], &input()).unwrap();
            let raw = TxRaw::decode(signed.bytes.as_slice()).unwrap();
            // The sign bytes, made again by other means.
            let document = ProtoSignDoc {
                body_bytes: raw.body_bytes.clone(),
                auth_info_bytes: raw.auth_info_bytes.clone(),
                chain_id: "stoa-test".into(),
                account_number: 4,
            };
            let bytes = document.encode_to_vec();
            assert!(key.public().verify(&bytes, &raw.signatures[0]));
            let other = ProtoSignDoc { account_number: 5, ..document }.encode_to_vec();
            assert!(!key.public().verify(&other, &raw.signatures[0]));

            let tx = Tx::decode(signed.bytes.as_slice()).unwrap();
            let (body, auth) = (tx.body.unwrap(), tx.auth_info.unwrap());
            assert_eq!(body.messages[0].type_url, "/cosmos.bank.v1beta1.MsgSend");
            assert_eq!((body.memo.as_str(), body.timeout_height), ("hello", 77));
            assert_eq!(auth.signer_infos[0].sequence, 9);
            assert_eq!(auth.signer_infos[0].public_key.clone().unwrap(), key.public().to_any());
            let fee = auth.fee.unwrap();
            assert_eq!((fee.gas_limit, fee.amount[0].amount.as_str()), (100_000, "250"));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let key = recover(&new_mnemonic().unwrap(), "", Algorithm::Secp256k1).unwrap();
        let messages = || vec![any(&MsgSend::default())];
        assert_eq!(
            sign(&key, messages(), &input()).unwrap(),
            sign(&key, messages(), &input()).unwrap()
        );
        assert!(sign(&key, vec![], &input()).is_err());
    }

    #[test]
    fn our_type_urls_are_full_names() {
        let url = any(&stoa_proto::market::v1::MsgCreateBid::default()).type_url;
        assert_eq!(url, "/stoa.market.v1.MsgCreateBid");
    }
}
