//! How proposals move between their states.

use super::params::{covers, params, part_of, Params};
use super::records::{deposit, proposal, Leaving, Proposal, RawMessage, Status, Sums, Voting};
use super::{keys, Error};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::bank;
use crate::types::{Address, Coins};

/// Writes a proposal, and its entry in the queue of ends.
pub fn put(ctx: &mut Ctx<'_>, proposal: &Proposal) {
    ctx.put(keys::proposal(proposal.id), proposal);
    if let Some(key) = proposal.end_key() {
        ctx.put_raw(key, Vec::new());
    }
}

/// Takes a proposal out of the queue of ends.
pub fn unqueue(ctx: &mut Ctx<'_>, proposal: &Proposal) {
    if let Some(key) = proposal.end_key() {
        ctx.remove(key);
    }
}

/// A proposal as it is submitted.
pub struct Draft {
    /// Who may cancel it.
    pub proposer: Address,
    /// Validated.
    pub messages: Vec<RawMessage>,
    /// First deposit; the proposer's.
    pub deposit: Coins,
    /// For people.
    pub title: String,
    /// For people.
    pub summary: String,
    /// For people.
    pub metadata: String,
    /// See [`Proposal::expedited`].
    pub expedited: bool,
}

/// Submits a proposal. Answers its id.
///
/// # Errors
/// A first deposit that is too small, in another denom, or more than there is.
pub fn submit(ctx: &mut Ctx<'_>, draft: Draft) -> Result<u64, Failure> {
    let params = params(ctx);
    let Draft { proposer, messages, deposit, title, summary, metadata, expedited } = draft;
    let needed = part_of(params.deposit_needed(expedited), params.min_initial_deposit_ratio);
    check_denoms(&params, &deposit)?;
    if !covers(&deposit, &needed) {
        return Err(Error::DepositTooSmall { given: deposit, needed }.into());
    }
    let id = next_id(ctx);
    ctx.put(keys::next_id(), &id.saturating_add(1));
    let urls: String = messages.iter().map(|message| format!(",{}", message.type_url)).collect();
    let proposal = Proposal {
        id,
        messages,
        status: Status::Deposit,
        proposer,
        title,
        summary,
        metadata,
        expedited,
        submitted_at: ctx.now(),
        deposit_ends_at: ctx.now().saturating_add(params.max_deposit_period),
        total_deposit: Coins::new(),
        voting: None,
        tally: Sums::default(),
        failed_reason: String::new(),
    };
    put(ctx, &proposal);
    let event = Event::new("submit_proposal").with("proposal_id", id);
    ctx.emit(event.with("proposal_messages", urls));
    if deposit.is_empty() {
        activate_if_covered(ctx, &params, proposal);
    } else {
        pay_in(ctx, &params, proposal, &proposer, &deposit)?;
    }
    Ok(id)
}

/// The id that the next proposal gets.
pub fn next_id(ctx: &Ctx<'_>) -> u64 {
    ctx.get(&keys::next_id()).unwrap_or(1)
}

/// Adds to a proposal's deposit.
///
/// # Errors
/// The proposal takes none now; too little; another denom; more than there is.
pub fn add_deposit(
    ctx: &mut Ctx<'_>,
    id: u64,
    depositor: &Address,
    coins: &Coins,
) -> Result<(), Failure> {
    let params = params(ctx);
    let proposal = existing(ctx, id)?;
    if !proposal.takes_deposits(ctx.now()) {
        return Err(inactive(&proposal, "deposits").into());
    }
    if coins.is_empty() {
        return Err(SdkError::InvalidCoins("none are named".to_owned()).into());
    }
    check_denoms(&params, coins)?;
    let needed = part_of(params.deposit_needed(proposal.expedited), params.min_deposit_ratio);
    // As in the Cosmos SDK, one of the denoms is enough.
    let suffices = needed.iter().any(|coin| coins.of(&coin.denom) >= coin.amount);
    if !needed.is_empty() && !suffices {
        return Err(Error::DepositTooSmall { given: coins.clone(), needed }.into());
    }
    pay_in(ctx, &params, proposal, depositor, coins)
}

fn check_denoms(params: &Params, coins: &Coins) -> Result<(), Error> {
    let taken = &params.min_deposit;
    if coins.iter().all(|coin| !taken.of(&coin.denom).is_zero()) {
        return Ok(());
    }
    Err(Error::InvalidDenom { given: coins.clone(), taken: taken.clone() })
}

fn pay_in(
    ctx: &mut Ctx<'_>,
    params: &Params,
    mut proposal: Proposal,
    depositor: &Address,
    coins: &Coins,
) -> Result<(), Failure> {
    let id = proposal.id;
    let mut own = deposit(ctx, id, depositor).unwrap_or_default();
    for coin in coins.iter() {
        bank::take(ctx, depositor, &coin)?;
        add(&mut own, &coin);
        add(&mut proposal.total_deposit, &coin);
    }
    ctx.put(keys::deposit(id, depositor), &own);
    ctx.put(keys::proposal(id), &proposal);
    let event = Event::new("proposal_deposit").with("depositor", depositor);
    ctx.emit(event.with("amount", coins).with("proposal_id", id));
    activate_if_covered(ctx, params, proposal);
    Ok(())
}

/// The sum fits: supply is bounded.
fn add(sum: &mut Coins, coin: &crate::types::Coin) {
    let amount = sum.of(&coin.denom).saturating_add(coin.amount);
    sum.set(coin.denom.clone(), amount);
}

/// With its whole deposit a proposal is voted on.
fn activate_if_covered(ctx: &mut Ctx<'_>, params: &Params, proposal: Proposal) {
    let needed = params.deposit_needed(proposal.expedited);
    if proposal.status != Status::Deposit || !covers(&proposal.total_deposit, needed) {
        return;
    }
    unqueue(ctx, &proposal);
    let (id, starts_at) = (proposal.id, ctx.now());
    let ends_at = starts_at.saturating_add(params.voting_seconds(proposal.expedited));
    let voting = Some(Voting { starts_at, ends_at });
    put(ctx, &Proposal { status: Status::Voting, voting, ..proposal });
    ctx.emit(Event::new("proposal_deposit").with("voting_period_start", id));
}

/// The proposal.
///
/// # Errors
/// There is none.
pub fn existing(ctx: &Ctx<'_>, id: u64) -> Result<Proposal, Error> {
    proposal(ctx, id).ok_or(Error::UnknownProposal(id))
}

/// Why it takes no votes, or deposits.
pub fn inactive(proposal: &Proposal, what: &'static str) -> Error {
    let when = match (proposal.status, proposal.voting) {
        (Status::Deposit, _) if what == "votes" => {
            format!("it waits for its deposit, {} so far", proposal.total_deposit)
        }
        (Status::Deposit, _) => format!("its deposit period ended at {}", proposal.deposit_ends_at),
        (_, Some(voting)) => format!("voting ended at {}", voting.ends_at),
        (_, None) => "it was never voted on".to_owned(),
    };
    Error::Inactive { id: proposal.id, what, when }
}

/// A proposal is over: its deposits, and votes that nobody will count, leave
/// the state by and by.
pub fn begin_leaving(ctx: &mut Ctx<'_>, id: u64, leaving: Leaving) {
    ctx.put(keys::leaving(id), &leaving);
}

/// Takes a proposal that came to nothing out of the state.
pub fn drop_proposal(ctx: &mut Ctx<'_>, proposal: &Proposal, leaving: Leaving) {
    unqueue(ctx, proposal);
    ctx.remove(keys::proposal(proposal.id));
    begin_leaving(ctx, proposal.id, leaving);
}
