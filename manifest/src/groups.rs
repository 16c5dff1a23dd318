//! What the deployment asks of the market: one spec a group, as the order states it.

use serde::{Serialize, Serializer};

use crate::json;
use crate::model::{Attribute, ResourceUnit};
use crate::units::Dec18;

/// A group as it is offered to the market. Its JSON is that of the public chain's group spec;
/// what is ours is left out where it is unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupSpec {
    /// The placement's name, which is the manifest group's.
    pub name: String,
    /// What a provider must be.
    pub requirements: Requirements,
    /// What it must have, and the most that it may cost. Sorted by resource id.
    pub resources: Vec<ResourceSpec>,
    /// Seconds for which a provider that ends the lease must go on serving it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reclamation_window: Option<u64>,
    /// Seconds after which the lease expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
}

impl GroupSpec {
    /// The most that the group may cost in a second: the sum of count × price. `None` where it
    /// does not fit in 128 bits.
    pub fn max_rate(&self) -> Option<Dec18> {
        self.resources.iter().try_fold(Dec18::default(), |sum, unit| {
            sum.plus(unit.price.amount.times(u64::from(unit.count))?)
        })
    }
}

/// What a provider must be to bid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requirements {
    /// Auditors who must have signed the provider's attributes.
    pub signed_by: SignedBy,
    /// Sorted by key.
    #[serde(with = "json::null_if_empty")]
    pub attributes: Vec<Attribute>,
    /// The provider's least stake, in units of the stake's denom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_stake: Option<u64>,
    /// The provider's least reputation, 0..10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_reputation: Option<u32>,
    /// Providers who may not bid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The only providers who may bid, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// Auditors who must have signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignedBy {
    /// All of these.
    #[serde(with = "json::null_if_empty")]
    pub all_of: Vec<String>,
    /// One of these at least.
    #[serde(with = "json::null_if_empty")]
    pub any_of: Vec<String>,
}

/// A resource unit, how often, and the most that each may cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResourceSpec {
    /// What each has.
    pub resource: ResourceUnit,
    /// How many.
    pub count: u32,
    /// The most that each may cost a second.
    pub price: Price,
}

/// Money a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Price {
    /// The coin's denomination.
    pub denom: String,
    /// Units a second.
    #[serde(serialize_with = "decimal")]
    pub amount: Dec18,
}

fn decimal<S: Serializer>(amount: &Dec18, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// The group specs as JSON, for people and tests.
pub fn group_specs_json(groups: &[GroupSpec]) -> serde_json::Value {
    serde_json::to_value(groups).expect("group specs have string keys and no fallible serializer")
}
