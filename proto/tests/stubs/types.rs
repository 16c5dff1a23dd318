//! Every message that `stubs/` declares, with the Rust type that stands for it.

use stoa_proto::{cosmos, tendermint};

use crate::shape::Shape;

macro_rules! shapes {
    ($all:ident, $package:literal, { $($name:literal => $type:ty,)* }) => {
        $( $all.push((concat!($package, ".", $name).to_owned(), Shape::of::<$type>())); )*
    };
}

/// By full name.
pub fn all() -> Vec<(String, Shape)> {
    let mut all = Vec::new();
    add_cosmos_auth_v1beta1(&mut all);
    add_cosmos_authz_v1beta1(&mut all);
    add_cosmos_bank_v1beta1(&mut all);
    add_cosmos_base_abci_v1beta1(&mut all);
    add_cosmos_base_node_v1beta1(&mut all);
    add_cosmos_base_query_v1beta1(&mut all);
    add_cosmos_base_tendermint_v1beta1(&mut all);
    add_cosmos_base_v1beta1(&mut all);
    add_cosmos_crypto_ed25519(&mut all);
    add_cosmos_crypto_multisig(&mut all);
    add_cosmos_crypto_multisig_v1beta1(&mut all);
    add_cosmos_crypto_secp256k1(&mut all);
    add_cosmos_distribution_v1beta1(&mut all);
    add_cosmos_feegrant_v1beta1(&mut all);
    add_cosmos_gov_v1(&mut all);
    add_cosmos_gov_v1beta1(&mut all);
    add_cosmos_mint_v1beta1(&mut all);
    add_cosmos_slashing_v1beta1(&mut all);
    add_cosmos_staking_v1beta1(&mut all);
    add_cosmos_tx_v1beta1(&mut all);
    add_cosmos_upgrade_v1beta1(&mut all);
    add_cosmos_vesting_v1beta1(&mut all);
    add_tendermint_abci(&mut all);
    add_tendermint_crypto(&mut all);
    add_tendermint_p2p(&mut all);
    add_tendermint_types(&mut all);
    add_tendermint_version(&mut all);
    all
}

fn add_cosmos_auth_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::auth::v1beta1::*;
    shapes!(all, "cosmos.auth.v1beta1", {
        "AddressBytesToStringRequest" => AddressBytesToStringRequest,
        "AddressBytesToStringResponse" => AddressBytesToStringResponse,
        "AddressStringToBytesRequest" => AddressStringToBytesRequest,
        "AddressStringToBytesResponse" => AddressStringToBytesResponse,
        "BaseAccount" => BaseAccount,
        "Bech32PrefixRequest" => Bech32PrefixRequest,
        "Bech32PrefixResponse" => Bech32PrefixResponse,
        "ModuleAccount" => ModuleAccount,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "Params" => Params,
        "QueryAccountAddressByIDRequest" => QueryAccountAddressByIdRequest,
        "QueryAccountAddressByIDResponse" => QueryAccountAddressByIdResponse,
        "QueryAccountInfoRequest" => QueryAccountInfoRequest,
        "QueryAccountInfoResponse" => QueryAccountInfoResponse,
        "QueryAccountRequest" => QueryAccountRequest,
        "QueryAccountResponse" => QueryAccountResponse,
        "QueryAccountsRequest" => QueryAccountsRequest,
        "QueryAccountsResponse" => QueryAccountsResponse,
        "QueryModuleAccountByNameRequest" => QueryModuleAccountByNameRequest,
        "QueryModuleAccountByNameResponse" => QueryModuleAccountByNameResponse,
        "QueryModuleAccountsRequest" => QueryModuleAccountsRequest,
        "QueryModuleAccountsResponse" => QueryModuleAccountsResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
    });
}

