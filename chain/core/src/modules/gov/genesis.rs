//! Gov at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::count::{self, Count, Counted};
use super::records::{deposits, leaving, proposals, votes, Leaving, Proposal, Vote};
use super::{constitution, keys, life, params, Params};
use crate::ctx::Ctx;
use crate::types::{Address, Coins};

/// Bytes of a constitution.
const MAX_CONSTITUTION_BYTES: usize = 100_000;

/// Gov's part of the genesis document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// What governance sets for itself.
    pub params: Params,
    /// Free text.
    pub constitution: String,
    /// That the next proposal gets.
    pub next_id: u64,
    /// Sorted by id.
    pub proposals: Vec<Proposal>,
    /// Sorted by proposal and depositor.
    pub deposits: Vec<GenesisDeposit>,
    /// Not counted yet. Sorted by proposal and voter.
    pub votes: Vec<GenesisVote>,
    /// The count that is under way.
    pub count: Option<Count>,
    /// Its validators, sorted by operator.
    pub counted: Vec<GenesisCounted>,
    /// Proposals whose deposits and votes have not all left. Sorted by id.
    pub leaving: Vec<GenesisLeaving>,
}

impl Default for Genesis {
    fn default() -> Self {
        Self {
            params: Params::default(),
            constitution: String::new(),
            next_id: 1,
            proposals: Vec::new(),
            deposits: Vec::new(),
            votes: Vec::new(),
            count: None,
            counted: Vec::new(),
            leaving: Vec::new(),
        }
    }
}

macro_rules! with_id {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $type:ty),* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "a record and what it is known by")]
        pub struct $name {
            $(pub $field: $type,)*
        }
    };
}
with_id! {
    /// What one depositor has put on a proposal.
    GenesisDeposit { proposal: u64, depositor: Address, amount: Coins }
}
with_id! {
    /// Somebody's vote.
    GenesisVote { proposal: u64, voter: Address, vote: Vote }
}
with_id! {
    /// A validator of the count.
    GenesisCounted { operator: Address, counted: Counted }
}
with_id! {
    /// A proposal that leaves.
    GenesisLeaving { proposal: u64, how: Leaving }
}

/// Writes the records, and derives the queue of ends.
///
/// # Errors
/// Parameters that are wrong in themselves, or a proposal listed twice.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    if genesis.constitution.len() > MAX_CONSTITUTION_BYTES {
        let bytes = genesis.constitution.len();
        return Err(format!(
            "the constitution has {bytes} bytes; at most {MAX_CONSTITUTION_BYTES} are allowed"
        ));
    }
    ctx.put(keys::params(), &genesis.params);
    ctx.put(keys::next_id(), &genesis.next_id.max(1));
    if !genesis.constitution.is_empty() {
        ctx.put(keys::constitution(), &genesis.constitution);
    }
    for proposal in &genesis.proposals {
        if ctx.has(&keys::proposal(proposal.id)) {
            return Err(format!("proposal {} is listed twice", proposal.id));
        }
        life::put(ctx, proposal);
    }
    for GenesisDeposit { proposal, depositor, amount } in &genesis.deposits {
        ctx.put(keys::deposit(*proposal, depositor), amount);
    }
    for GenesisVote { proposal, voter, vote } in &genesis.votes {
        ctx.put(keys::vote(*proposal, voter), vote);
    }
    if let Some(count) = &genesis.count {
        ctx.put(keys::count(), count);
    }
    for GenesisCounted { operator, counted } in &genesis.counted {
        ctx.put(keys::counted(operator), counted);
    }
    for GenesisLeaving { proposal, how } in &genesis.leaving {
        ctx.put(keys::leaving(*proposal), how);
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let deposits = deposits(ctx).map(|(proposal, depositor, amount)| GenesisDeposit {
        proposal,
        depositor,
        amount,
    });
    let votes = votes(ctx).map(|(proposal, voter, vote)| GenesisVote { proposal, voter, vote });
    let counted =
        count::stored(ctx).map(|(operator, counted)| GenesisCounted { operator, counted });
    let leaving = leaving(ctx).map(|(proposal, how)| GenesisLeaving { proposal, how });
    Genesis {
        params: params(ctx),
        constitution: constitution(ctx),
        next_id: life::next_id(ctx),
        proposals: proposals(ctx).collect(),
        deposits: deposits.collect(),
        votes: votes.collect(),
        count: count::count(ctx),
        counted: counted.collect(),
        leaving: leaving.collect(),
    }
}
