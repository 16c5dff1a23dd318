//! All messages that a transaction may carry.

use cosmos_sdk_proto::Any;
use prost::Name;

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::authz;
use crate::modules::{
    audit, auth, bank, cert, consensus, deployment, distribution, escrow, feegrant, gov, market,
    mint, provider, slashing, staking, upgrade,
};
use crate::types::Address;

/// A message: what it is in protobuf, who must sign it, what it does.
///
/// `TryFrom` its protobuf form is the *validate* phase: all that can be said
/// without looking at the state.
pub trait Message: TryFrom<Self::Proto, Error = Failure> {
    /// Its protobuf form.
    type Proto: prost::Message + Name + Default;
    /// What a success answers.
    type Response: prost::Message + Name;

    /// Whose signature it needs.
    fn signer(&self) -> Address;

    /// Does it. On an error, whatever it has done is dropped.
    ///
    /// # Errors
    /// The rule that it breaks.
    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure>;
}

/// Decodes and validates a message's protobuf form.
fn parse<M: Message>(any: &Any) -> Result<M, Failure> {
    M::try_from(unpack(any)?)
}

/// What an `Any` holds, whose type the caller has looked at. One meaning has
/// one encoding here too.
pub(crate) fn unpack<M: prost::Message + Name + Default>(any: &Any) -> Result<M, SdkError> {
    let name = M::full_name();
    let proto = M::decode(any.value.as_slice())
        .map_err(|error| SdkError::TxDecode(format!("{name}: {error}")))?;
    super::decode::check_canonical(&name, &proto, &any.value)?;
    Ok(proto)
}

fn response<R: prost::Message + Name>(response: &R) -> Any {
    Any { type_url: R::type_url(), value: response.encode_to_vec() }
}

macro_rules! messages {
    ($($name:ident = $message:ty,)*) => {
        /// A validated message.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is documented where it is defined")]
        pub enum Msg {
            $($name(Box<$message>),)*
        }

        impl Msg {
            /// From a transaction's body.
            ///
            /// # Errors
            /// An unknown type, malformed bytes, or a message that is wrong
            /// in itself.
            pub fn from_any(any: &Any) -> Result<Self, Failure> {
                $(
                    if any.type_url == <$message as Message>::Proto::type_url() {
                        return parse::<$message>(any).map(|m| Self::$name(Box::new(m)));
                    }
                )*
                let url: String = any.type_url.chars().take(100).collect();
                Err(SdkError::UnknownRequest(format!("no message has the type {url:?}")).into())
            }

            /// Whether there are messages of this type.
            pub fn is_known(url: &str) -> bool {
                $(url == <$message as Message>::Proto::type_url())||*
            }

            /// The type URLs of all messages.
            pub fn type_urls() -> Vec<String> {
                vec![$(<$message as Message>::Proto::type_url(),)*]
            }

            /// Whose signature it needs.
            pub fn signer(&self) -> Address {
                match self {
                    $(Self::$name(message) => message.signer(),)*
                }
            }

            /// Its type URL.
            pub fn type_url(&self) -> String {
                match self {
                    $(Self::$name(_) => <$message as Message>::Proto::type_url(),)*
                }
            }

            /// Does it, and answers its response.
            ///
            /// # Errors
            /// The rule that it breaks.
            pub fn execute(self, ctx: &mut Ctx<'_>) -> Result<Any, Failure> {
                match self {
                    $(Self::$name(message) => message.execute(ctx).map(|r| response(&r)),)*
                }
            }
        }
    };
}

