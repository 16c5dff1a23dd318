//! From open orders to bids: who may be served, whether there is room, at
//! what price, and that no order is ever bid on twice; and back, where a bid
//! can no longer be honoured.

mod bidder;
mod capacity;
mod eligibility;
mod gpu;
mod intents;
mod machines;
mod parts;
mod price;
mod prices;
mod reason;
mod resources;
mod round;
mod screen;
mod script;
mod sealed;
mod standing;
mod withdraw;

pub use bidder::{Bidder, BidderParts};
pub use capacity::{Capacity, CapacityWatch};
pub use eligibility::{check_order, objections, Offer};
pub use gpu::{gpu_offers, gpu_offers_left, GpuKind};
pub use intents::{Intent, IntentState, Intents, Seal};
pub use machines::MachineRooms;
pub use price::LinearPrice;
pub use prices::Prices;
pub use reason::Reason;
pub use resources::Resources;
pub use round::{plan_round, Left, Planned, Round, Rules};
pub use screen::{BidStatus, OwnBid, Screener, Verdict};
pub use sealed::{plan_reveals, Reveal};
pub use withdraw::{plan_withdrawals, Regret};
