//! What stands in the ledger.

use serde::Serialize;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An event of a block.
    Paid,
    /// The difference to the chain's sum: paid in blocks that the ledger did
    /// not see.
    Rebuilt,
}

impl Kind {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Rebuilt => "rebuilt",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "rebuilt" => Self::Rebuilt,
            _ => Self::Paid,
        }
    }
}

/// One payment to the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    pub height: u64,
    /// Counts the provider's payments in its block from 0.
    pub place: u32,
    /// Unix seconds of the block.
    pub time: u64,
    /// The lease's id as text; empty: of leases that the chain has forgotten.
    pub lease: String,
    pub denom: String,
    /// Whole units.
    #[serde(serialize_with = "as_text")]
    pub amount: u128,
    /// Upper-case hex of the transaction; empty: the block's own end paid.
    pub tx: String,
    pub kind: Kind,
}

/// A lease of the ledger's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeaseLine {
    /// The lease's id as text.
    pub lease: String,
    pub tenant: String,
    pub denom: String,
    /// What the provider gets a second, as a decimal.
    pub rate: String,
    /// Unix seconds; 0: not yet.
    pub opened_at: u64,
    pub started_at: u64,
    pub closed_at: u64,
    /// Why it closed, in the chain's words; empty: it has not.
    pub reason: String,
    /// Whole units so far.
    #[serde(serialize_with = "as_text")]
    pub earned: u128,
    /// Payments of it.
    pub payments: u64,
}

/// JSON's numbers are too small for money.
pub(super) fn as_text<S: serde::Serializer>(amount: &u128, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}
