//! What consensus says of a block beside its transactions.

use crate::ctx::Block;
use crate::types::ConsAddress;

/// A block as it is proposed or decided, without its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInput {
    /// Chain, height, time.
    pub block: Block,
    /// Who proposed it; none where nobody says.
    pub proposer: Option<ConsAddress>,
    /// Votes on the block before, which this block's commit carries. At most
    /// one for each validator of the engine's set.
    pub votes: Vec<Vote>,
    /// Proven misbehavior, each once.
    pub misbehavior: Vec<Misbehavior>,
}

/// Whether a validator's vote on the block before is in the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Whose.
    pub validator: ConsAddress,
    /// Its voting power then.
    pub power: u64,
    /// It signed the block, or for none (nil); false: absent.
    pub signed: bool,
}

/// Two votes of one validator for different blocks of one height and round, or
/// an attack on light clients: both are signatures that no honest validator
/// gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misbehavior {
    /// Whose.
    pub validator: ConsAddress,
    /// Its voting power then.
    pub power: u64,
    /// When: height.
    pub height: u64,
    /// When: Unix seconds.
    pub time: u64,
}

/// A block of which consensus says nothing more.
impl From<Block> for BlockInput {
    fn from(block: Block) -> Self {
        Self { block, proposer: None, votes: Vec::new(), misbehavior: Vec::new() }
    }
}