fn add_cosmos_authz_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::authz::v1beta1::*;
    shapes!(all, "cosmos.authz.v1beta1", {
        "GenericAuthorization" => GenericAuthorization,
        "Grant" => Grant,
        "GrantAuthorization" => GrantAuthorization,
        "MsgExec" => MsgExec,
        "MsgExecResponse" => MsgExecResponse,
        "MsgGrant" => MsgGrant,
        "MsgGrantResponse" => MsgGrantResponse,
        "MsgRevoke" => MsgRevoke,
        "MsgRevokeResponse" => MsgRevokeResponse,
        "QueryGranteeGrantsRequest" => QueryGranteeGrantsRequest,
        "QueryGranteeGrantsResponse" => QueryGranteeGrantsResponse,
        "QueryGranterGrantsRequest" => QueryGranterGrantsRequest,
        "QueryGranterGrantsResponse" => QueryGranterGrantsResponse,
        "QueryGrantsRequest" => QueryGrantsRequest,
        "QueryGrantsResponse" => QueryGrantsResponse,
    });
}

fn add_cosmos_bank_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::bank::v1beta1::*;
    shapes!(all, "cosmos.bank.v1beta1", {
        "DenomOwner" => DenomOwner,
        "DenomUnit" => DenomUnit,
        "Input" => Input,
        "Metadata" => Metadata,
        "MsgMultiSend" => MsgMultiSend,
        "MsgMultiSendResponse" => MsgMultiSendResponse,
        "MsgSend" => MsgSend,
        "MsgSendResponse" => MsgSendResponse,
        "MsgSetSendEnabled" => MsgSetSendEnabled,
        "MsgSetSendEnabledResponse" => MsgSetSendEnabledResponse,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "Output" => Output,
        "Params" => Params,
        "QueryAllBalancesRequest" => QueryAllBalancesRequest,
        "QueryAllBalancesResponse" => QueryAllBalancesResponse,
        "QueryBalanceRequest" => QueryBalanceRequest,
        "QueryBalanceResponse" => QueryBalanceResponse,
        "QueryDenomMetadataByQueryStringRequest" => QueryDenomMetadataByQueryStringRequest,
        "QueryDenomMetadataByQueryStringResponse" => QueryDenomMetadataByQueryStringResponse,
        "QueryDenomMetadataRequest" => QueryDenomMetadataRequest,
        "QueryDenomMetadataResponse" => QueryDenomMetadataResponse,
        "QueryDenomOwnersByQueryRequest" => QueryDenomOwnersByQueryRequest,
        "QueryDenomOwnersByQueryResponse" => QueryDenomOwnersByQueryResponse,
        "QueryDenomOwnersRequest" => QueryDenomOwnersRequest,
        "QueryDenomOwnersResponse" => QueryDenomOwnersResponse,
        "QueryDenomsMetadataRequest" => QueryDenomsMetadataRequest,
        "QueryDenomsMetadataResponse" => QueryDenomsMetadataResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
        "QuerySendEnabledRequest" => QuerySendEnabledRequest,
        "QuerySendEnabledResponse" => QuerySendEnabledResponse,
        "QuerySpendableBalanceByDenomRequest" => QuerySpendableBalanceByDenomRequest,
        "QuerySpendableBalanceByDenomResponse" => QuerySpendableBalanceByDenomResponse,
        "QuerySpendableBalancesRequest" => QuerySpendableBalancesRequest,
        "QuerySpendableBalancesResponse" => QuerySpendableBalancesResponse,
        "QuerySupplyOfRequest" => QuerySupplyOfRequest,
        "QuerySupplyOfResponse" => QuerySupplyOfResponse,
        "QueryTotalSupplyRequest" => QueryTotalSupplyRequest,
        "QueryTotalSupplyResponse" => QueryTotalSupplyResponse,
        "SendAuthorization" => SendAuthorization,
        "SendEnabled" => SendEnabled,
    });
}

