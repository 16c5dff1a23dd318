//! What governance keeps of proposals, votes and deposits.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::Any;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::{Address, Coins, Dec, Fine};

/// Where a proposal stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for its deposit.
    Deposit,
    /// It is voted on, or its votes are counted.
    Voting,
    /// Its messages were executed.
    Passed,
    /// It did not pass.
    Rejected,
    /// It passed, but one of its messages failed: nothing was done.
    Failed,
}

/// A message as it was proposed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMessage {
    /// Which.
    pub type_url: String,
    /// Its bytes.
    #[serde(with = "hex::serde")]
    pub value: Vec<u8>,
}

impl RawMessage {
    /// As protobuf has it.
    pub fn to_any(&self) -> Any {
        Any { type_url: self.type_url.clone(), value: self.value.clone() }
    }
}

impl From<Any> for RawMessage {
    fn from(any: Any) -> Self {
        Self { type_url: any.type_url, value: any.value }
    }
}

/// When a proposal is voted on. Unix seconds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Voting {
    /// From here on.
    pub starts_at: u64,
    /// Before here.
    pub ends_at: u64,
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// From 1.
    pub id: u64,
    /// What it does; the signer of each is governance. None: it is a text.
    pub messages: Vec<RawMessage>,
    /// See [`Status`].
    pub status: Status,
    /// Who may cancel it.
    pub proposer: Address,
    /// For people.
    pub title: String,
    /// For people.
    pub summary: String,
    /// For people: where to read more.
    pub metadata: String,
    /// Voted on for a shorter time, with a higher threshold.
    pub expedited: bool,
    /// Unix seconds.
    pub submitted_at: u64,
    /// Unix seconds: without its deposit by then it is dropped.
    pub deposit_ends_at: u64,
    /// Of all depositors.
    pub total_deposit: Coins,
    /// None before its deposit is there.
    pub voting: Option<Voting>,
    /// Of the last count.
    pub tally: Sums,
    /// What the message that failed said.
    pub failed_reason: String,
}

impl Proposal {
    /// Its entry in the queue of ends.
    pub fn end_key(&self) -> Option<Vec<u8>> {
        match (self.status, self.voting) {
            (Status::Deposit, _) => Some(keys::deposit_end(self.deposit_ends_at, self.id)),
            (Status::Voting, Some(voting)) => Some(keys::voting_end(voting.ends_at, self.id)),
            _ => None,
        }
    }

    /// Whether votes are taken.
    pub fn takes_votes(&self, now: u64) -> bool {
        self.status == Status::Voting && self.voting.is_some_and(|voting| now < voting.ends_at)
    }

    /// Whether deposits are taken.
    pub fn takes_deposits(&self, now: u64) -> bool {
        match self.status {
            Status::Deposit => now < self.deposit_ends_at,
            _ => self.takes_votes(now),
        }
    }
}

/// What one can vote.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// For it.
    Yes,
    /// For the quorum alone.
    Abstain,
    /// Against it.
    No,
    /// Against it, and for the loss of its deposit.
    NoWithVeto,
}

impl Choice {
    /// From protobuf's number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Yes, Self::Abstain, Self::No, Self::NoWithVeto]
            .into_iter()
            .find(|choice| choice.number() == number)
    }

    /// In protobuf.
    pub fn number(self) -> i32 {
        match self {
            Self::Yes => 1,
            Self::Abstain => 2,
            Self::No => 3,
            Self::NoWithVeto => 4,
        }
    }

    /// As Cosmos writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "VOTE_OPTION_YES",
            Self::Abstain => "VOTE_OPTION_ABSTAIN",
            Self::No => "VOTE_OPTION_NO",
            Self::NoWithVeto => "VOTE_OPTION_NO_WITH_VETO",
        }
    }
}

/// A part of a vote.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// For what.
    pub choice: Choice,
    /// Of the voter's power; over 0.
    pub weight: Dec,
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Distinct; their weights are 1 together.
    pub parts: Vec<Part>,
    /// For people.
    pub metadata: String,
}

/// Voting power by choice, in 10^-18 units of stake.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// For it.
    pub yes: Fine,
    /// For the quorum alone.
    pub abstain: Fine,
    /// Against it.
    pub no: Fine,
    /// Against it, with veto.
    pub no_with_veto: Fine,
}

impl Sums {
    /// Adds power to a choice.
    pub fn add(&mut self, choice: Choice, power: Fine) {
        let sum = match choice {
            Choice::Yes => &mut self.yes,
            Choice::Abstain => &mut self.abstain,
            Choice::No => &mut self.no,
            Choice::NoWithVeto => &mut self.no_with_veto,
        };
        *sum = sum.saturating_add(power);
    }
}

/// A proposal whose deposits, and votes that nobody will count, still stand
/// in the state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// Deposits return.
    Return,
    /// Deposits are burned.
    Burn,
    /// A part of each deposit is kept, the rest returns.
    Cut(Dec, CutTo),
}

/// Who gets what a cancelled proposal costs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CutTo {
    /// Nobody.
    Burn,
    /// The community pool.
    Pool,
    /// An account.
    Account(Address),
}

/// The proposal.
pub fn proposal(ctx: &Ctx<'_>, id: u64) -> Option<Proposal> {
    ctx.get(&keys::proposal(id))
}

/// All proposals, by id.
pub fn proposals<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Proposal> + 'a {
    ctx.prefix(&keys::proposals()).map(|(key, value)| crate::state::decode(&key, &value))
}

/// What one depositor has put on a proposal.
pub fn deposit(ctx: &Ctx<'_>, id: u64, depositor: &Address) -> Option<Coins> {
    ctx.get(&keys::deposit(id, depositor))
}

/// All deposits, by proposal and depositor.
pub fn deposits<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (u64, Address, Coins)> + 'a {
    ctx.prefix(&keys::deposits()).filter_map(|(key, value)| {
        let (id, depositor) = keys::parts(&key)?;
        Some((id, depositor, crate::state::decode(&key, &value)))
    })
}

/// Somebody's vote that is not counted yet.
pub fn vote(ctx: &Ctx<'_>, id: u64, voter: &Address) -> Option<Vote> {
    ctx.get(&keys::vote(id, voter))
}

/// All votes that are not counted yet, by proposal and voter.
pub fn votes<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (u64, Address, Vote)> + 'a {
    all_votes(ctx, &keys::votes())
}

/// Those on one proposal, by voter.
pub fn votes_on<'a>(ctx: &'a Ctx<'_>, id: u64) -> impl Iterator<Item = (u64, Address, Vote)> + 'a {
    all_votes(ctx, &keys::votes_on(id))
}

fn all_votes<'a>(
    ctx: &'a Ctx<'_>,
    prefix: &[u8],
) -> impl Iterator<Item = (u64, Address, Vote)> + 'a {
    ctx.prefix(prefix).filter_map(|(key, value)| {
        let (id, voter) = keys::parts(&key)?;
        Some((id, voter, crate::state::decode(&key, &value)))
    })
}

/// Proposals that are leaving, by id.
pub fn leaving<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (u64, Leaving)> + 'a {
    ctx.prefix(&keys::all_leaving()).filter_map(|(key, value)| {
        Some((keys::leaving_id(&key)?, crate::state::decode(&key, &value)))
    })
}
