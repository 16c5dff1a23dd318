//! Governance: proposals, deposits, votes, and what they execute.

use std::collections::{BTreeMap, BTreeSet};

use cosmos_sdk_proto::cosmos::distribution::v1beta1 as dist;
use cosmos_sdk_proto::cosmos::gov::{v1 as pb, v1beta1 as legacy};
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrade;
use prost::{Message, Name};
use rand::seq::SliceRandom;
use rand::Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::event::Event;
use stoa_chain::modules::gov::authority;
use stoa_chain::types::Dec;
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::Any;

use crate::params::{in_force, MODULES};
use crate::scenario::STOA;
use crate::sim::{Sent, Sim};
use crate::transfers::any;

#[derive(Default)]
pub struct Proposals {
    /// How many there were so far: the last one's number.
    submitted: u64,
    /// What they execute, by number.
    messages: BTreeMap<u64, Vec<Any>>,
    /// How often a module's parameters were set, by its name.
    pub set: BTreeMap<&'static str, u32>,
}

fn stake(amount: u128) -> Vec<Coin> {
    vec![Coin { denom: STOA.into(), amount: amount.to_string() }]
}

impl Sim {
    /// One of the latest proposals, or the next.
    fn some_proposal(&mut self) -> u64 {
        let last = self.proposals.submitted;
        self.rng.gen_range(last.saturating_sub(2)..=last.max(1))
    }

    /// Takes note of proposals that were submitted.
    pub fn observe_proposal(&mut self, message: &Any, done: bool) {
        if done && message.type_url.ends_with("MsgSubmitProposal") {
            self.proposals.submitted += 1;
            if message.type_url == pb::MsgSubmitProposal::type_url() {
                let submitted = pb::MsgSubmitProposal::decode(message.value.as_slice()).unwrap();
                self.proposals.messages.insert(self.proposals.submitted, submitted.messages);
            }
        }
    }

    /// What proposals that passed in this block say is in force after it.
    pub fn assert_passed_took_effect(&mut self, ctx: &Ctx<'_>, events: &[Event]) {
        for event in events.iter().filter(|event| event.kind == "active_proposal") {
            let value = |name: &str| {
                let found = event.attributes.iter().find(|(found, _)| found == name);
                found.map(|(_, value)| value.as_str()).unwrap()
            };
            if value("proposal_result") != "proposal_passed" {
                continue;
            }
            let id: u64 = value("proposal_id").parse().unwrap();
            // Of two that set one module's parameters the later holds.
            let messages = self.proposals.messages.remove(&id).unwrap_or_default();
            let mut seen = BTreeSet::new();
            for message in messages.iter().rev() {
                let Some((module, holds)) = in_force(ctx, message) else { continue };
                if seen.insert(module) {
                    assert!(holds, "seed {}: proposal {id} did not set {module}", self.seed);
                    *self.proposals.set.entry(module).or_default() += 1;
                }
            }
        }
    }

    pub fn vote_of(&mut self, voter: &str) -> Any {
        let proposal_id = self.some_proposal();
        // Every other proposal is liked.
        let likes = proposal_id.is_multiple_of(2) && self.rng.gen_bool(0.9);
        let options: [i32; 7] = if likes { [1; 7] } else { [1, 1, 1, 2, 3, 4, 9] };
        any(&pb::MsgVote {
            proposal_id,
            voter: voter.into(),
            option: *options.choose(&mut self.rng).unwrap(),
            metadata: String::new(),
        })
    }

    pub fn proposal_operation(&mut self, ctx: &Ctx<'_>) -> Option<Sent> {
        let who = self.anyone();
        let me = who.to_string();
        let proposal_id = self.some_proposal();
        let amount = stake(self.rng.gen_range(1..12_000));
        let message = match self.rng.gen_range(0..100) {
            0..12 => self.submit(ctx, me),
            12..15 => any(&legacy::MsgSubmitProposal {
                content: Some(any(&legacy::TextProposal {
                    title: "A text".into(),
                    description: "by the older message".into(),
                })),
                initial_deposit: amount,
                proposer: me,
            }),
            15..25 => any(&pb::MsgDeposit { proposal_id, depositor: me, amount }),
            25..28 => any(&legacy::MsgDeposit { proposal_id, depositor: me, amount }),
            28..50 => self.vote_of(&me),
            // Whose stake is most.
            50..72 => {
                let operator = self.operator();
                return Some((operator, self.vote_of(&operator.to_string())));
            }
            72..78 => any(&legacy::MsgVote { proposal_id, voter: me, option: 1 }),
            78..96 => self.weighted_vote(me),
            _ => any(&pb::MsgCancelProposal { proposal_id, proposer: me }),
        };
        Some((who, message))
    }

    fn weighted_vote(&mut self, voter: String) -> Any {
        let yes = self.rng.gen_range(1..=100);
        let rest = if self.rng.gen_bool(0.9) { 100 - yes } else { yes };
        let option = |option, percent| pb::WeightedVoteOption {
            option,
            weight: Dec::percent(percent).to_string(),
        };
        let options = vec![option(1, yes), option(3, rest)];
        let proposal_id = self.some_proposal();
        any(&pb::MsgVoteWeighted { proposal_id, voter, options, metadata: String::new() })
    }

    fn submit(&mut self, ctx: &Ctx<'_>, proposer: String) -> Any {
        let messages = match self.rng.gen_range(0..12) {
            0 => Vec::new(),
            1..7 => self.some_params(ctx),
            7..9 => vec![self.spend()],
            9 => vec![self.upgrade_plan()],
            10 => vec![any(&upgrade::MsgCancelUpgrade { authority: authority().to_string() })],
            // Not governance's own: refused.
            _ => vec![self.send_of(&proposer)],
        };
        let expedited = self.rng.gen_bool(0.2);
        any(&pb::MsgSubmitProposal {
            messages,
            initial_deposit: stake(self.rng.gen_range(500..30_000)),
            proposer,
            title: "A proposal".into(),
            summary: "of what it says".into(),
            metadata: String::new(),
            expedited,
        })
    }

    /// Of one module to four.
    fn some_params(&mut self, ctx: &Ctx<'_>) -> Vec<Any> {
        let count = self.rng.gen_range(1..5);
        let modules: Vec<&str> = MODULES.choose_multiple(&mut self.rng, count).copied().collect();
        modules.into_iter().map(|module| self.params_message(ctx, module)).collect()
    }

    fn spend(&mut self) -> Any {
        any(&dist::MsgCommunityPoolSpend {
            authority: authority().to_string(),
            recipient: self.anyone().to_string(),
            amount: stake(self.rng.gen_range(1..5_000)),
        })
    }

    /// Far in the future: the chain does not get there.
    fn upgrade_plan(&mut self) -> Any {
        let plan = upgrade::Plan {
            name: format!("v{}", self.rng.gen_range(2..9)),
            height: 1_000_000,
            info: String::new(),
            ..upgrade::Plan::default()
        };
        any(&upgrade::MsgSoftwareUpgrade { authority: authority().to_string(), plan: Some(plan) })
    }
}