fn add_cosmos_base_abci_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::base::abci::v1beta1::*;
    shapes!(all, "cosmos.base.abci.v1beta1", {
        "ABCIMessageLog" => AbciMessageLog,
        "Attribute" => Attribute,
        "GasInfo" => GasInfo,
        "MsgData" => MsgData,
        "Result" => Result,
        "StringEvent" => StringEvent,
        "TxMsgData" => TxMsgData,
        "TxResponse" => TxResponse,
    });
}

fn add_cosmos_base_node_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::base::node::v1beta1::*;
    shapes!(all, "cosmos.base.node.v1beta1", {
        "ConfigRequest" => ConfigRequest,
        "ConfigResponse" => ConfigResponse,
        "StatusRequest" => StatusRequest,
        "StatusResponse" => StatusResponse,
    });
}

fn add_cosmos_base_query_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::base::query::v1beta1::*;
    shapes!(all, "cosmos.base.query.v1beta1", {
        "PageRequest" => PageRequest,
        "PageResponse" => PageResponse,
    });
}

fn add_cosmos_base_tendermint_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::base::tendermint::v1beta1::*;
    shapes!(all, "cosmos.base.tendermint.v1beta1", {
        "ABCIQueryRequest" => AbciQueryRequest,
        "ABCIQueryResponse" => AbciQueryResponse,
        "Block" => Block,
        "GetBlockByHeightRequest" => GetBlockByHeightRequest,
        "GetBlockByHeightResponse" => GetBlockByHeightResponse,
        "GetLatestBlockRequest" => GetLatestBlockRequest,
        "GetLatestBlockResponse" => GetLatestBlockResponse,
        "GetLatestValidatorSetRequest" => GetLatestValidatorSetRequest,
        "GetLatestValidatorSetResponse" => GetLatestValidatorSetResponse,
        "GetNodeInfoRequest" => GetNodeInfoRequest,
        "GetNodeInfoResponse" => GetNodeInfoResponse,
        "GetSyncingRequest" => GetSyncingRequest,
        "GetSyncingResponse" => GetSyncingResponse,
        "GetValidatorSetByHeightRequest" => GetValidatorSetByHeightRequest,
        "GetValidatorSetByHeightResponse" => GetValidatorSetByHeightResponse,
        "Header" => Header,
        "Module" => Module,
        "ProofOp" => ProofOp,
        "ProofOps" => ProofOps,
        "Validator" => Validator,
        "VersionInfo" => VersionInfo,
    });
}

fn add_cosmos_base_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::base::v1beta1::*;
    shapes!(all, "cosmos.base.v1beta1", {
        "Coin" => Coin,
        "DecCoin" => DecCoin,
    });
}

fn add_cosmos_crypto_ed25519(all: &mut Vec<(String, Shape)>) {
    use cosmos::crypto::ed25519::*;
    shapes!(all, "cosmos.crypto.ed25519", {
        "PubKey" => PubKey,
    });
}

fn add_cosmos_crypto_multisig(all: &mut Vec<(String, Shape)>) {
    use cosmos::crypto::multisig::*;
    shapes!(all, "cosmos.crypto.multisig", {
        "LegacyAminoPubKey" => LegacyAminoPubKey,
    });
}

fn add_cosmos_crypto_multisig_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::crypto::multisig::v1beta1::*;
    shapes!(all, "cosmos.crypto.multisig.v1beta1", {
        "CompactBitArray" => CompactBitArray,
        "MultiSignature" => MultiSignature,
    });
}

fn add_cosmos_crypto_secp256k1(all: &mut Vec<(String, Shape)>) {
    use cosmos::crypto::secp256k1::*;
    shapes!(all, "cosmos.crypto.secp256k1", {
        "PubKey" => PubKey,
    });
}

