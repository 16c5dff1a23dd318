//! From open orders to bids: who may be served, whether there is room, at
//! what price, and that no order is ever bid on twice.

mod bidder;
mod capacity;
mod eligibility;
mod intents;
mod machines;
mod price;
mod reason;
mod resources;
mod round;

pub use bidder::Bidder;
pub use capacity::{Capacity, CapacityWatch};
pub use eligibility::check_order;
pub use intents::{Intent, IntentState, Intents};
pub use machines::MachineRooms;
pub use price::LinearPrice;
pub use reason::Reason;
pub use resources::Resources;
pub use round::{plan_round, Planned, Round, Rules};
