//! The fuzzer's bytes as what a chain is asked.

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use prost::Message;
use stoa_chain::types::{Address, ValAddress};
use stoa_proto::Any;
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::{
        abci::{CommitInfo, Misbehavior, Validator, VoteInfo},
        types::BlockIdFlag,
    },
};

use crate::stage::{sign, Actor, Stage, Terms};

/// Most transactions of a block.
const MAX_TXS: usize = 6;

/// Transactions: bytes alone, or a signed one of messages that were sent before, changed.
pub fn txs(u: &mut Unstructured<'_>, stage: &Stage) -> Result<Vec<Vec<u8>>> {
    let mut actors = stage.actors();
    let count = u.int_in_range(1..=MAX_TXS)?;
    (0..count).map(|_| tx(u, stage, &mut actors)).collect()
}

fn tx(
    u: &mut Unstructured<'_>,
    stage: &Stage,
    actors: &mut BTreeMap<Address, Actor>,
) -> Result<Vec<u8>> {
    let kind: u8 = u.arbitrary()?;
    if kind == 0 {
        return u.arbitrary();
    }
    let count = if kind < 200 { 1 } else { u.int_in_range(2..=4)? };
    let mut sent = Vec::with_capacity(count);
    for _ in 0..count {
        let (signer, mut message) = u.choose(&stage.messages)?.clone();
        edit(u, stage, &mut message.value)?;
        if u.ratio(1u8, 30u8)? {
            message.type_url = u.choose(&stage.messages)?.1.type_url.clone();
        }
        sent.push((signer, message));
    }
    let terms = terms(u)?;
    let mut bytes = sign(&stage.block.chain_id, actors, &sent, &terms);
    if u.ratio(1u8, 20u8)? {
        edit(u, stage, &mut bytes)?;
    }
    Ok(bytes)
}

fn terms(u: &mut Unstructured<'_>) -> Result<Terms> {
    let mut terms = Terms {
        fee: 1_000,
        gas: 5_000_000,
        memo: String::new(),
        timeout_height: 0,
        ahead: 0,
        mode: 1,
    };
    match u.arbitrary::<u8>()? {
        0 => terms.fee = u.arbitrary()?,
        1 => terms.gas = u.arbitrary()?,
        2 => terms.gas = u.int_in_range(0..=400_000)?,
        3 => terms.memo = u.arbitrary()?,
        4 => terms.timeout_height = u.arbitrary()?,
        5 => terms.ahead = u.arbitrary()?,
        6 => terms.mode = u.arbitrary()?,
        7 => terms.mode = 127,
        _ => {}
    }
    Ok(terms)
}

/// Changes bytes here and there.
pub fn edit(u: &mut Unstructured<'_>, stage: &Stage, bytes: &mut Vec<u8>) -> Result<()> {
    for _ in 0..u.int_in_range(0..=3u8)? {
        let at = u.int_in_range(0..=bytes.len())?;
        match u.int_in_range(0..=5u8)? {
            0 if at < bytes.len() => bytes[at] = u.arbitrary()?,
            1 if at < bytes.len() => bytes[at] ^= 1 << u.int_in_range(0..=7u8)?,
            2 => bytes.insert(at, u.arbitrary()?),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            // A number as protobuf has it, or a part of another message.
            _ => {
                let part = if u.arbitrary()? {
                    let mut part = Vec::new();
                    prost::encoding::encode_varint(u.arbitrary()?, &mut part);
                    part
                } else {
                    let other = &u.choose(&stage.messages)?.1.value;
                    let from = u.int_in_range(0..=other.len())?;
                    other[from..].iter().take(u.int_in_range(0..=60)?).copied().collect()
                };
                bytes.splice(at..at, part);
            }
        }
    }
    Ok(())
}