fn add_cosmos_distribution_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::distribution::v1beta1::*;
    shapes!(all, "cosmos.distribution.v1beta1", {
        "DelegationDelegatorReward" => DelegationDelegatorReward,
        "MsgCommunityPoolSpend" => MsgCommunityPoolSpend,
        "MsgCommunityPoolSpendResponse" => MsgCommunityPoolSpendResponse,
        "MsgDepositValidatorRewardsPool" => MsgDepositValidatorRewardsPool,
        "MsgDepositValidatorRewardsPoolResponse" => MsgDepositValidatorRewardsPoolResponse,
        "MsgFundCommunityPool" => MsgFundCommunityPool,
        "MsgFundCommunityPoolResponse" => MsgFundCommunityPoolResponse,
        "MsgSetWithdrawAddress" => MsgSetWithdrawAddress,
        "MsgSetWithdrawAddressResponse" => MsgSetWithdrawAddressResponse,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "MsgWithdrawDelegatorReward" => MsgWithdrawDelegatorReward,
        "MsgWithdrawDelegatorRewardResponse" => MsgWithdrawDelegatorRewardResponse,
        "MsgWithdrawValidatorCommission" => MsgWithdrawValidatorCommission,
        "MsgWithdrawValidatorCommissionResponse" => MsgWithdrawValidatorCommissionResponse,
        "Params" => Params,
        "QueryCommunityPoolRequest" => QueryCommunityPoolRequest,
        "QueryCommunityPoolResponse" => QueryCommunityPoolResponse,
        "QueryDelegationRewardsRequest" => QueryDelegationRewardsRequest,
        "QueryDelegationRewardsResponse" => QueryDelegationRewardsResponse,
        "QueryDelegationTotalRewardsRequest" => QueryDelegationTotalRewardsRequest,
        "QueryDelegationTotalRewardsResponse" => QueryDelegationTotalRewardsResponse,
        "QueryDelegatorValidatorsRequest" => QueryDelegatorValidatorsRequest,
        "QueryDelegatorValidatorsResponse" => QueryDelegatorValidatorsResponse,
        "QueryDelegatorWithdrawAddressRequest" => QueryDelegatorWithdrawAddressRequest,
        "QueryDelegatorWithdrawAddressResponse" => QueryDelegatorWithdrawAddressResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
        "QueryValidatorCommissionRequest" => QueryValidatorCommissionRequest,
        "QueryValidatorCommissionResponse" => QueryValidatorCommissionResponse,
        "QueryValidatorDistributionInfoRequest" => QueryValidatorDistributionInfoRequest,
        "QueryValidatorDistributionInfoResponse" => QueryValidatorDistributionInfoResponse,
        "QueryValidatorOutstandingRewardsRequest" => QueryValidatorOutstandingRewardsRequest,
        "QueryValidatorOutstandingRewardsResponse" => QueryValidatorOutstandingRewardsResponse,
        "QueryValidatorSlashesRequest" => QueryValidatorSlashesRequest,
        "QueryValidatorSlashesResponse" => QueryValidatorSlashesResponse,
        "ValidatorAccumulatedCommission" => ValidatorAccumulatedCommission,
        "ValidatorOutstandingRewards" => ValidatorOutstandingRewards,
        "ValidatorSlashEvent" => ValidatorSlashEvent,
    });
}

fn add_cosmos_feegrant_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::feegrant::v1beta1::*;
    shapes!(all, "cosmos.feegrant.v1beta1", {
        "AllowedMsgAllowance" => AllowedMsgAllowance,
        "BasicAllowance" => BasicAllowance,
        "Grant" => Grant,
        "MsgGrantAllowance" => MsgGrantAllowance,
        "MsgGrantAllowanceResponse" => MsgGrantAllowanceResponse,
        "MsgPruneAllowances" => MsgPruneAllowances,
        "MsgPruneAllowancesResponse" => MsgPruneAllowancesResponse,
        "MsgRevokeAllowance" => MsgRevokeAllowance,
        "MsgRevokeAllowanceResponse" => MsgRevokeAllowanceResponse,
        "PeriodicAllowance" => PeriodicAllowance,
        "QueryAllowanceRequest" => QueryAllowanceRequest,
        "QueryAllowanceResponse" => QueryAllowanceResponse,
        "QueryAllowancesByGranterRequest" => QueryAllowancesByGranterRequest,
        "QueryAllowancesByGranterResponse" => QueryAllowancesByGranterResponse,
        "QueryAllowancesRequest" => QueryAllowancesRequest,
        "QueryAllowancesResponse" => QueryAllowancesResponse,
    });
}

