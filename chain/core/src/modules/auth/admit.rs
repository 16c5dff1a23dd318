//! The second phase: who signed, with which sequence, and who pays the fee.

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::gas;
use crate::modules::{auth, bank, feegrant};
use crate::tx::{Msg, Signer, Tx};
use crate::types::Address;

use super::{Account, SignatureCheck, Signatures};

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
    for (signer, signature) in tx.signers.iter().zip(&tx.signatures) {
        admit_signer(ctx, tx, signer, signature, admission)?;
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
        return Err(SdkError::MemoTooLarge(tx.memo.len()).into());
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
    Ok(())
}

fn admit_signer(
    ctx: &mut Ctx<'_>,
    tx: &Tx,
    signer: &Signer,
    signature: &[u8],
    admission: Admission<'_>,
) -> Result<(), Failure> {
    let mut account = existing(ctx, &signer.address)?;
    if signer.sequence != account.sequence {
        let (expected, got) = (account.sequence, signer.sequence);
        return Err(SdkError::WrongSequence { expected, got }.into());
    }
    match admission {
        Admission::Full(signatures) => {
            let check = signature_check(ctx, tx, signer, signature, &account)?;
            ctx.charge(check.public_key.verification_gas());
            if !signatures.verify(&check) {
                return Err(wrong_signature(ctx, signer, &account).into());
            }
            account.public_key = Some(check.public_key);
        }
        Admission::Simulate => ctx.charge(gas::VERIFY_SECP256K1),
    }
    account.sequence = account.sequence.saturating_add(1);
    auth::put_account(ctx, &signer.address, &account);
    Ok(())
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

/// The check of one signature against the account as it stands.
fn signature_check(
    ctx: &Ctx<'_>,
    tx: &Tx,
    signer: &Signer,
    signature: &[u8],
    account: &Account,
) -> Result<SignatureCheck, SdkError> {
    let public_key = match (account.public_key, signer.public_key) {
        (Some(known), Some(given)) if known != given => {
            return Err(SdkError::InvalidPubKey(format!(
                "another key than the one that {} has used before",
                signer.address
            )));
        }
        (Some(known), _) => known,
        (None, Some(given)) => given,
        (None, None) => {
            return Err(SdkError::InvalidPubKey(format!(
                "none is given, and {} has not shown one yet",
                signer.address
            )));
        }
    };
    if public_key.address() != signer.address {
        let (key, signer) = (public_key.address(), signer.address);
        return Err(SdkError::InvalidPubKey(format!("it is that of {key}, not of {signer}")));
    }
    let sign_bytes = tx.sign_bytes(&ctx.block().chain_id, account.number);
    Ok(SignatureCheck { public_key, sign_bytes, signature: signature.to_vec() })
}

/// The signatures of a transaction as they will be asked for, so that a node
/// can verify many in parallel beforehand. Empty where something is missing.
pub fn signature_checks(ctx: &Ctx<'_>, tx: &Tx) -> Vec<SignatureCheck> {
    let checks = tx.signers.iter().zip(&tx.signatures).map(|(signer, signature)| {
        let account = auth::account(ctx, &signer.address)?;
        signature_check(ctx, tx, signer, signature, &account).ok()
    });
    checks.flatten().collect()
}
