//! Authz and feegrant.

use cosmos_sdk_proto::cosmos::authz::v1beta1 as authz;
use cosmos_sdk_proto::cosmos::bank::v1beta1::{MsgSend, SendAuthorization};
use cosmos_sdk_proto::cosmos::feegrant::v1beta1 as feegrant;
use cosmos_sdk_proto::cosmos::gov::v1::MsgVote;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking;
use cosmos_sdk_proto::tendermint::google::protobuf::Duration;
use prost::Name;
use rand::seq::SliceRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::types::{timestamp, Address, ValAddress};
use stoa_proto::deployment::v1 as deployment;
use stoa_proto::Any;

use crate::scenario::STOA;
use crate::sim::{Sent, Sim};
use crate::transfers::any;

/// Who granted what to whom, lately.
#[derive(Default)]
pub struct Grants {
    /// Granter, grantee, what.
    authorizations: Vec<(Address, Address, Kind)>,
    allowances: Vec<(Address, Address)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Send,
    Delegate,
    Vote,
    Deployment,
}

impl Grants {
    pub fn some_granter(&self, rng: &mut ChaCha8Rng) -> Option<Address> {
        self.allowances.choose(rng).map(|(granter, _)| *granter)
    }
}

impl Grants {
    /// The latest that granted `grantee` an allowance.
    pub fn granter_for(&self, grantee: &Address) -> Option<Address> {
        let found = self.allowances.iter().rev().find(|(_, to)| to == grantee);
        found.map(|(granter, _)| *granter)
    }
}

impl Sim {
    pub fn grant_operation(&mut self, ctx: &Ctx<'_>) -> Option<Sent> {
        match self.rng.gen_range(0..100) {
            0..30 => Some(self.authorize(ctx)),
            30..65 => self.exec(),
            65..72 => self.revoke(),
            72..90 => Some(self.allow(ctx)),
            90..96 => {
                let (granter, grantee) = *self.grants.allowances.choose(&mut self.rng)?;
                let (by, to) = (granter.to_string(), grantee.to_string());
                Some((granter, any(&feegrant::MsgRevokeAllowance { granter: by, grantee: to })))
            }
            _ => {
                let pruner = self.anyone();
                let message = feegrant::MsgPruneAllowances { pruner: pruner.to_string() };
                Some((pruner, any(&message)))
            }
        }
    }

    fn authorize(&mut self, ctx: &Ctx<'_>) -> Sent {
        let (granter, grantee) = (self.anyone(), self.anyone());
        let kinds = [Kind::Send, Kind::Delegate, Kind::Vote, Kind::Deployment];
        let kind = *kinds.choose(&mut self.rng).unwrap();
        let expiration = ctx.now() + self.rng.gen_range(1..500);
        let authorization = match kind {
            Kind::Send if self.rng.gen() => {
                any(&SendAuthorization { spend_limit: vec![self.coin()], allow_list: Vec::new() })
            }
            Kind::Send => any(&authz::GenericAuthorization { msg: MsgSend::type_url() }),
            Kind::Vote => any(&authz::GenericAuthorization { msg: MsgVote::type_url() }),
            Kind::Delegate => {
                let operators: Vec<Address> = (0..4).map(|_| self.operator()).collect();
                let address = |operator| ValAddress::from(operator).to_string();
                let mut address: Vec<String> = operators.into_iter().map(address).collect();
                address.sort();
                address.dedup();
                let validators = staking::stake_authorization::Validators { address };
                any(&staking::StakeAuthorization {
                    max_tokens: self.rng.gen::<bool>().then(|| self.stake()),
                    authorization_type: staking::AuthorizationType::Delegate.into(),
                    validators: Some(staking::stake_authorization::Policy::AllowList(validators)),
                })
            }
            Kind::Deployment => any(&deployment::DeploymentAuthorization {
                spend_limit: vec![self.stake()],
                max_rate: crate::generate::dec_coin(STOA, 10u128.pow(20)),
                allowed_groups: Vec::new(),
                max_replicas: 3,
                expiration: None,
            }),
        };
        self.grants.authorizations.push((granter, grantee, kind));
        let grant = authz::Grant {
            authorization: Some(authorization),
            expiration: Some(timestamp(expiration)),
        };
        let (by, to) = (granter.to_string(), grantee.to_string());
        (granter, any(&authz::MsgGrant { granter: by, grantee: to, grant: Some(grant) }))
    }

    fn exec(&mut self) -> Option<Sent> {
        let (granter, grantee, kind) = *self.latest_authorization()?;
        let by = granter.to_string();
        let message: Any = match kind {
            Kind::Send => self.send_of(&by),
            Kind::Delegate => self.delegate_of(&by),
            Kind::Vote => self.vote_of(&by),
            Kind::Deployment => any(&deployment::MsgCloseDeployment { owner: by, dseq: 1 }),
        };
        let msgs = vec![message];
        Some((grantee, any(&authz::MsgExec { grantee: grantee.to_string(), msgs })))
    }

    fn latest_authorization(&mut self) -> Option<&(Address, Address, Kind)> {
        let all = &self.grants.authorizations;
        all[all.len().saturating_sub(12)..].choose(&mut self.rng)
    }

    fn revoke(&mut self) -> Option<Sent> {
        let (granter, grantee, kind) = *self.latest_authorization()?;
        let msg_type_url = match kind {
            Kind::Send => MsgSend::type_url(),
            Kind::Delegate => staking::MsgDelegate::type_url(),
            Kind::Vote => MsgVote::type_url(),
            Kind::Deployment => deployment::MsgCloseDeployment::type_url(),
        };
        let (by, to) = (granter.to_string(), grantee.to_string());
        Some((granter, any(&authz::MsgRevoke { granter: by, grantee: to, msg_type_url })))
    }

    fn allow(&mut self, ctx: &Ctx<'_>) -> Sent {
        let (granter, grantee) = (self.anyone(), self.anyone());
        let basic = feegrant::BasicAllowance {
            spend_limit: if self.rng.gen() { vec![self.stake()] } else { Vec::new() },
            expiration: Some(timestamp(ctx.now() + self.rng.gen_range(1..800))),
        };
        let periodic = feegrant::PeriodicAllowance {
            basic: Some(basic.clone()),
            period: Some(Duration { seconds: self.rng.gen_range(1..100), nanos: 0 }),
            period_spend_limit: vec![self.stake()],
            period_can_spend: Vec::new(),
            period_reset: None,
        };
        let allowance = match self.rng.gen_range(0..3) {
            0 => any(&basic),
            1 => any(&periodic),
            _ => any(&feegrant::AllowedMsgAllowance {
                allowance: Some(any(&basic)),
                allowed_messages: vec![MsgSend::type_url(), MsgVote::type_url()],
            }),
        };
        self.grants.allowances.push((granter, grantee));
        let (by, to) = (granter.to_string(), grantee.to_string());
        let allowance = Some(allowance);
        (granter, any(&feegrant::MsgGrantAllowance { granter: by, grantee: to, allowance }))
    }
}