fn add_cosmos_gov_v1(all: &mut Vec<(String, Shape)>) {
    use cosmos::gov::v1::*;
    shapes!(all, "cosmos.gov.v1", {
        "Deposit" => Deposit,
        "DepositParams" => DepositParams,
        "MsgCancelProposal" => MsgCancelProposal,
        "MsgCancelProposalResponse" => MsgCancelProposalResponse,
        "MsgDeposit" => MsgDeposit,
        "MsgDepositResponse" => MsgDepositResponse,
        "MsgExecLegacyContent" => MsgExecLegacyContent,
        "MsgExecLegacyContentResponse" => MsgExecLegacyContentResponse,
        "MsgSubmitProposal" => MsgSubmitProposal,
        "MsgSubmitProposalResponse" => MsgSubmitProposalResponse,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "MsgVote" => MsgVote,
        "MsgVoteResponse" => MsgVoteResponse,
        "MsgVoteWeighted" => MsgVoteWeighted,
        "MsgVoteWeightedResponse" => MsgVoteWeightedResponse,
        "Params" => Params,
        "Proposal" => Proposal,
        "QueryConstitutionRequest" => QueryConstitutionRequest,
        "QueryConstitutionResponse" => QueryConstitutionResponse,
        "QueryDepositRequest" => QueryDepositRequest,
        "QueryDepositResponse" => QueryDepositResponse,
        "QueryDepositsRequest" => QueryDepositsRequest,
        "QueryDepositsResponse" => QueryDepositsResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
        "QueryProposalRequest" => QueryProposalRequest,
        "QueryProposalResponse" => QueryProposalResponse,
        "QueryProposalsRequest" => QueryProposalsRequest,
        "QueryProposalsResponse" => QueryProposalsResponse,
        "QueryTallyResultRequest" => QueryTallyResultRequest,
        "QueryTallyResultResponse" => QueryTallyResultResponse,
        "QueryVoteRequest" => QueryVoteRequest,
        "QueryVoteResponse" => QueryVoteResponse,
        "QueryVotesRequest" => QueryVotesRequest,
        "QueryVotesResponse" => QueryVotesResponse,
        "TallyParams" => TallyParams,
        "TallyResult" => TallyResult,
        "Vote" => Vote,
        "VotingParams" => VotingParams,
        "WeightedVoteOption" => WeightedVoteOption,
    });
}

fn add_cosmos_gov_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::gov::v1beta1::*;
    shapes!(all, "cosmos.gov.v1beta1", {
        "Deposit" => Deposit,
        "DepositParams" => DepositParams,
        "MsgDeposit" => MsgDeposit,
        "MsgDepositResponse" => MsgDepositResponse,
        "MsgSubmitProposal" => MsgSubmitProposal,
        "MsgSubmitProposalResponse" => MsgSubmitProposalResponse,
        "MsgVote" => MsgVote,
        "MsgVoteResponse" => MsgVoteResponse,
        "MsgVoteWeighted" => MsgVoteWeighted,
        "MsgVoteWeightedResponse" => MsgVoteWeightedResponse,
        "Proposal" => Proposal,
        "QueryDepositRequest" => QueryDepositRequest,
        "QueryDepositResponse" => QueryDepositResponse,
        "QueryDepositsRequest" => QueryDepositsRequest,
        "QueryDepositsResponse" => QueryDepositsResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
        "QueryProposalRequest" => QueryProposalRequest,
        "QueryProposalResponse" => QueryProposalResponse,
        "QueryProposalsRequest" => QueryProposalsRequest,
        "QueryProposalsResponse" => QueryProposalsResponse,
        "QueryTallyResultRequest" => QueryTallyResultRequest,
        "QueryTallyResultResponse" => QueryTallyResultResponse,
        "QueryVoteRequest" => QueryVoteRequest,
        "QueryVoteResponse" => QueryVoteResponse,
        "QueryVotesRequest" => QueryVotesRequest,
        "QueryVotesResponse" => QueryVotesResponse,
        "TallyParams" => TallyParams,
        "TallyResult" => TallyResult,
        "TextProposal" => TextProposal,
        "Vote" => Vote,
        "VotingParams" => VotingParams,
        "WeightedVoteOption" => WeightedVoteOption,
    });
}

