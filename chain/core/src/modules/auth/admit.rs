//! The second phase: who signed, with which sequence, and who pays the fee.

use std::sync::Arc;

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::gas;
use crate::modules::{auth, bank, feegrant};
use crate::tx::{Msg, Proof, SignMode, Signature, Signer, Tx};
use crate::types::Address;

use super::{unordered, Account, AccountKey, PublicKey, SignatureCheck, Signatures};

/// What is asked of a transaction here and now.
#[derive(Clone, Copy)]
pub enum Admission<'a> {
    /// Everything: CheckTx, proposals, FinalizeBlock.
    Full(&'a dyn Signatures),
    /// Neither signature nor fee: simulation, which may come without a key.
    Simulate,
}

/// Admits the transaction: takes its fee and raises its signers' sequences.
///
/// # Errors
/// The first thing that is wrong; then nothing may be kept of it.
pub fn admit(ctx: &mut Ctx<'_>, tx: &Tx, admission: Admission<'_>) -> Result<(), Failure> {
    ctx.charge(gas::TX_BYTE.saturating_mul(u64::try_from(tx.size).unwrap_or(u64::MAX)));
    let params = auth::params(ctx);
    check_bounds(ctx, tx, &params)?;
    if tx.unordered {
        unordered::admit(ctx, tx, &params)?;
    }
    for signer in &tx.signers {
        admit_signer(ctx, tx, signer, admission)?;
    }
    let payer = paying_account(ctx, tx)?;
    match admission {
        Admission::Full(_) => bank::collect_fee(ctx, &payer, &tx.fee)?,
        Admission::Simulate => ctx.charge(gas::SIMULATED_ADMISSION),
    }
    Ok(())
}

/// From whose account the fee is taken: the payer's, or that of a granter
/// whose allowance this uses.
fn paying_account(ctx: &mut Ctx<'_>, tx: &Tx) -> Result<Address, Failure> {
    let Some(granter) = tx.fee_granter else { return Ok(tx.fee_payer) };
    let messages: Vec<String> = tx.msgs.iter().map(Msg::type_url).collect();
    feegrant::spend(ctx, &granter, &tx.fee_payer, &tx.fee, &messages)?;
    Ok(granter)
}

fn check_bounds(ctx: &Ctx<'_>, tx: &Tx, params: &auth::Params) -> Result<(), Failure> {
    if tx.memo.len() > usize::try_from(params.max_memo_bytes).unwrap_or(usize::MAX) {
        let (bytes, max) = (tx.memo.len(), params.max_memo_bytes);
        return Err(SdkError::MemoTooLarge { bytes, max }.into());
    }
    if tx.signers.len() > usize::try_from(params.max_signers).unwrap_or(usize::MAX) {
        let most = params.max_signers;
        let text = format!("{} signers; at most {most} are allowed", tx.signers.len());
        return Err(SdkError::Unauthorized(text).into());
    }
    if tx.timeout_height != 0 && ctx.height() > tx.timeout_height {
        let (timeout, height) = (tx.timeout_height, ctx.height());
        return Err(SdkError::TxTimeout { timeout, height }.into());
    }
    if let Some(timeout) = tx.timeout_time.filter(|timeout| timeout.seconds < ctx.now()) {
        let (timeout, now) = (timeout.seconds, ctx.now());
        return Err(SdkError::TxTimeoutTime { timeout, now }.into());
    }
    Ok(())
}

fn admit_signer(
    ctx: &mut Ctx<'_>,
    tx: &Tx,
    signer: &Signer,
    admission: Admission<'_>,
) -> Result<(), Failure> {
    let mut account = existing(ctx, &signer.address)?;
    check_sequence(tx, signer, &account)?;
    let key = match admission {
        Admission::Full(_) => Some(key_of(signer, &account)?),
        Admission::Simulate => account.public_key.clone().or_else(|| signer.public_key.clone()),
    };
    if let (Admission::Full(signatures), Some(key)) = (admission, &key) {
        for check in checks(ctx, tx, signer, &account, key)? {
            ctx.charge(check.public_key.verification_gas());
            if !signatures.verify(&check) {
                return Err(wrong_signature(ctx, signer, &account).into());
            }
        }
        account.public_key = Some(key.clone());
    } else {
        ctx.charge(simulated_verification(key.as_ref()));
    }
    if !tx.unordered {
        account.sequence = account.sequence.saturating_add(1);
    }
    auth::put_account(ctx, &signer.address, &account);
    Ok(())
}

/// An unordered transaction has no place in the sequence, and says so by 0.
fn check_sequence(tx: &Tx, signer: &Signer, account: &Account) -> Result<(), SdkError> {
    if !tx.unordered && signer.sequence != account.sequence {
        let (expected, got) = (account.sequence, signer.sequence);
        return Err(SdkError::WrongSequence { expected, got });
    }
    if tx.unordered && signer.sequence != 0 {
        let text = format!("sequence {} of an unordered transaction; it is 0", signer.sequence);
        return Err(SdkError::InvalidRequest(text));
    }
    Ok(())
}

