//! Transactions without a place in a sequence: each is executed at most once
//! until its time of timeout, and then never more.
//!
//! A signer has one unordered transaction for each time of timeout, to the
//! nanosecond; that time is remembered until it is over. So nobody who passes
//! a transaction on can have it executed again in another form.
//!
//! Source: "unordered transactions" of the Cosmos SDK 0.53, x/auth/ante.

use serde::{Deserialize, Serialize};

use super::{keys, Params};
use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::gas;
use crate::tx::{Timeout, Tx};
use crate::types::Address;

/// Most records that a block removes. A block's gas has room for more new ones,
/// but not block after block; what is over waits for the next.
pub const MAX_PRUNED: usize = 4_000;

/// A time of timeout that a signer has used, in genesis documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Whose.
    pub signer: Address,
    /// Unix seconds.
    pub seconds: u64,
    /// And nanoseconds.
    pub nanos: u32,
}

/// Takes the signers' times of timeout, which must be free, and not too far
/// ahead.
pub fn admit(ctx: &mut Ctx<'_>, tx: &Tx, params: &Params) -> Result<(), SdkError> {
    let invalid = |text: String| SdkError::InvalidRequest(text);
    let timeout = tx
        .timeout_time
        .filter(|timeout| timeout.seconds != 0)
        .ok_or_else(|| invalid("an unordered transaction needs a timeout_timestamp".to_owned()))?;
    let most = u64::from(params.max_unordered_seconds);
    if timeout > (Timeout { seconds: ctx.now().saturating_add(most), nanos: 0 }) {
        return Err(invalid(format!(
            "the timeout_timestamp of an unordered transaction is at most {most} seconds ahead"
        )));
    }
    for signer in &tx.signers {
        let key = keys::unordered(timeout, &signer.address);
        if ctx.has(&key) {
            return Err(invalid(format!(
                "{} has sent an unordered transaction with this timeout_timestamp already; each \
                 has its own, to the nanosecond",
                signer.address
            )));
        }
        ctx.put(key, &true);
        // It will be removed on nobody's account.
        ctx.charge(gas::REMOVE);
    }
    Ok(())
}

/// Forgets the times that are over: their transactions are refused for that.
pub fn prune(ctx: &mut Ctx<'_>) {
    let (from, to) = (keys::unordered_from(0), keys::unordered_from(ctx.now()));
    let over: Vec<_> = ctx.range(&from, &to).take(MAX_PRUNED).map(|(key, _)| key).collect();
    for key in over {
        ctx.remove(key);
    }
}

/// All times in use, by time.
pub fn all<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = Used> + 'a {
    ctx.prefix(&keys::unordered_all()).filter_map(|(key, _)| keys::parse_unordered(&key))
}

/// Writes a time in use.
pub fn put(ctx: &mut Ctx<'_>, used: &Used) {
    let timeout = Timeout { seconds: used.seconds, nanos: used.nanos };
    ctx.put(keys::unordered(timeout, &used.signer), &true);
}