fn add_cosmos_mint_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::mint::v1beta1::*;
    shapes!(all, "cosmos.mint.v1beta1", {
        "Minter" => Minter,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "Params" => Params,
        "QueryAnnualProvisionsRequest" => QueryAnnualProvisionsRequest,
        "QueryAnnualProvisionsResponse" => QueryAnnualProvisionsResponse,
        "QueryInflationRequest" => QueryInflationRequest,
        "QueryInflationResponse" => QueryInflationResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
    });
}

fn add_cosmos_slashing_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::slashing::v1beta1::*;
    shapes!(all, "cosmos.slashing.v1beta1", {
        "MsgUnjail" => MsgUnjail,
        "MsgUnjailResponse" => MsgUnjailResponse,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "Params" => Params,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
        "QuerySigningInfoRequest" => QuerySigningInfoRequest,
        "QuerySigningInfoResponse" => QuerySigningInfoResponse,
        "QuerySigningInfosRequest" => QuerySigningInfosRequest,
        "QuerySigningInfosResponse" => QuerySigningInfosResponse,
        "ValidatorSigningInfo" => ValidatorSigningInfo,
    });
}

fn add_cosmos_staking_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::staking::v1beta1::*;
    shapes!(all, "cosmos.staking.v1beta1", {
        "Commission" => Commission,
        "CommissionRates" => CommissionRates,
        "Delegation" => Delegation,
        "DelegationResponse" => DelegationResponse,
        "Description" => Description,
        "HistoricalInfo" => HistoricalInfo,
        "MsgBeginRedelegate" => MsgBeginRedelegate,
        "MsgBeginRedelegateResponse" => MsgBeginRedelegateResponse,
        "MsgCancelUnbondingDelegation" => MsgCancelUnbondingDelegation,
        "MsgCancelUnbondingDelegationResponse" => MsgCancelUnbondingDelegationResponse,
        "MsgCreateValidator" => MsgCreateValidator,
        "MsgCreateValidatorResponse" => MsgCreateValidatorResponse,
        "MsgDelegate" => MsgDelegate,
        "MsgDelegateResponse" => MsgDelegateResponse,
        "MsgEditValidator" => MsgEditValidator,
        "MsgEditValidatorResponse" => MsgEditValidatorResponse,
        "MsgUndelegate" => MsgUndelegate,
        "MsgUndelegateResponse" => MsgUndelegateResponse,
        "MsgUpdateParams" => MsgUpdateParams,
        "MsgUpdateParamsResponse" => MsgUpdateParamsResponse,
        "Params" => Params,
        "Pool" => Pool,
        "QueryDelegationRequest" => QueryDelegationRequest,
        "QueryDelegationResponse" => QueryDelegationResponse,
        "QueryDelegatorDelegationsRequest" => QueryDelegatorDelegationsRequest,
        "QueryDelegatorDelegationsResponse" => QueryDelegatorDelegationsResponse,
        "QueryDelegatorUnbondingDelegationsRequest" => QueryDelegatorUnbondingDelegationsRequest,
        "QueryDelegatorUnbondingDelegationsResponse" => QueryDelegatorUnbondingDelegationsResponse,
        "QueryDelegatorValidatorRequest" => QueryDelegatorValidatorRequest,
        "QueryDelegatorValidatorResponse" => QueryDelegatorValidatorResponse,
        "QueryDelegatorValidatorsRequest" => QueryDelegatorValidatorsRequest,
        "QueryDelegatorValidatorsResponse" => QueryDelegatorValidatorsResponse,
        "QueryHistoricalInfoRequest" => QueryHistoricalInfoRequest,
        "QueryHistoricalInfoResponse" => QueryHistoricalInfoResponse,
        "QueryParamsRequest" => QueryParamsRequest,
        "QueryParamsResponse" => QueryParamsResponse,
        "QueryPoolRequest" => QueryPoolRequest,
        "QueryPoolResponse" => QueryPoolResponse,
        "QueryRedelegationsRequest" => QueryRedelegationsRequest,
        "QueryRedelegationsResponse" => QueryRedelegationsResponse,
        "QueryUnbondingDelegationRequest" => QueryUnbondingDelegationRequest,
        "QueryUnbondingDelegationResponse" => QueryUnbondingDelegationResponse,
        "QueryValidatorDelegationsRequest" => QueryValidatorDelegationsRequest,
        "QueryValidatorDelegationsResponse" => QueryValidatorDelegationsResponse,
        "QueryValidatorRequest" => QueryValidatorRequest,
        "QueryValidatorResponse" => QueryValidatorResponse,
        "QueryValidatorUnbondingDelegationsRequest" => QueryValidatorUnbondingDelegationsRequest,
        "QueryValidatorUnbondingDelegationsResponse" => QueryValidatorUnbondingDelegationsResponse,
        "QueryValidatorsRequest" => QueryValidatorsRequest,
        "QueryValidatorsResponse" => QueryValidatorsResponse,
        "Redelegation" => Redelegation,
        "RedelegationEntry" => RedelegationEntry,
        "RedelegationEntryResponse" => RedelegationEntryResponse,
        "RedelegationResponse" => RedelegationResponse,
        "StakeAuthorization" => StakeAuthorization,
        "StakeAuthorization.Validators" => stake_authorization::Validators,
        "UnbondingDelegation" => UnbondingDelegation,
        "UnbondingDelegationEntry" => UnbondingDelegationEntry,
        "Validator" => Validator,
    });
}

