//! What may be asked for, and which rule answers.

use prost::{Message, Name};
use stoa_chain::types::LeaseId;
use stoa_proto::audit::v1 as apb;
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::escrow::v1 as epb;
use stoa_proto::market::v1 as mpb;
use stoa_proto::provider::v1 as ppb;
use stoa_proto::Any;

use super::spec::{address, fine};
use super::{Outcome, Place, Refusal, World};

macro_rules! operations {
    ($($name:ident($message:ty) signed by $signer:ident => $rule:expr;)*) => {
        /// A message of the market or of what it rests on.
        #[derive(Clone, Debug)]
        pub enum Op {
            $($name($message),)*
        }

        impl Op {
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            pub fn signer(&self) -> &str {
                match self {
                    $(Self::$name(message) => &message.$signer,)*
                }
            }

            pub fn to_any(&self) -> Any {
                match self {
                    $(Self::$name(message) => Any {
                        type_url: <$message>::type_url(),
                        value: message.encode_to_vec(),
                    },)*
                }
            }
        }

        impl World {
            /// Does it by the rules, or names the one that refuses it.
            pub fn execute(&mut self, op: &Op, place: Place) -> Outcome {
                self.place = place;
                let outcome = self.attempt(|world| match op {
                    $(Op::$name(message) => {
                        let rule: fn(&mut World, &$message) -> Outcome = $rule;
                        rule(world, message)
                    })*
                });
                if outcome.is_ok() {
                    self.hit(&format!("done: {}", op.name()));
                }
                outcome
            }
        }
    };
}

operations! {
    CreateDeployment(dpb::MsgCreateDeployment) signed by owner => World::create_deployment;
    AddGroups(dpb::MsgAddGroups) signed by owner => World::add_groups;
    UpdateDeployment(dpb::MsgUpdateDeployment) signed by owner => World::update_deployment;
    CloseDeployment(dpb::MsgCloseDeployment) signed by owner => World::close_deployment;
    PauseGroup(dpb::MsgPauseGroup) signed by owner => World::pause_group;
    StartGroup(dpb::MsgStartGroup) signed by owner => World::start_group;
    CloseGroup(dpb::MsgCloseGroup) signed by owner => World::close_group;
    ReopenGroup(dpb::MsgReopenGroup) signed by owner => World::reopen_group;
    CreateBid(mpb::MsgCreateBid) signed by provider => World::create_bid;
    WithdrawBid(mpb::MsgWithdrawBid) signed by provider => World::withdraw_bid;
    CommitBid(mpb::MsgCommitBid) signed by provider => World::commit_bid;
    RevealBid(mpb::MsgRevealBid) signed by provider => World::reveal_bid;
    StartLease(mpb::MsgStartLease) signed by provider =>
        |world, msg| world.start_lease(address(&msg.provider)?, lease_id(&msg.lease)?);
    CloseBid(mpb::MsgCloseBid) signed by provider =>
        |world, msg| world.close_bid(address(&msg.provider)?, lease_id(&msg.lease)?);
    WithdrawLease(mpb::MsgWithdrawLease) signed by provider => World::withdraw;
    CloseLease(mpb::MsgCloseLease) signed by owner => |world, msg| {
        let (owner, lease) = (address(&msg.owner)?, lease_id(&msg.lease)?);
        world.close_lease(owner, lease, msg.reopen, msg.exclude)
    };
    Deposit(epb::MsgDepositDeployment) signed by depositor => World::deposit_msg;
    CreateProvider(ppb::MsgCreateProvider) signed by owner => World::create_provider;
    UpdateProvider(ppb::MsgUpdateProvider) signed by owner => World::update_provider;
    DeleteProvider(ppb::MsgDeleteProvider) signed by owner => World::delete_provider;
    StakeProvider(ppb::MsgStakeProvider) signed by owner => World::stake_provider;
    UnstakeProvider(ppb::MsgUnstakeProvider) signed by owner => World::unstake_provider;
    SignAttributes(apb::MsgSignProviderAttributes) signed by auditor => World::sign_attributes;
    DeleteAttributes(apb::MsgDeleteProviderAttributes) signed by auditor => World::delete_attributes;
}

fn lease_id(id: &Option<stoa_proto::types::v1::BidId>) -> Result<LeaseId, Refusal> {
    LeaseId::try_from(id.clone()).map_err(|_| "malformed id")
}

impl World {
    fn withdraw(&mut self, msg: &mpb::MsgWithdrawLease) -> Outcome {
        let provider = address(&msg.provider)?;
        let most = self.params.market.max_leases_per_withdrawal as usize;
        if msg.leases.is_empty() || msg.leases.len() > most {
            return Err("number of leases");
        }
        for lease in &msg.leases {
            self.withdraw_lease(provider, lease_id(&Some(lease.clone()))?)?;
        }
        Ok(())
    }

    fn deposit_msg(&mut self, msg: &epb::MsgDepositDeployment) -> Outcome {
        let from = address(&msg.depositor)?;
        let id = msg.id.clone().and_then(|id| id.try_into().ok()).ok_or("malformed id")?;
        let amount = msg.amount.as_ref().ok_or("amount missing")?;
        self.deposit(from, id, &amount.denom, fine(&amount.amount)?)
    }
}
