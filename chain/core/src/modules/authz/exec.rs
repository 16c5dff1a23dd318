//! Messages in others' names. Rules of the Cosmos SDK's `x/authz/keeper`
//! (`DispatchActions`).

use cosmos_sdk_proto::cosmos::authz::v1beta1 as pb;
use cosmos_sdk_proto::Any;

use super::action::Action;
use super::authorization::Left;
use super::keys::Subject;
use super::{deployment, find, is_exec, remove, write, Authorization, AuthzError, Grant};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::tx::{check_gas, Message, Msg, MAX_MESSAGES};
use crate::types::Address;

/// Messages whose signers have granted them to the grantee, or are it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    grantee: Address,
    requests: Vec<Request>,
}

/// A message, and what of it authorizations bound.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    action: Action,
    msg: Msg,
}

impl TryFrom<pb::MsgExec> for Exec {
    type Error = Failure;

    fn try_from(exec: pb::MsgExec) -> Result<Self, Failure> {
        let number = exec.msgs.len();
        if number == 0 || number > MAX_MESSAGES {
            let text = format!("{number} messages within one; 1 to {MAX_MESSAGES} are allowed");
            return Err(SdkError::InvalidRequest(text).into());
        }
        let requests: Result<Vec<_>, _> = exec.msgs.iter().map(Request::from_any).collect();
        Ok(Self { grantee: exec.grantee.parse()?, requests: requests? })
    }
}

impl Request {
    fn from_any(any: &Any) -> Result<Self, Failure> {
        // Before it is read, so that nesting costs nobody anything.
        if is_exec(&any.type_url) {
            let text = format!("{} within another; send its messages themselves", any.type_url);
            return Err(SdkError::InvalidRequest(text).into());
        }
        Ok(Self { msg: Msg::from_any(any)?, action: Action::of(any)? })
    }
}

impl Message for Exec {
    type Proto = pb::MsgExec;
    type Response = pb::MsgExecResponse;

    fn signer(&self) -> Address {
        self.grantee
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let place = ctx.place();
        let mut results = Vec::with_capacity(self.requests.len());
        for (index, request) in (0u32..).zip(self.requests) {
            ctx.set_place(place.tx, place.msg.saturating_add(index));
            let first = ctx.events_so_far();
            let response = dispatch(ctx, self.grantee, request).map_err(|why| Failure {
                message: format!("failed to execute message {index}: {}", why.message),
                ..why
            })?;
            check_gas(ctx)?;
            ctx.mark_events(first, "authz_msg_index", index);
            results.push(response.value);
        }
        Ok(pb::MsgExecResponse { results })
    }
}

impl Exec {
    /// How many messages it holds.
    pub fn count(&self) -> usize {
        self.requests.len()
    }
}

fn dispatch(ctx: &mut Ctx<'_>, grantee: Address, request: Request) -> Result<Any, Failure> {
    let Request { action, msg } = request;
    let granter = msg.signer();
    if granter == grantee {
        return msg.execute(ctx);
    }
    let (subject, mut grant) = usable(ctx, granter, grantee, &msg.type_url(), &action)?;
    match grant.authorization.accept(&action)? {
        Left::Same => {}
        Left::Less => write(ctx, &subject, &grant),
        Left::Nothing => remove(ctx, &subject, &grant),
    }
    let Authorization::Deployment(limits) = &mut grant.authorization else {
        return msg.execute(ctx);
    };
    let before = deployment::before(ctx, limits, granter, &action)?;
    let response = msg.execute(ctx)?;
    if deployment::after(ctx, limits, &before)? {
        write(ctx, &subject, &grant);
    }
    Ok(response)
}

/// The grant by which the message may be sent: one for its type, or one for
/// deployments that covers it.
fn usable(
    ctx: &Ctx<'_>,
    granter: Address,
    grantee: Address,
    url: &str,
    action: &Action,
) -> Result<(Subject, Grant), AuthzError> {
    let covering = matches!(action, Action::Deployment { .. }).then(deployment::Limits::url);
    let mut expired = false;
    for url in std::iter::once(url.to_owned()).chain(covering) {
        let subject = Subject { granter, grantee, url };
        if let Some(grant) = find(ctx, &subject) {
            if grant.last_second().is_none_or(|last| ctx.now() <= last) {
                return Ok((subject, grant));
            }
            expired = true;
        }
    }
    let url = url.to_owned();
    Err(if expired {
        AuthzError::Expired { granter, grantee, url }
    } else {
        AuthzError::NotFound { granter, grantee, url }
    })
}
