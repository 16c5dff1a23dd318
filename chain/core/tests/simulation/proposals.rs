//! Governance: proposals, deposits, votes, and what they execute.

use cosmos_sdk_proto::cosmos::distribution::v1beta1 as dist;
use cosmos_sdk_proto::cosmos::gov::{v1 as pb, v1beta1 as legacy};
use cosmos_sdk_proto::cosmos::mint::v1beta1 as mint;
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrade;
use rand::Rng;
use stoa_chain::modules::gov::authority;
use stoa_chain::modules::mint::{Params as MintParams, BLOCKS_PER_YEAR};
use stoa_chain::types::Dec;
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::Any;

use crate::scenario::STOA;
use crate::sim::{Sent, Sim};
use crate::transfers::any;

#[derive(Default)]
pub struct Proposals {
    /// How many there were so far: the last one's number.
    submitted: u64,
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
    pub fn observe_proposal(&mut self, type_url: &str, done: bool) {
        if done && type_url.ends_with("MsgSubmitProposal") {
            self.proposals.submitted += 1;
        }
    }

    pub fn vote_of(&mut self, voter: &str) -> Any {
        any(&pb::MsgVote {
            proposal_id: self.some_proposal(),
            voter: voter.into(),
            option: *[1, 1, 1, 2, 3, 4, 9].get(self.rng.gen_range(0..7)).unwrap(),
            metadata: String::new(),
        })
    }

    pub fn proposal_operation(&mut self) -> Option<Sent> {
        let who = self.anyone();
        let me = who.to_string();
        let proposal_id = self.some_proposal();
        let amount = stake(self.rng.gen_range(1..12_000));
        let message = match self.rng.gen_range(0..100) {
            0..12 => self.submit(me),
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
            28..72 => self.vote_of(&me),
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

    fn submit(&mut self, proposer: String) -> Any {
        let messages = match self.rng.gen_range(0..8) {
            0 => Vec::new(),
            1 => vec![self.distribution_params()],
            2 => vec![self.mint_params(), self.distribution_params()],
            3..5 => vec![self.spend()],
            5 => vec![self.upgrade_plan()],
            6 => vec![any(&upgrade::MsgCancelUpgrade { authority: authority().to_string() })],
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

    fn spend(&mut self) -> Any {
        any(&dist::MsgCommunityPoolSpend {
            authority: authority().to_string(),
            recipient: self.anyone().to_string(),
            amount: stake(self.rng.gen_range(1..5_000)),
        })
    }

    #[allow(deprecated)]
    fn distribution_params(&mut self) -> Any {
        let params = dist::Params {
            community_tax: Dec::percent(self.rng.gen_range(0..110)).to_wire(),
            base_proposer_reward: "0".into(),
            bonus_proposer_reward: "0".into(),
            withdraw_addr_enabled: self.rng.gen(),
        };
        any(&dist::MsgUpdateParams { authority: authority().to_string(), params: Some(params) })
    }

    fn mint_params(&mut self) -> Any {
        let mut params = mint::Params::from(MintParams::default());
        params.inflation_max = Dec::percent(self.rng.gen_range(5..60)).to_wire();
        params.blocks_per_year = BLOCKS_PER_YEAR;
        any(&mint::MsgUpdateParams { authority: authority().to_string(), params: Some(params) })
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
