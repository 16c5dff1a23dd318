//! What the runs came across.

use std::collections::BTreeMap;

use crate::params::MODULES;
use crate::sim::Sim;

#[derive(Default)]
pub struct Coverage {
    /// By message: done, refused.
    messages: BTreeMap<String, (u32, u32)>,
    /// By event.
    events: BTreeMap<String, u32>,
    /// By module, how often proposals set its parameters.
    params: BTreeMap<&'static str, u32>,
}

/// What must have happened.
const EVENTS: [&str; 14] = [
    "slash",
    "mint",
    "rewards",
    "withdraw_rewards",
    "withdraw_commission",
    "complete_unbonding",
    "complete_redelegation",
    "active_proposal",
    "inactive_proposal",
    "proposal_vote",
    "use_feegrant",
    "burn",
    "stoa.market.v1.EventLeaseCreated",
    "stoa.market.v1.EventLeaseClosed",
];

impl Coverage {
    pub fn add(&mut self, sim: &Sim) {
        for (message, (done, refused)) in &sim.messages {
            let sum = self.messages.entry(message.clone()).or_default();
            *sum = (sum.0 + done, sum.1 + refused);
        }
        for (module, count) in &sim.proposals.set {
            *self.params.entry(module).or_default() += count;
        }
        for (event, count) in &sim.events {
            *self.events.entry(event.clone()).or_default() += count;
        }
    }

    pub fn assert_complete(&self) {
        println!("{:#?}", self.messages);
        println!("{:#?}", self.events);
        let never: Vec<_> = self
            .messages
            .iter()
            .filter(|(_, (done, _))| *done == 0)
            .map(|(name, _)| name)
            .collect();
        assert!(never.is_empty(), "never done: {never:?}");
        println!("{:#?}", self.params);
        for module in MODULES {
            assert!(self.params.contains_key(module), "no proposal set {module}");
        }
        for event in EVENTS {
            assert!(self.events.contains_key(event), "{event} never happened");
        }
        let (done, refused) =
            self.messages.values().fold((0, 0), |(done, refused), (a, b)| (done + a, refused + b));
        assert!(done > 5_000 && refused > 2_000, "{done} done, {refused} refused");
    }
}
