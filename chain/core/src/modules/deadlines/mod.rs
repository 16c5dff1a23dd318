//! The one queue of deadlines: every waiting state stands in it, and the end
//! of a block works it in the order of (due time, kind, id).
//!
//! The queue is a derived index: each entry's due time also stands in the
//! record that waits, from which the queue can be built anew.

mod keys;

pub use keys::{entry_key, parse_entry};

use crate::ctx::Ctx;
use crate::types::{DeploymentId, GroupId, LeaseId, OrderId};

/// What is due. The order of kinds is that in which equal times are worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// An escrow's balance is used up.
    Exhaustion = 1,
    /// A PENDING lease was not started.
    Start = 2,
    /// A reclamation window is over.
    Reclamation = 3,
    /// A lease's duration is over.
    Expiry = 4,
    /// A lease's provider was jailed.
    Jailing = 5,
    /// A sealed order takes no more commitments; bids are revealed.
    Reveal = 6,
    /// An order is matched.
    Match = 7,
    /// An overdrawn deployment closes.
    Overdrawn = 8,
    /// A closed record leaves the state.
    Pruning = 9,
}

impl Kind {
    /// From its number.
    pub fn from_number(number: u8) -> Option<Self> {
        use Kind::*;
        let all =
            [Exhaustion, Start, Reclamation, Expiry, Jailing, Reveal, Match, Overdrawn, Pruning];
        all.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number in keys.
    pub fn number(self) -> u8 {
        match self {
            Self::Exhaustion => 1,
            Self::Start => 2,
            Self::Reclamation => 3,
            Self::Expiry => 4,
            Self::Jailing => 5,
            Self::Reveal => 6,
            Self::Match => 7,
            Self::Overdrawn => 8,
            Self::Pruning => 9,
        }
    }
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A deployment or its escrow.
    Deployment(DeploymentId),
    /// A group.
    Group(GroupId),
    /// An order.
    Order(OrderId),
    /// A lease.
    Lease(LeaseId),
}

/// An entry of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Unix seconds.
    pub due: u64,
    /// What is due.
    pub kind: Kind,
    /// Of what.
    pub subject: Subject,
}

impl Deadline {
    /// An entry.
    pub fn new(due: u64, kind: Kind, subject: Subject) -> Self {
        Self { due, kind, subject }
    }
}

/// Enters a deadline.
pub fn schedule(ctx: &mut Ctx<'_>, deadline: Deadline) {
    let key = entry_key(&deadline);
    if key.as_slice() < ctx.queue_start() {
        ctx.set_queue_start(key.clone());
    }
    ctx.put_raw(key, Vec::new());
}

/// Takes a deadline out.
pub fn cancel(ctx: &mut Ctx<'_>, deadline: Deadline) {
    ctx.remove(entry_key(&deadline));
}

/// Takes the first deadline due at or before `now` out of the queue.
pub fn take_first(ctx: &mut Ctx<'_>, now: u64) -> Option<Deadline> {
    // What was taken in this block still lies before the first as a removal.
    let from = keys::from_time(0).max(ctx.queue_start().to_vec());
    let (key, _) = ctx.range(&from, &keys::from_time(now.saturating_add(1))).next()?;
    ctx.remove(key.clone());
    let deadline = parse_entry(&key);
    ctx.set_queue_start(key);
    deadline
}

/// Deadlines with `after < due <= until`, in order.
pub fn between(ctx: &Ctx<'_>, after: u64, until: u64) -> Vec<Deadline> {
    let from = keys::from_time(after.saturating_add(1));
    let to = keys::from_time(until.saturating_add(1));
    ctx.range(&from, &to).filter_map(|(key, _)| parse_entry(&key)).collect()
}
