//! Transactions that are wrong, one way each.

use anyhow::{ensure, Context, Result};
use base64::{engine::general_purpose::STANDARD, Engine as _};
use prost::Message;
use serde_json::{json, Value};
use stoa_client::tx::{any, sign, SignInput};
use stoa_proto::{
    cosmos::{bank::v1beta1::MsgSend, tx::v1beta1::TxRaw},
    Any,
};

use crate::world::{coin, Tenant, World};

/// Bytes over the longest transaction, as CometBFT's pool takes them.
const OVERSIZED: usize = 300_000;

/// The Cosmos SDK's numbers.
const UNDECODABLE: i64 = 2;
const UNAUTHORIZED: i64 = 4;
const INSUFFICIENT_FUNDS: i64 = 5;
const UNKNOWN_REQUEST: i64 = 6;
const INVALID_KEY: i64 = 8;
const MEMO_TOO_LARGE: i64 = 12;
const TIMEOUT: i64 = 30;
const WRONG_SEQUENCE: i64 = 32;

/// What the pool said to a transaction.
#[derive(Debug)]
struct Answer {
    codespace: String,
    code: i64,
    log: String,
}

pub async fn bad_transactions_are_refused_each_with_its_own_error(world: World) -> Result<()> {
    let tenant = world.new_tenant("clumsy").await?;
    let before = standing(&world, &tenant).await?;
    for case in cases(&world, &tenant).await? {
        let answer = broadcast(&world, &case.bytes).await?;
        println!("  {:<44} {} {}: {}", case.what, answer.codespace, answer.code, answer.log);
        ensure!(
            (answer.codespace.as_str(), answer.code) == ("sdk", case.code),
            "{}: expected code {}, got {answer:?}",
            case.what,
            case.code
        );
        ensure!(
            answer.log.contains(case.says),
            "{}: {:?} is not in its error: {answer:?}",
            case.what,
            case.says
        );
    }
    oversized(&world).await?;
    ensure!(standing(&world, &tenant).await? == before, "a refused transaction changed something");
    good_one(&world, &tenant).await?;
    Ok(())
}

struct Case {
    what: &'static str,
    bytes: Vec<u8>,
    code: i64,
    says: &'static str,
}

async fn cases(world: &World, tenant: &Tenant) -> Result<Vec<Case>> {
    let account = world.chain().query().account(&tenant.address).await?;
    let height = world.chain().rpc().status().await?.latest_height;
    let right = SignInput {
        chain_id: world.chain().chain_id(),
        account_number: account.number,
        sequence: account.sequence,
        gas: 200_000,
        fee: 500,
        fee_denom: "ustoa",
        memo: "",
        timeout_height: height + 1000,
    };
    let message = |amount: u128| {
        any(&MsgSend {
            from_address: tenant.address.clone(),
            to_address: tenant.address.clone(),
            amount: vec![coin(amount)],
        })
    };
    let signed = |messages: Vec<Any>, input: &SignInput<'_>| -> Result<Vec<u8>> {
        Ok(sign(&tenant.key, messages, input)?.bytes)
    };
    let good = signed(vec![message(1)], &right)?;
    let raw = TxRaw::decode(good.as_slice())?;
    let with_signature =
        |bytes: Vec<u8>| TxRaw { signatures: vec![bytes], ..raw.clone() }.encode_to_vec();
    let mut flipped = raw.signatures.first().context("no signature")?.clone();
    flipped[5] ^= 1;
    let of_another = stoa_client::keys::recover(
        &stoa_client::keys::new_mnemonic()?,
        "",
        stoa_client::keys::Algorithm::Secp256k1,
    )?;
    let long_memo = "x".repeat(300);
    let case = |what, bytes, code, says| Case { what, bytes, code, says };
    Ok(vec![
        case("random bytes", vec![0xff; 40], UNDECODABLE, "decode"),
        case("half a transaction", good[..good.len() / 2].to_vec(), UNDECODABLE, "decode"),
        case(
            "an unknown field",
            // Field 15, a length of 1, one byte.
            [good.as_slice(), &[0x7a, 1, 0]].concat(),
            UNDECODABLE,
            "decode",
        ),
        case(
            "an unknown message",
            signed(
                vec![Any { type_url: "/stoa.market.v1.MsgGiveMeMoney".into(), value: vec![] }],
                &right,
            )?,
            UNKNOWN_REQUEST,
            "MsgGiveMeMoney",
        ),
        case("a flipped bit in the signature", with_signature(flipped), UNAUTHORIZED, "signature"),
        case("a short signature", with_signature(vec![1; 10]), UNAUTHORIZED, "signature"),
        case(
            "no signature",
            TxRaw { signatures: vec![], ..raw.clone() }.encode_to_vec(),
            UNAUTHORIZED,
            "signature",
        ),
        case(
            "a signature for another chain",
            signed(vec![message(1)], &SignInput { chain_id: "other-1", ..right.clone() })?,
            UNAUTHORIZED,
            "signature",
        ),
        case(
            "another's key",
            sign(&of_another, vec![message(1)], &right)?.bytes,
            INVALID_KEY,
            "not of",
        ),
        case(
            "a sequence that is over",
            signed(
                vec![message(1)],
                &SignInput { sequence: account.sequence + 5, ..right.clone() },
            )?,
            WRONG_SEQUENCE,
            "expected 0, got 5",
        ),
        case(
            "a fee that the account does not have",
            signed(vec![message(1)], &SignInput { fee: u128::from(u64::MAX), ..right.clone() })?,
            INSUFFICIENT_FUNDS,
            "smaller than",
        ),
        case(
            "a memo that is too long",
            signed(vec![message(1)], &SignInput { memo: &long_memo, ..right.clone() })?,
            MEMO_TOO_LARGE,
            "256",
        ),
        case(
            "a timeout that has passed",
            signed(vec![message(1)], &SignInput { timeout_height: 1, ..right.clone() })?,
            TIMEOUT,
            "timeout height 1",
        ),
    ])
}

/// The pool refuses what is over the bound before it reaches the state machine.
async fn oversized(world: &World) -> Result<()> {
    let error = broadcast(world, &vec![0x0a; OVERSIZED]).await.err();
    let error = error.context("the pool took an oversized transaction")?.to_string();
    println!("  {:<44} {error}", "an oversized transaction");
    ensure!(error.contains("too large"), "{error}");
    Ok(())
}

/// The account is none the worse for it: its next transaction takes effect.
async fn good_one(world: &World, tenant: &Tenant) -> Result<()> {
    let message = MsgSend {
        from_address: tenant.address.clone(),
        to_address: tenant.address.clone(),
        amount: vec![coin(1)],
    };
    world.execute(&tenant.key, &message).await
}

/// What an account has, and its next sequence.
async fn standing(world: &World, tenant: &Tenant) -> Result<(u128, u64)> {
    let sequence = world.chain().query().account(&tenant.address).await?.sequence;
    Ok((world.balance(&tenant.address).await?, sequence))
}

async fn broadcast(world: &World, bytes: &[u8]) -> Result<Answer> {
    let params = json!({ "tx": STANDARD.encode(bytes) });
    let answer: Value = world.chain().rpc().call("broadcast_tx_sync", params).await?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Answer {
        codespace: text("codespace"),
        code: answer.get("code").and_then(Value::as_i64).context("no code")?,
        log: text("log"),
    })
}