messages! {
    Send = bank::Send,
    MultiSend = bank::MultiSend,
    CreateProvider = provider::Create,
    UpdateProvider = provider::Update,
    DeleteProvider = provider::Delete,
    StakeProvider = provider::Stake,
    UnstakeProvider = provider::Unstake,
    SignProviderAttributes = audit::SignAttributes,
    DeleteProviderAttributes = audit::DeleteAttributes,
    CreateCertificate = cert::Create,
    RevokeCertificate = cert::Revoke,
    CreateDeployment = deployment::CreateDeployment,
    AddGroups = deployment::AddGroups,
    UpdateDeployment = deployment::UpdateDeployment,
    CloseDeployment = deployment::CloseDeployment,
    PauseGroup = deployment::PauseGroup,
    StartGroup = deployment::StartGroup,
    CloseGroup = deployment::CloseGroup,
    ReopenGroup = deployment::ReopenGroup,
    CreateBid = market::CreateBid,
    WithdrawBid = market::WithdrawBid,
    CommitBid = market::CommitBid,
    RevealBid = market::RevealBid,
    StartLease = market::StartLease,
    CloseBid = market::CloseBid,
    CloseLease = market::CloseLease,
    WithdrawLease = market::WithdrawLease,
    DepositDeployment = escrow::Deposit,
    Grant = authz::GrantMessage,
    Exec = authz::Exec,
    Revoke = authz::Revoke,
    GrantAllowance = feegrant::GrantAllowance,
    RevokeAllowance = feegrant::RevokeAllowance,
    PruneAllowances = feegrant::PruneAllowances,
    SoftwareUpgrade = upgrade::SoftwareUpgrade,
    CancelUpgrade = upgrade::CancelUpgrade,
    SetWithdrawAddress = distribution::SetWithdrawAddress,
    WithdrawDelegatorReward = distribution::WithdrawDelegatorReward,
    WithdrawValidatorCommission = distribution::WithdrawValidatorCommission,
    FundCommunityPool = distribution::FundCommunityPool,
    CommunityPoolSpend = distribution::CommunityPoolSpend,
    DepositValidatorRewardsPool = distribution::DepositValidatorRewardsPool,
    UpdateDistributionParams = distribution::UpdateParams,
    UpdateConsensusParams = consensus::UpdateParams,
    UpdateMintParams = mint::UpdateParams,
    UpdateAuthParams = auth::UpdateParams,
    UpdateBankParams = bank::UpdateParams,
    SetSendEnabled = bank::SetSendEnabled,
    UpdateProviderParams = provider::UpdateParams,
    SetProviderJailed = provider::SetJailed,
    UpdateDeploymentParams = deployment::UpdateParams,
    UpdateMarketParams = market::UpdateParams,
    UpdateEscrowParams = escrow::UpdateParams,
    SubmitProposal = gov::SubmitProposal,
    DepositOnProposal = gov::Deposit,
    Vote = gov::VoteOne,
    VoteWeighted = gov::VoteWeighted,
    CancelProposal = gov::CancelProposal,
    ExecLegacyContent = gov::ExecLegacyContent,
    UpdateGovParams = gov::UpdateParams,
    LegacySubmitProposal = gov::LegacySubmitProposal,
    LegacyDepositOnProposal = gov::LegacyDeposit,
    LegacyVote = gov::LegacyVote,
    LegacyVoteWeighted = gov::LegacyVoteWeighted,
    CreateValidator = staking::CreateValidator,
    EditValidator = staking::EditValidator,
    Delegate = staking::Delegate,
    BeginRedelegate = staking::BeginRedelegate,
    Undelegate = staking::Undelegate,
    CancelUnbonding = staking::CancelUnbonding,
    UpdateStakingParams = staking::UpdateParams,
    Unjail = slashing::Unjail,
    UpdateSlashingParams = slashing::UpdateParams,
}

impl Msg {
    /// For how many messages it stands: itself, or those that it holds.
    pub fn count(&self) -> usize {
        match self {
            Self::Exec(exec) => exec.count(),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_name_of_its_own_that_a_ledger_shows() {
        let mut names = std::collections::BTreeMap::new();
        for type_url in Msg::type_urls() {
            let Some(name) = stoa_proto::amino::name_of(&type_url) else {
                // The SDK gives it none either; its type URL stands in.
                assert_eq!(type_url, "/cosmos.feegrant.v1beta1.MsgPruneAllowances");
                continue;
            };
            assert!(name.len() <= 39, "{type_url}: {name:?}");
            let other = names.insert(name.clone(), type_url.clone());
            // Governance's two versions share names, as they do in the SDK.
            let shared = other.clone().is_none_or(|other| other.contains("cosmos.gov"));
            assert!(shared, "{name} is that of {type_url} and {other:?}");
        }
        assert!(names.len() > 30);
    }
}
