//! Counting votes, over as many blocks as it takes.
//!
//! A count is of the stake as it stands when it begins, at the end of the
//! first block past the voting period that has room for it:
//! - tokens and shares of each bonded validator are written down then;
//! - whoever's delegations or provider's stake are about to change while his
//!   vote waits has it counted before ([`before_stake_changes`]).
//!
//! A vote is removed when it is counted. One count is under way at a time.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::keys;
use super::records::{self, Part, Sums, Vote};
use crate::ctx::Ctx;
use crate::modules::{provider, staking};
use crate::types::{mul_div_floor, Address, Amount, Dec, Fine};

/// What has been counted so far.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Of which proposal.
    pub proposal: u64,
    /// All that could vote: bonded tokens and providers' stake.
    pub stake: Fine,
    /// What did.
    pub voted: Fine,
    /// For what.
    pub sums: Sums,
    /// Bonded when it began.
    pub validators: u32,
}

/// A validator as it stood when the count began.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Bonded.
    pub tokens: Amount,
    /// Of all its delegations.
    pub shares: Dec,
    /// Of those delegators who voted themselves.
    pub own: Dec,
    /// Its operator's vote, which is that of the other delegators.
    pub vote: Vec<Part>,
}

impl Counted {
    /// What so many of its shares are worth, in 10^-18 units, rounded down.
    fn worth(&self, shares: Dec) -> Fine {
        let tokens = self.tokens.to_fine();
        let worth = mul_div_floor(shares.raw(), tokens.raw(), self.shares.raw());
        Fine::from_raw(worth.unwrap_or_default())
    }
}

/// A count, with those of its validators that have been looked at.
pub struct Counting {
    count: Count,
    /// None: it was not bonded.
    validators: BTreeMap<Address, Option<Counted>>,
    /// Whether the others stand in the state.
    stored: bool,
}

impl Counting {
    /// A count of the stake as it stands.
    pub fn begin(ctx: &Ctx<'_>, proposal: u64) -> Self {
        let mut stake = provider::total_stake(ctx).to_fine();
        let mut validators = BTreeMap::new();
        for validator in staking::bonded_validators(ctx) {
            stake = stake.saturating_add(validator.tokens.to_fine());
            let (tokens, shares) = (validator.tokens, validator.shares);
            let counted = Counted { tokens, shares, own: Dec::ZERO, vote: Vec::new() };
            validators.insert(validator.operator, Some(counted));
        }
        let count = Count {
            proposal,
            stake,
            voted: Fine::ZERO,
            sums: Sums::default(),
            validators: u32::try_from(validators.len()).unwrap_or(u32::MAX),
        };
        Self { count, validators, stored: false }
    }

    /// The one that is under way.
    pub fn load(ctx: &Ctx<'_>) -> Option<Self> {
        let count = count(ctx)?;
        Some(Self { count, validators: BTreeMap::new(), stored: true })
    }

    /// Of which proposal.
    pub fn proposal(&self) -> u64 {
        self.count.proposal
    }

    /// Validators that were bonded when it began.
    pub fn size(&self) -> u64 {
        self.count.validators.into()
    }

    /// Writes it, so that it can go on later.
    pub fn store(self, ctx: &mut Ctx<'_>) {
        ctx.put(keys::count(), &self.count);
        for (operator, counted) in self.validators {
            if let Some(counted) = counted {
                ctx.put(keys::counted(&operator), &counted);
            }
        }
    }

    /// Counts a vote. Answers its work: 1 and the delegations read.
    pub fn add(&mut self, ctx: &Ctx<'_>, voter: &Address, vote: &Vote) -> u64 {
        if let Some(provider) = provider::provider(ctx, voter) {
            self.add_power(provider.stake.to_fine(), &vote.parts);
        }
        if let Some(own) = self.validator(ctx, voter) {
            own.vote.clone_from(&vote.parts);
        }
        let delegations = self.delegations(ctx, voter);
        let work = u64::try_from(delegations.len()).unwrap_or(u64::MAX).saturating_add(1);
        for delegation in delegations {
            let Some(counted) = self.validator(ctx, &delegation.validator) else { continue };
            counted.own = counted.own.saturating_add(delegation.shares);
            let power = counted.worth(delegation.shares);
            self.add_power(power, &vote.parts);
        }
        work
    }

    /// All votes are counted: adds the validators' own for what their
    /// delegators did not vote with themselves.
    pub fn close(mut self, ctx: &Ctx<'_>) -> Count {
        let mut all = std::mem::take(&mut self.validators);
        if self.stored {
            for (operator, counted) in stored(ctx) {
                all.entry(operator).or_insert(Some(counted));
            }
        }
        for counted in all.into_values().flatten() {
            let rest = counted.shares.saturating_sub(counted.own);
            self.add_power_of(&counted, rest);
        }
        self.count
    }

    fn add_power_of(&mut self, counted: &Counted, shares: Dec) {
        if !counted.vote.is_empty() {
            self.add_power(counted.worth(shares), &counted.vote);
        }
    }

    fn add_power(&mut self, power: Fine, parts: &[Part]) {
        self.count.voted = self.count.voted.saturating_add(power);
        for part in parts {
            self.count.sums.add(part.choice, part.weight.of_fine(power));
        }
    }

    fn validator(&mut self, ctx: &Ctx<'_>, operator: &Address) -> Option<&mut Counted> {
        let stored = self.stored;
        let find = || if stored { ctx.get(&keys::counted(operator)) } else { None };
        self.validators.entry(*operator).or_insert_with(find).as_mut()
    }

    /// The voter's delegations; where they are more than there are validators
    /// that count, only those with these.
    fn delegations(&self, ctx: &Ctx<'_>, voter: &Address) -> Vec<staking::Delegation> {
        let most = usize::try_from(self.count.validators).unwrap_or(usize::MAX);
        let enough = most.saturating_add(1);
        let found: Vec<_> = staking::delegations_of(ctx, voter).take(enough).collect();
        if found.len() <= most {
            return found;
        }
        let bonded: Vec<Address> = if self.stored {
            stored(ctx).map(|(operator, _)| operator).collect()
        } else {
            self.validators.iter().filter(|(_, found)| found.is_some()).map(|(o, _)| *o).collect()
        };
        bonded.iter().filter_map(|operator| staking::delegation(ctx, voter, operator)).collect()
    }
}

/// The count that is under way.
pub fn count(ctx: &Ctx<'_>) -> Option<Count> {
    ctx.get(&keys::count())
}

/// Its validators, by operator.
pub fn stored<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Address, Counted)> + 'a {
    ctx.prefix(&keys::all_counted()).filter_map(|(key, value)| {
        Some((keys::counted_operator(&key)?, crate::state::decode(&key, &value)))
    })
}

/// Forgets the count that was under way.
pub fn forget(ctx: &mut Ctx<'_>) {
    let operators: Vec<Address> = stored(ctx).map(|(operator, _)| operator).collect();
    for operator in operators {
        ctx.remove(keys::counted(&operator));
    }
    ctx.remove(keys::count());
}

/// Hook: called before a delegation of `voter` is made, changed or removed,
/// and before the stake of the provider that he is changes. Counts his vote
/// with what he has until now, where it waits to be counted.
pub fn before_stake_changes(ctx: &mut Ctx<'_>, voter: &Address) {
    let Some(id) = count(ctx).map(|count| count.proposal) else { return };
    let Some(vote) = records::vote(ctx, id, voter) else { return };
    let Some(mut counting) = Counting::load(ctx) else { return };
    counting.add(ctx, voter, &vote);
    counting.store(ctx);
    ctx.remove(keys::vote(id, voter));
}
