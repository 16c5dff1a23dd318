#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod deployments;
mod grants;
mod limits;
mod random;

use cosmos_sdk_proto::cosmos::authz::v1beta1 as pb;
use cosmos_sdk_proto::cosmos::bank::v1beta1::{MsgSend, SendAuthorization};
use cosmos_sdk_proto::cosmos::base::v1beta1::DecCoin;
use cosmos_sdk_proto::{Any, Timestamp};
use prost::{Message as _, Name};
use stoa_proto::deployment::v1 as deployment_pb;
use stoa_proto::types::v1 as types_pb;

use super::*;
use crate::error::Failure;
use crate::testing::{address, coin, send};
use crate::types::{Address, ONE};

/// In whose name.
fn granter() -> Address {
    address(1)
}

/// Who acts.
fn grantee() -> Address {
    address(2)
}

fn any<M: prost::Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn at(seconds: u64) -> Option<Timestamp> {
    Some(crate::types::timestamp(seconds))
}

fn grant_msg(authorization: Any, expiration: Option<Timestamp>) -> pb::MsgGrant {
    pb::MsgGrant {
        granter: granter().to_string(),
        grantee: grantee().to_string(),
        grant: Some(pb::Grant { authorization: Some(authorization), expiration }),
    }
}

fn grant(ctx: &mut Ctx<'_>, authorization: Any) {
    send::<GrantMessage>(ctx, grant_msg(authorization, None)).unwrap();
    ctx.take_events();
}

fn generic(url: &str) -> Any {
    any(&pb::GenericAuthorization { msg: url.to_owned() })
}

fn send_limits(amount: u128, to: &[Address]) -> Any {
    any(&SendAuthorization {
        spend_limit: vec![coin(amount).into()],
        allow_list: to.iter().map(ToString::to_string).collect(),
    })
}

fn send_msg(from: Address, to: Address, amount: u128) -> Any {
    any(&MsgSend {
        from_address: from.to_string(),
        to_address: to.to_string(),
        amount: vec![coin(amount).into()],
    })
}

/// The grantee sends these messages in others' names.
fn exec(ctx: &mut Ctx<'_>, msgs: Vec<Any>) -> Result<pb::MsgExecResponse, Failure> {
    send::<Exec>(ctx, pb::MsgExec { grantee: grantee().to_string(), msgs })
}

/// Codespace and code; none for a success.
fn code<T>(result: Result<T, Failure>) -> Option<(&'static str, u32)> {
    result.err().map(|why| (why.codespace, why.code))
}

fn granted(ctx: &Ctx<'_>, url: &str) -> Option<Grant> {
    find(ctx, &Subject { granter: granter(), grantee: grantee(), url: url.to_owned() })
}

fn rate(units: u128) -> DecCoin {
    DecCoin { denom: "ustoa".to_owned(), amount: (units * ONE).to_string() }
}

/// A group of so many instances of a small unit, each at so much a second.
fn group(name: &str, count: u32, units: u128) -> types_pb::GroupSpec {
    let volume =
        types_pb::Volume { name: "default".into(), bytes: 1 << 30, class: "ephemeral".into() };
    let unit = types_pb::ResourceUnit {
        id: 1,
        cpu: Some(types_pb::Cpu { millicores: 100, arch: String::new() }),
        memory: Some(types_pb::Memory { bytes: 1 << 28 }),
        storage: vec![volume],
        ..Default::default()
    };
    let resource = types_pb::GroupResource { unit: Some(unit), count, max_rate: Some(rate(units)) };
    types_pb::GroupSpec { name: name.into(), resources: vec![resource], ..Default::default() }
}

fn authorization(
    spend: u128,
    max_rate: u128,
    groups: &[&str],
    replicas: u32,
) -> deployment_pb::DeploymentAuthorization {
    let spend = coin(spend);
    deployment_pb::DeploymentAuthorization {
        spend_limit: if spend.amount.is_zero() { Vec::new() } else { vec![spend.into()] },
        max_rate: Some(rate(max_rate)),
        allowed_groups: groups.iter().map(|name| (*name).to_owned()).collect(),
        max_replicas: replicas,
        expiration: None,
    }
}