fn add_cosmos_tx_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::tx::v1beta1::*;
    shapes!(all, "cosmos.tx.v1beta1", {
        "AuthInfo" => AuthInfo,
        "BroadcastTxRequest" => BroadcastTxRequest,
        "BroadcastTxResponse" => BroadcastTxResponse,
        "Fee" => Fee,
        "GetBlockWithTxsRequest" => GetBlockWithTxsRequest,
        "GetBlockWithTxsResponse" => GetBlockWithTxsResponse,
        "GetTxRequest" => GetTxRequest,
        "GetTxResponse" => GetTxResponse,
        "GetTxsEventRequest" => GetTxsEventRequest,
        "GetTxsEventResponse" => GetTxsEventResponse,
        "ModeInfo" => ModeInfo,
        "ModeInfo.Multi" => mode_info::Multi,
        "ModeInfo.Single" => mode_info::Single,
        "SignDoc" => SignDoc,
        "SignerInfo" => SignerInfo,
        "SimulateRequest" => SimulateRequest,
        "SimulateResponse" => SimulateResponse,
        "Tip" => Tip,
        "Tx" => Tx,
        "TxBody" => TxBody,
        "TxRaw" => TxRaw,
    });
}

fn add_cosmos_upgrade_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::upgrade::v1beta1::*;
    shapes!(all, "cosmos.upgrade.v1beta1", {
        "ModuleVersion" => ModuleVersion,
        "MsgCancelUpgrade" => MsgCancelUpgrade,
        "MsgCancelUpgradeResponse" => MsgCancelUpgradeResponse,
        "MsgSoftwareUpgrade" => MsgSoftwareUpgrade,
        "MsgSoftwareUpgradeResponse" => MsgSoftwareUpgradeResponse,
        "Plan" => Plan,
        "QueryAppliedPlanRequest" => QueryAppliedPlanRequest,
        "QueryAppliedPlanResponse" => QueryAppliedPlanResponse,
        "QueryAuthorityRequest" => QueryAuthorityRequest,
        "QueryAuthorityResponse" => QueryAuthorityResponse,
        "QueryCurrentPlanRequest" => QueryCurrentPlanRequest,
        "QueryCurrentPlanResponse" => QueryCurrentPlanResponse,
        "QueryModuleVersionsRequest" => QueryModuleVersionsRequest,
        "QueryModuleVersionsResponse" => QueryModuleVersionsResponse,
    });
}

