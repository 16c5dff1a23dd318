//! What the engine enforces, with CometBFT's own bounds
//! (`types/params.go`, `ValidateBasic` and `ValidateUpdate` of 0.38) and some
//! of ours: an engine that is told something else stops every node.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::tendermint::google::protobuf::Duration;
use cosmos_sdk_proto::tendermint::types as pb;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;

/// Bytes of CometBFT's largest block.
pub const MAX_BLOCK_BYTES: u64 = 104_857_600;
/// Bytes of the smallest block that has room for a transaction of the largest
/// size beside votes.
pub const MIN_BLOCK_BYTES: u64 = 262_144;
/// Gas of the smallest block in which governance can still propose and vote.
pub const MIN_BLOCK_GAS: u64 = 1_000_000;
/// The kind of key that validators have.
const KEY_TYPE: &str = "ed25519";
/// Numbers that the engine has with a sign.
const MAX_SIGNED: u64 = i64::MAX.unsigned_abs();
const NANOS: u64 = 1_000_000_000;

/// What the engine enforces. Validators' keys are of one kind, and there are no
/// vote extensions: neither is anybody's to choose.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Bytes of a block.
    pub max_block_bytes: u64,
    /// Sum of the gas limits of a block's transactions; none: no bound.
    pub max_block_gas: Option<u64>,
    /// Blocks after which misbehavior is shown no more, where
    /// `max_evidence_age_nanos` has passed too.
    pub max_evidence_age_blocks: u64,
    /// The same in nanoseconds.
    pub max_evidence_age_nanos: u64,
    /// Bytes of evidence in a block.
    pub max_evidence_bytes: u64,
}

impl Default for Params {
    /// Evidence lives for 21 days: as long as stake stays bonded after it
    /// leaves, by staking's defaults.
    fn default() -> Self {
        Self {
            max_block_bytes: 4 << 20,
            max_block_gas: Some(200_000_000),
            max_evidence_age_blocks: 1_814_400,
            max_evidence_age_nanos: 1_814_400_u64.saturating_mul(NANOS),
            max_evidence_bytes: 1 << 20,
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// The field, as CometBFT names it, and what is right.
    pub fn validate(&self) -> Result<(), String> {
        let bytes = self.max_block_bytes;
        if !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&bytes) {
            return Err(format!(
                "block.max_bytes {bytes} is not from {MIN_BLOCK_BYTES} to {MAX_BLOCK_BYTES}"
            ));
        }
        if self.max_block_gas.is_some_and(|gas| !(MIN_BLOCK_GAS..=MAX_SIGNED).contains(&gas)) {
            return Err(format!("block.max_gas is at least {MIN_BLOCK_GAS}, or -1 for no bound"));
        }
        for (name, age) in [
            ("max_age_num_blocks", self.max_evidence_age_blocks),
            ("max_age_duration", self.max_evidence_age_nanos),
        ] {
            if !(1..=MAX_SIGNED).contains(&age) {
                return Err(format!("evidence.{name} must be over 0 and at most {MAX_SIGNED}"));
            }
        }
        if self.max_evidence_bytes > bytes {
            let evidence = self.max_evidence_bytes;
            return Err(format!(
                "evidence.max_bytes {evidence} is over block.max_bytes {bytes}: it fits in a block"
            ));
        }
        Ok(())
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

/// Sum of the gas limits of a block's transactions.
pub fn max_block_gas(ctx: &Ctx<'_>) -> u64 {
    params(ctx).max_block_gas.unwrap_or(u64::MAX)
}

/// What the engine must be told, which knows those of `before`.
pub fn changed(ctx: &Ctx<'_>, before: &Params) -> Option<Params> {
    let now = params(ctx);
    (now != *before).then_some(now)
}

/// Without a version, which is the program's and stays as it is.
impl From<Params> for pb::ConsensusParams {
    fn from(params: Params) -> Self {
        let whole = |nanos: u64| nanos.checked_div(NANOS).unwrap_or_default();
        let rest = |nanos: u64| nanos.checked_rem(NANOS).unwrap_or_default();
        Self {
            block: Some(pb::BlockParams {
                max_bytes: signed(params.max_block_bytes),
                max_gas: params.max_block_gas.map_or(-1, signed),
            }),
            evidence: Some(pb::EvidenceParams {
                max_age_num_blocks: signed(params.max_evidence_age_blocks),
                max_age_duration: Some(Duration {
                    seconds: signed(whole(params.max_evidence_age_nanos)),
                    nanos: i32::try_from(rest(params.max_evidence_age_nanos)).unwrap_or_default(),
                }),
                max_bytes: signed(params.max_evidence_bytes),
            }),
            validator: Some(pb::ValidatorParams { pub_key_types: vec![KEY_TYPE.to_owned()] }),
            version: None,
            abci: Some(pb::AbciParams { vote_extensions_enable_height: 0 }),
        }
    }
}

/// All parts must be there but `abci`, as in the Cosmos SDK; the version is
/// passed over.
impl TryFrom<pb::ConsensusParams> for Params {
    type Error = String;

    fn try_from(proto: pb::ConsensusParams) -> Result<Self, String> {
        let missing = |name: &str| format!("{name} is missing: all parts are given together");
        let block = proto.block.ok_or_else(|| missing("block"))?;
        let evidence = proto.evidence.ok_or_else(|| missing("evidence"))?;
        let validator = proto.validator.ok_or_else(|| missing("validator"))?;
        if validator.pub_key_types != [KEY_TYPE] {
            return Err(format!("validator.pub_key_types: validators have {KEY_TYPE} keys alone"));
        }
        if proto.abci.is_some_and(|abci| abci.vote_extensions_enable_height != 0) {
            let name = "abci.vote_extensions_enable_height";
            return Err(format!("{name} is 0: this chain has no vote extensions"));
        }
        let unsigned = |name: &str, number: i64| {
            u64::try_from(number).map_err(|_| format!("{name} {number} is under 0"))
        };
        let age = evidence.max_age_duration.ok_or_else(|| missing("evidence.max_age_duration"))?;
        let params = Self {
            max_block_bytes: unsigned("block.max_bytes", block.max_bytes)?,
            max_block_gas: match block.max_gas {
                -1 => None,
                gas => Some(unsigned("block.max_gas", gas)?),
            },
            max_evidence_age_blocks: unsigned(
                "evidence.max_age_num_blocks",
                evidence.max_age_num_blocks,
            )?,
            max_evidence_age_nanos: nanos_of(&age)
                .ok_or("evidence.max_age_duration must be over 0, in at most 63 bits of ns")?,
            max_evidence_bytes: unsigned("evidence.max_bytes", evidence.max_bytes)?,
        };
        params.validate()?;
        Ok(params)
    }
}

fn nanos_of(time: &Duration) -> Option<u64> {
    let nanos = u64::try_from(time.nanos).ok().filter(|nanos| *nanos < NANOS)?;
    u64::try_from(time.seconds).ok()?.checked_mul(NANOS)?.checked_add(nanos)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