/// A protobuf message of fields with values that mean something on the chain.
pub fn request(u: &mut Unstructured<'_>, stage: &Stage, depth: u8) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for _ in 0..u.int_in_range(0..=5u8)? {
        let field = u.int_in_range(1..=7u32)?;
        match u.int_in_range(0..=6u8)? {
            0 => {
                prost::encoding::encode_key(field, prost::encoding::WireType::Varint, &mut out);
                prost::encoding::encode_varint(small_or_any(u)?, &mut out);
            }
            1 => prost::encoding::bytes::encode(field, &u.arbitrary::<Vec<u8>>()?, &mut out),
            2 if depth > 0 => {
                let inner = request(u, stage, depth - 1)?;
                prost::encoding::bytes::encode(field, &inner, &mut out);
            }
            3 => {
                let any: &Any = &u.choose(&stage.messages)?.1;
                prost::encoding::bytes::encode(field, &any.encode_to_vec(), &mut out);
            }
            _ => prost::encoding::string::encode(field, &text(u, stage)?, &mut out),
        }
    }
    Ok(out)
}

fn small_or_any(u: &mut Unstructured<'_>) -> Result<u64> {
    if u.arbitrary()? {
        u.int_in_range(0..=20)
    } else {
        u.arbitrary()
    }
}

fn text(u: &mut Unstructured<'_>, stage: &Stage) -> Result<String> {
    let addresses: Vec<&Address> = stage.addresses().collect();
    let address = **u.choose(&addresses)?;
    Ok(match u.int_in_range(0..=6u8)? {
        0 | 1 => address.to_string(),
        2 => ValAddress::from(address).to_string(),
        3 => "ustoa".to_owned(),
        4 => u
            .choose(&["open", "active", "bonded", "BOND_STATUS_BONDED", "1", "gov", "key=1"])?
            .to_string(),
        5 => u.choose(&stage.messages)?.1.type_url.clone(),
        _ => u.arbitrary()?,
    })
}

/// The time of the next block: mostly soon, at times after years.
pub fn time(u: &mut Unstructured<'_>, stage: &Stage) -> Result<Option<Timestamp>> {
    let seconds = match u.int_in_range(0..=9u8)? {
        0 => u.int_in_range(0..=400_000_000i64)?,
        1 => u.int_in_range(0..=4_000)?,
        _ => u.int_in_range(0..=20)?,
    };
    let now = i64::try_from(stage.block.now).unwrap_or(i64::MAX);
    let seconds = now.saturating_add(seconds);
    Ok(Some(Timestamp { seconds, nanos: u.int_in_range(0..=999_999_999)? }))
}

/// Who voted for the block before; at times with powers that no engine says.
pub fn commit(u: &mut Unstructured<'_>, stage: &Stage) -> Result<CommitInfo> {
    let mut votes = Vec::new();
    for (address, power) in &stage.voters {
        let power = if u.ratio(1u8, 40u8)? { u.arbitrary()? } else { *power };
        let validator = Some(Validator { address: address.clone().into(), power });
        let flags = [BlockIdFlag::Commit, BlockIdFlag::Nil, BlockIdFlag::Absent];
        let block_id_flag = i32::from(*u.choose(&flags)?);
        votes.push(VoteInfo { validator, block_id_flag });
    }
    Ok(CommitInfo { round: u.arbitrary()?, votes })
}

/// Shown misbehavior, mostly none.
pub fn misbehavior(u: &mut Unstructured<'_>, stage: &Stage) -> Result<Vec<Misbehavior>> {
    if stage.voters.is_empty() || !u.ratio(1u8, 8u8)? {
        return Ok(Vec::new());
    }
    let (address, power) = u.choose(&stage.voters)?.clone();
    let now = i64::try_from(stage.block.now).unwrap_or(i64::MAX);
    Ok(vec![Misbehavior {
        r#type: u.int_in_range(0..=2)?,
        validator: Some(Validator { address: address.into(), power }),
        height: if u.arbitrary()? { u.int_in_range(0..=60)? } else { u.arbitrary()? },
        time: Some(Timestamp { seconds: now - u.int_in_range(0..=100)?, nanos: 0 }),
        total_voting_power: u.arbitrary()?,
    }])
}
