//! Values, validated once where they enter: addresses, money, ids.

mod address;
mod attribute;
mod coin;
mod dec;
mod hash;
mod ids;
mod money;
mod text;
mod time;
mod validator;

pub use address::{Address, PREFIX};
pub use attribute::Attribute;
pub use coin::{Coin, Coins, Denom, MAX_COINS, STAKE_DENOM};
pub use dec::Dec;
pub use hash::Hash;
pub use ids::{DeploymentId, GroupId, LeaseId, OrderId};
pub use money::{mul_div_floor, mul_div_rem, Amount, Fine, Rate, BASIS_POINTS, ONE};
pub use text::bounded;
pub use time::{duration, rfc3339, seconds_of, timestamp};
pub use validator::{ConsAddress, ValAddress, CONSENSUS_PREFIX, OPERATOR_PREFIX};
