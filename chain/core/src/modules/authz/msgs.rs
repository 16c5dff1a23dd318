//! Granting and revoking.

use cosmos_sdk_proto::cosmos::authz::v1beta1 as pb;

use super::keys::Subject;
use super::{find, remove, wire, write, Authorization, AuthzError, Grant as Record};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::auth;
use crate::tx::Message;
use crate::types::Address;

/// Lets the grantee send messages in the granter's name. Takes the place of
/// an earlier grant of the same type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    subject: Subject,
    grant: Record,
}

impl TryFrom<pb::MsgGrant> for Grant {
    type Error = Failure;

    fn try_from(msg: pb::MsgGrant) -> Result<Self, Failure> {
        let (granter, grantee) = parties(&msg.granter, &msg.grantee)?;
        let missing = |what: &str| SdkError::InvalidRequest(format!("the {what} is missing"));
        let grant = msg.grant.ok_or_else(|| missing("grant"))?;
        let authorization = grant.authorization.ok_or_else(|| missing("authorization"))?;
        let authorization = Authorization::from_any(&authorization)?;
        let expiration = wire::end(grant.expiration)?;
        let subject = Subject { granter, grantee, url: authorization.url() };
        Ok(Self { subject, grant: Record { authorization, expiration } })
    }
}

impl Message for Grant {
    type Proto = pb::MsgGrant;
    type Response = pb::MsgGrantResponse;

    fn signer(&self) -> Address {
        self.subject.granter
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { subject, grant } = self;
        let now = ctx.now();
        // As in the Cosmos SDK, a grant lasts at least until the next second.
        let short = grant.expiration.filter(|end| *end <= now);
        let ended = grant.authorization.last_second().filter(|last| *last < now);
        if let Some(given) = short.or(ended) {
            let given = i64::try_from(given).unwrap_or(i64::MAX);
            return Err(AuthzError::InvalidExpiration { given, now }.into());
        }
        // Without an account of its own the grantee could not use it.
        if auth::account(ctx, &subject.grantee).is_none() {
            let account = auth::account_or_new(ctx, &subject.grantee);
            auth::put_account(ctx, &subject.grantee, &account);
        }
        if let Some(earlier) = find(ctx, &subject) {
            remove(ctx, &subject, &earlier);
        }
        write(ctx, &subject, &grant);
        ctx.emit(about::<pb::EventGrant>(&subject));
        Ok(pb::MsgGrantResponse {})
    }
}

/// Takes a grant back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoke {
    subject: Subject,
}

impl TryFrom<pb::MsgRevoke> for Revoke {
    type Error = Failure;

    fn try_from(msg: pb::MsgRevoke) -> Result<Self, Failure> {
        let (granter, grantee) = parties(&msg.granter, &msg.grantee)?;
        let url = msg.msg_type_url;
        if url.is_empty() || url.len() > super::authorization::MAX_URL_BYTES {
            let text = "msg_type_url names what is revoked, such as /cosmos.bank.v1beta1.MsgSend";
            return Err(SdkError::InvalidRequest(text.to_owned()).into());
        }
        Ok(Self { subject: Subject { granter, grantee, url } })
    }
}

impl Message for Revoke {
    type Proto = pb::MsgRevoke;
    type Response = pb::MsgRevokeResponse;

    fn signer(&self) -> Address {
        self.subject.granter
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let grant = find(ctx, &self.subject).ok_or_else(|| none(&self.subject))?;
        remove(ctx, &self.subject, &grant);
        ctx.emit(about::<pb::EventRevoke>(&self.subject));
        Ok(pb::MsgRevokeResponse {})
    }
}

fn parties(granter: &str, grantee: &str) -> Result<(Address, Address), Failure> {
    let (granter, grantee): (Address, Address) = (granter.parse()?, grantee.parse()?);
    if granter == grantee {
        return Err(AuthzError::GranteeIsGranter(granter).into());
    }
    Ok((granter, grantee))
}

/// There is no such grant.
pub(super) fn none(subject: &Subject) -> AuthzError {
    let Subject { granter, grantee, url } = subject.clone();
    AuthzError::NotFound { granter, grantee, url }
}

/// An event of Cosmos' authz, whose values are JSON.
fn about<E: prost::Name>(subject: &Subject) -> Event {
    let quoted = |text: &dyn std::fmt::Display| format!("\"{text}\"");
    Event::new(E::full_name())
        .with("msg_type_url", quoted(&subject.url))
        .with("granter", quoted(&subject.granter))
        .with("grantee", quoted(&subject.grantee))
}