fn add_cosmos_vesting_v1beta1(all: &mut Vec<(String, Shape)>) {
    use cosmos::vesting::v1beta1::*;
    shapes!(all, "cosmos.vesting.v1beta1", {
        "BaseVestingAccount" => BaseVestingAccount,
        "ContinuousVestingAccount" => ContinuousVestingAccount,
        "DelayedVestingAccount" => DelayedVestingAccount,
        "MsgCreatePeriodicVestingAccount" => MsgCreatePeriodicVestingAccount,
        "MsgCreatePeriodicVestingAccountResponse" => MsgCreatePeriodicVestingAccountResponse,
        "MsgCreatePermanentLockedAccount" => MsgCreatePermanentLockedAccount,
        "MsgCreatePermanentLockedAccountResponse" => MsgCreatePermanentLockedAccountResponse,
        "MsgCreateVestingAccount" => MsgCreateVestingAccount,
        "MsgCreateVestingAccountResponse" => MsgCreateVestingAccountResponse,
        "Period" => Period,
        "PeriodicVestingAccount" => PeriodicVestingAccount,
        "PermanentLockedAccount" => PermanentLockedAccount,
    });
}

fn add_tendermint_abci(all: &mut Vec<(String, Shape)>) {
    use tendermint::abci::*;
    shapes!(all, "tendermint.abci", {
        "Event" => Event,
        "EventAttribute" => EventAttribute,
    });
}

fn add_tendermint_crypto(all: &mut Vec<(String, Shape)>) {
    use tendermint::crypto::*;
    shapes!(all, "tendermint.crypto", {
        "PublicKey" => PublicKey,
    });
}

fn add_tendermint_p2p(all: &mut Vec<(String, Shape)>) {
    use tendermint::p2p::*;
    shapes!(all, "tendermint.p2p", {
        "DefaultNodeInfo" => DefaultNodeInfo,
        "DefaultNodeInfoOther" => DefaultNodeInfoOther,
        "ProtocolVersion" => ProtocolVersion,
    });
}

fn add_tendermint_types(all: &mut Vec<(String, Shape)>) {
    use tendermint::types::*;
    shapes!(all, "tendermint.types", {
        "ABCIParams" => AbciParams,
        "Block" => Block,
        "BlockID" => BlockId,
        "BlockParams" => BlockParams,
        "Commit" => Commit,
        "CommitSig" => CommitSig,
        "ConsensusParams" => ConsensusParams,
        "Data" => Data,
        "DuplicateVoteEvidence" => DuplicateVoteEvidence,
        "Evidence" => Evidence,
        "EvidenceList" => EvidenceList,
        "EvidenceParams" => EvidenceParams,
        "Header" => Header,
        "LightBlock" => LightBlock,
        "LightClientAttackEvidence" => LightClientAttackEvidence,
        "PartSetHeader" => PartSetHeader,
        "SignedHeader" => SignedHeader,
        "Validator" => Validator,
        "ValidatorParams" => ValidatorParams,
        "ValidatorSet" => ValidatorSet,
        "VersionParams" => VersionParams,
        "Vote" => Vote,
    });
}

fn add_tendermint_version(all: &mut Vec<(String, Shape)>) {
    use tendermint::version::*;
    shapes!(all, "tendermint.version", {
        "Consensus" => Consensus,
    });
}
