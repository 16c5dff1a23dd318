//! Proposals and votes.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Deserialize;
use stoa_client::{
    money::{parse_coins, Dec},
    tx::any,
};
use stoa_proto::{
    cosmos::{
        base::v1beta1::Coin,
        gov::v1::{
            MsgCancelProposal, MsgDeposit, MsgSubmitProposal, MsgVote, MsgVoteWeighted, VoteOption,
            WeightedVoteOption,
        },
    },
    Any,
};

use super::{arguments, Sender};
use crate::{exit::Failure, json};

/// Governance messages.
#[derive(Debug, Subcommand)]
pub enum GovMessage {
    /// Propose what a JSON file says: {"title", "summary", "deposit", "messages": [{"@type": …}]}
    SubmitProposal {
        /// "messages" are signed by governance: leave their `authority` out and it is filled in
        file: PathBuf,
    },
    /// Add to a proposal's deposit
    DepositProposal {
        id: u64,
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
    },
    /// Vote on a proposal
    Vote {
        id: u64,
        /// yes, no, abstain, no-with-veto, or parts such as yes=0.7,abstain=0.3
        #[arg(value_parser = choice)]
        option: Choice,
    },
    /// Take one's own proposal back while it is voted on
    CancelProposal { id: u64 },
}

/// One option, or parts of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice(Vec<(VoteOption, Dec)>);

/// A proposal's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposal {
    title: String,
    summary: String,
    #[serde(default)]
    metadata: String,
    #[serde(default)]
    deposit: String,
    #[serde(default)]
    expedited: bool,
    #[serde(default)]
    messages: Vec<serde_json::Value>,
}

impl GovMessage {
    pub async fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let me = sender.address.clone();
        let message = match self {
            Self::SubmitProposal { file } => any(&proposal(sender, &file).await?),
            Self::DepositProposal { id, amount } => {
                any(&MsgDeposit { proposal_id: id, depositor: me, amount: vec![amount] })
            }
            Self::Vote { id, option } => vote(id, me, option),
            Self::CancelProposal { id } => {
                any(&MsgCancelProposal { proposal_id: id, proposer: me })
            }
        };
        Ok(vec![message])
    }
}

async fn proposal(sender: &Sender, file: &Path) -> Result<MsgSubmitProposal, Failure> {
    let bad = |e: String| Failure::usage(format!("{}: {e}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| bad(e.to_string()))?;
    let read: Proposal = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let deposit = match read.deposit.as_str() {
        "" => vec![],
        text => parse_coins(text).map_err(|e| bad(format!("deposit: {e}")))?,
    };
    let authority = stoa_client::address::governance().to_string();
    let messages = read.messages.into_iter().map(|mut message| {
        fill_authority(&mut message, &authority);
        json::to_any(message).map_err(|e| bad(e.to_string()))
    });
    Ok(MsgSubmitProposal {
        messages: messages.collect::<Result<_, _>>()?,
        initial_deposit: deposit,
        proposer: sender.address.clone(),
        metadata: read.metadata,
        title: read.title,
        summary: read.summary,
        expedited: read.expedited,
    })
}

/// Nobody knows governance's address by heart.
fn fill_authority(message: &mut serde_json::Value, authority: &str) {
    if let Some(fields) = message.as_object_mut() {
        fields.entry("authority").or_insert_with(|| authority.into());
    }
}

fn vote(proposal_id: u64, voter: String, choice: Choice) -> Any {
    match choice.0.as_slice() {
        [(option, weight)] if *weight == Dec::whole(1) => {
            let option = i32::from(*option);
            any(&MsgVote { proposal_id, voter, option, metadata: String::new() })
        }
        parts => {
            let options = parts.iter().map(|(option, weight)| WeightedVoteOption {
                option: i32::from(*option),
                // Unlike other decimals of Cosmos, gov v1 writes this one with its point.
                weight: weight.to_string(),
            });
            let options = options.collect();
            any(&MsgVoteWeighted { proposal_id, voter, options, metadata: String::new() })
        }
    }
}

fn choice(text: &str) -> Result<Choice, String> {
    let one = |part: &str| match part.split_once('=') {
        None => Ok((option(part)?, Dec::whole(1))),
        Some((name, weight)) => {
            let weight: Dec = weight.parse().map_err(|e| format!("{part}: {e}"))?;
            Ok((option(name)?, weight))
        }
    };
    let parts: Vec<_> = text.split(',').map(one).collect::<Result<_, String>>()?;
    let sum: u128 = parts.iter().map(|(_, weight)| weight.atoms()).sum();
    if sum != Dec::whole(1).atoms() {
        return Err(format!("the parts of `{text}` are not 1 in sum"));
    }
    Ok(Choice(parts))
}

fn option(name: &str) -> Result<VoteOption, String> {
    match name {
        "yes" => Ok(VoteOption::Yes),
        "no" => Ok(VoteOption::No),
        "abstain" => Ok(VoteOption::Abstain),
        "no-with-veto" => Ok(VoteOption::NoWithVeto),
        _ => Err(format!("`{name}` is none of yes, no, abstain, no-with-veto")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_option_or_parts_that_make_the_whole() {
        assert_eq!(choice("yes").unwrap().0, [(VoteOption::Yes, Dec::whole(1))]);
        assert_eq!(choice("yes=0.7,no-with-veto=0.3").unwrap().0.len(), 2);
        assert!(choice("yes=0.7").unwrap_err().contains("not 1"));
        assert!(choice("maybe").unwrap_err().contains("abstain"));
    }

    #[test]
    fn a_message_without_authority_gets_governance_s() {
        let mut message = serde_json::json!({ "@type": "/x" });
        fill_authority(&mut message, "stoa1gov");
        assert_eq!(message["authority"], "stoa1gov");
        let mut given = serde_json::json!({ "authority": "another" });
        fill_authority(&mut given, "stoa1gov");
        assert_eq!(given["authority"], "another");
    }
}
