//! Proposals as cosmos.gov.v1beta1 has them: a content, of which only texts
//! are served. In the state such a proposal is one of v1 whose message is
//! [`ExecLegacyContent`], as in the Cosmos SDK.

use cosmos_sdk_proto::cosmos::gov::{v1 as pb, v1beta1 as legacy};
use cosmos_sdk_proto::Any;
use prost::{Message as _, Name};

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov::life::{self, Draft};
use crate::modules::gov::records::RawMessage;
use crate::modules::gov::{authority, check_authority, Error};
use crate::tx::Message;
use crate::types::{Address, Coins};

/// Bytes of a title, as in the Cosmos SDK.
const MAX_TITLE_BYTES: usize = 140;
/// Bytes of a description, as in the Cosmos SDK.
const MAX_DESCRIPTION_BYTES: usize = 10_000;

/// The text that a content holds.
///
/// # Errors
/// It is no text, or one that is wrong in itself.
fn text_of(content: Option<Any>) -> Result<legacy::TextProposal, Error> {
    let wrong = |text: &str| Error::InvalidContent(text.to_owned());
    let content = content.ok_or_else(|| wrong("none is given"))?;
    if content.type_url != legacy::TextProposal::type_url() {
        return Err(Error::InvalidType(content.type_url.chars().take(100).collect()));
    }
    let text = legacy::TextProposal::decode(content.value.as_slice())
        .map_err(|error| Error::InvalidContent(error.to_string()))?;
    if text.encode_to_vec() != content.value {
        return Err(wrong("it holds an unknown field, or is not in canonical form"));
    }
    if text.title.is_empty() || text.title.len() > MAX_TITLE_BYTES {
        return Err(wrong("its title has 1 to 140 bytes"));
    }
    if text.description.is_empty() || text.description.len() > MAX_DESCRIPTION_BYTES {
        return Err(wrong("its description has 1 to 10000 bytes"));
    }
    Ok(text)
}

/// Proposes a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacySubmitProposal {
    proposer: Address,
    title: String,
    description: String,
    message: RawMessage,
    deposit: Coins,
}

impl TryFrom<legacy::MsgSubmitProposal> for LegacySubmitProposal {
    type Error = Failure;

    fn try_from(msg: legacy::MsgSubmitProposal) -> Result<Self, Failure> {
        let text = text_of(msg.content.clone())?;
        let message =
            pb::MsgExecLegacyContent { content: msg.content, authority: authority().to_string() };
        Ok(Self {
            proposer: msg.proposer.parse()?,
            title: text.title,
            description: text.description,
            message: RawMessage {
                type_url: pb::MsgExecLegacyContent::type_url(),
                value: message.encode_to_vec(),
            },
            deposit: Coins::from_proto(msg.initial_deposit)?,
        })
    }
}

impl Message for LegacySubmitProposal {
    type Proto = legacy::MsgSubmitProposal;
    type Response = legacy::MsgSubmitProposalResponse;

    fn signer(&self) -> Address {
        self.proposer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { proposer, title, description, message, deposit } = self;
        let draft = Draft {
            proposer,
            messages: vec![message],
            deposit,
            title,
            summary: description,
            metadata: String::new(),
            expedited: false,
        };
        Ok(legacy::MsgSubmitProposalResponse { proposal_id: life::submit(ctx, draft)? })
    }
}

/// Carries a content of v1beta1 in a proposal of v1. A text does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecLegacyContent {
    authority: Address,
}

impl TryFrom<pb::MsgExecLegacyContent> for ExecLegacyContent {
    type Error = Failure;

    fn try_from(msg: pb::MsgExecLegacyContent) -> Result<Self, Failure> {
        text_of(msg.content)?;
        Ok(Self { authority: msg.authority.parse()? })
    }
}

impl Message for ExecLegacyContent {
    type Proto = pb::MsgExecLegacyContent;
    type Response = pb::MsgExecLegacyContentResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, _: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        check_authority(&self.authority)?;
        Ok(pb::MsgExecLegacyContentResponse {})
    }
}