/// What verifying will cost at most, as far as the key is known.
fn simulated_verification(key: Option<&AccountKey>) -> u64 {
    match key {
        None => gas::VERIFY_SECP256K1,
        Some(AccountKey::Single(key)) => key.verification_gas(),
        Some(AccountKey::Multisig(keys)) => {
            keys.keys().iter().fold(0, |sum: u64, key| sum.saturating_add(key.verification_gas()))
        }
    }
}

fn existing(ctx: &Ctx<'_>, address: &Address) -> Result<Account, SdkError> {
    auth::account(ctx, address).ok_or_else(|| {
        SdkError::UnknownAddress(format!(
            "account {address} does not exist; it begins with the first coins sent to it"
        ))
    })
}

fn wrong_signature(ctx: &Ctx<'_>, signer: &Signer, account: &Account) -> SdkError {
    SdkError::Unauthorized(format!(
        "signature verification failed for {}; please verify account number ({}), sequence ({}) \
         and chain-id ({})",
        signer.address,
        account.number,
        account.sequence,
        ctx.block().chain_id
    ))
}

/// The key that must have signed: the account's, or, before its first
/// transaction, the one that the transaction brings.
fn key_of(signer: &Signer, account: &Account) -> Result<AccountKey, SdkError> {
    let key = match (&account.public_key, &signer.public_key) {
        (Some(known), Some(given)) if known != given => {
            return Err(SdkError::InvalidPubKey(format!(
                "another key than the one that {} has used before",
                signer.address
            )));
        }
        (Some(key), _) | (None, Some(key)) => key.clone(),
        (None, None) => {
            return Err(SdkError::InvalidPubKey(format!(
                "none is given, and {} has not shown one yet",
                signer.address
            )));
        }
    };
    if key.address() != signer.address {
        let (key, signer) = (key.address(), signer.address);
        return Err(SdkError::InvalidPubKey(format!("it is that of {key}, not of {signer}")));
    }
    Ok(key)
}

/// The signatures of one signer, each to be verified by its key.
fn checks(
    ctx: &Ctx<'_>,
    tx: &Tx,
    signer: &Signer,
    account: &Account,
    key: &AccountKey,
) -> Result<Vec<SignatureCheck>, SdkError> {
    let pairs = pairs(key, &signer.proof)?;
    let mut documents: [Option<Arc<[u8]>>; 2] = [None, None];
    let mut checks = Vec::with_capacity(pairs.len());
    for (public_key, signature) in pairs {
        let [direct, amino] = &mut documents;
        let document = match signature.mode {
            SignMode::Direct => direct,
            SignMode::AminoJson => amino,
        };
        let sign_bytes = match document {
            Some(bytes) => Arc::clone(bytes),
            None => {
                let chain_id = &ctx.block().chain_id;
                let sequence = signer.sequence;
                let bytes = tx.sign_bytes(signature.mode, chain_id, account.number, sequence)?;
                Arc::clone(document.insert(bytes.into()))
            }
        };
        checks.push(SignatureCheck { public_key, sign_bytes, signature: signature.bytes.clone() });
    }
    Ok(checks)
}

/// Each signature with its key.
fn pairs<'a>(
    key: &AccountKey,
    proof: &'a Proof,
) -> Result<Vec<(PublicKey, &'a Signature)>, SdkError> {
    let wrong = |text: String| Err(SdkError::Unauthorized(text));
    match (key, proof) {
        (AccountKey::Single(key), Proof::Single(signature)) => Ok(vec![(*key, signature)]),
        (AccountKey::Multisig(multisig), Proof::Multi { keys, signed }) => {
            if *keys != multisig.keys().len() {
                let count = multisig.keys().len();
                return wrong(format!("signatures of {keys} keys; the account has {count}"));
            }
            let threshold = multisig.threshold();
            if signed.len() < usize::try_from(threshold).unwrap_or(usize::MAX) {
                return wrong(format!("{} signatures; {threshold} are needed", signed.len()));
            }
            let find = |(index, signature): &'a (usize, Signature)| {
                multisig.keys().get(*index).map(|key| (*key, signature))
            };
            Ok(signed.iter().filter_map(find).collect())
        }
        (AccountKey::Single(_), _) => wrong("one key signs, and alone".to_owned()),
        (AccountKey::Multisig(_), _) => wrong("several keys sign for this account".to_owned()),
    }
}

/// The signatures of a transaction as they will be asked for, so that a node
/// can verify many in parallel beforehand. Empty where something is missing.
pub fn signature_checks(ctx: &Ctx<'_>, tx: &Tx) -> Vec<SignatureCheck> {
    let each = tx.signers.iter().map(|signer| {
        let account = auth::account(ctx, &signer.address)?;
        let key = key_of(signer, &account).ok()?;
        checks(ctx, tx, signer, &account, &key).ok()
    });
    each.flatten().flatten().collect()
}
