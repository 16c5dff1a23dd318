//! Proposing.

use cosmos_sdk_proto::cosmos::gov::{v1 as pb, v1beta1 as legacy};
use cosmos_sdk_proto::Any;
use prost::Name;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov::life::{self, Draft};
use crate::modules::gov::records::RawMessage;
use crate::modules::gov::{authority, Error};
use crate::tx::{Message, Msg};
use crate::types::{Address, Coins};

/// Messages of one proposal.
pub const MAX_MESSAGES: usize = 16;
/// Bytes of all of them.
const MAX_MESSAGE_BYTES: usize = 65_536;
/// Bytes of a title, and of the metadata.
const MAX_TITLE_BYTES: usize = 255;
/// Bytes of a summary: as in the Cosmos SDK 40 times as much.
const MAX_SUMMARY_BYTES: usize = 10_200;
/// What a proposal may not hold: other messages, again and again.
const NESTING: [&str; 1] = ["/cosmos.authz.v1beta1.MsgExec"];

/// Proposes messages, or a text alone, with a first deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitProposal {
    proposer: Address,
    messages: Vec<RawMessage>,
    deposit: Coins,
    title: String,
    summary: String,
    metadata: String,
    expedited: bool,
}

impl TryFrom<pb::MsgSubmitProposal> for SubmitProposal {
    type Error = Failure;

    fn try_from(msg: pb::MsgSubmitProposal) -> Result<Self, Failure> {
        check_texts(&msg.title, &msg.summary, &msg.metadata)?;
        Ok(Self {
            proposer: msg.proposer.parse()?,
            messages: messages(msg.messages)?,
            deposit: Coins::from_proto(msg.initial_deposit)?,
            title: msg.title,
            summary: msg.summary,
            metadata: msg.metadata,
            expedited: msg.expedited,
        })
    }
}

impl Message for SubmitProposal {
    type Proto = pb::MsgSubmitProposal;
    type Response = pb::MsgSubmitProposalResponse;

    fn signer(&self) -> Address {
        self.proposer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { proposer, messages, deposit, title, summary, metadata, expedited } = self;
        let draft = Draft { proposer, messages, deposit, title, summary, metadata, expedited };
        Ok(pb::MsgSubmitProposalResponse { proposal_id: life::submit(ctx, draft)? })
    }
}

fn check_texts(title: &str, summary: &str, metadata: &str) -> Result<(), Error> {
    if title.is_empty() || summary.is_empty() {
        return Err(Error::InvalidProposal("title and summary say what it is".to_owned()));
    }
    if title.len() > MAX_TITLE_BYTES {
        return Err(Error::TitleTooLong(title.len()));
    }
    if summary.len() > MAX_SUMMARY_BYTES {
        return Err(Error::SummaryTooLong(summary.len()));
    }
    check_metadata(metadata)
}

/// Whether a proposal's or a vote's metadata is short enough.
pub fn check_metadata(metadata: &str) -> Result<(), Error> {
    if metadata.len() > MAX_TITLE_BYTES {
        return Err(Error::MetadataTooLong(metadata.len()));
    }
    Ok(())
}

/// Few and small enough, each right in itself and signed by governance.
fn messages(messages: Vec<Any>) -> Result<Vec<RawMessage>, Failure> {
    if messages.len() > MAX_MESSAGES {
        let text = format!("{} messages; at most {MAX_MESSAGES} are allowed", messages.len());
        return Err(Error::InvalidMessage(text).into());
    }
    let bytes = messages.iter().fold(0usize, |sum, any| {
        sum.saturating_add(any.value.len()).saturating_add(any.type_url.len())
    });
    if bytes > MAX_MESSAGE_BYTES {
        let text = format!("{bytes} bytes of messages; at most {MAX_MESSAGE_BYTES} are allowed");
        return Err(Error::InvalidMessage(text).into());
    }
    for (index, any) in messages.iter().enumerate() {
        check_message(index, any)?;
    }
    Ok(messages.into_iter().map(RawMessage::from).collect())
}

fn check_message(index: usize, any: &Any) -> Result<(), Error> {
    let wrong = |text: String| Error::InvalidMessage(format!("message {index}: {text}"));
    let submits = [pb::MsgSubmitProposal::type_url(), legacy::MsgSubmitProposal::type_url()];
    // Before it is decoded: each level would be decoded within the one before.
    if NESTING.contains(&any.type_url.as_str()) || submits.contains(&any.type_url) {
        return Err(wrong(format!("{} is not for proposals", any.type_url)));
    }
    let message = Msg::from_any(any).map_err(|failure| wrong(failure.to_string()))?;
    let (signer, authority) = (message.signer(), authority());
    if signer != authority {
        return Err(Error::InvalidSigner { index, signer, authority });
    }
    Ok(())
}
