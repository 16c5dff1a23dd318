//! Validators, delegations and what they earn.

use stoa_proto::cosmos::{
    base::v1beta1::DecCoin,
    distribution::v1beta1::{
        query_client::QueryClient as Distribution, QueryDelegationTotalRewardsRequest,
        QueryDelegationTotalRewardsResponse, QueryValidatorCommissionRequest,
    },
    mint::v1beta1::{query_client::QueryClient as Mint, QueryInflationRequest},
    slashing::v1beta1::{
        query_client::QueryClient as Slashing, QuerySigningInfosRequest, ValidatorSigningInfo,
    },
    staking::v1beta1::{
        query_client::QueryClient as Staking, DelegationResponse, Pool,
        QueryDelegatorDelegationsRequest, QueryDelegatorUnbondingDelegationsRequest,
        QueryPoolRequest, QueryRedelegationsRequest, QueryValidatorRequest, QueryValidatorsRequest,
        RedelegationResponse, UnbondingDelegation, Validator,
    },
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{Error, Result};

impl QueryClient {
    /// A validator by its operator's address, `stoavaloper1…`.
    pub async fn validator(&self, operator: &str) -> Result<Validator> {
        let query = QueryValidatorRequest { validator_addr: operator.into() };
        let answer =
            self.ask(query, |channel, query| async move {
                Staking::new(channel).validator(query).await
            })
            .await?;
        answer.validator.ok_or_else(|| Error::BadAnswer("the validator is empty".into()))
    }

    /// All validators.
    pub async fn validators(&self) -> Result<Vec<Validator>> {
        pages::all(|page| async move {
            let query = QueryValidatorsRequest { status: String::new(), pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Staking::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .validators(query)
                        .await
                })
                .await?;
            Ok((answer.validators, answer.pagination))
        })
        .await
    }

    /// All that an account delegates.
    pub async fn delegations(&self, delegator: &str) -> Result<Vec<DelegationResponse>> {
        pages::all(|page| async move {
            let query = QueryDelegatorDelegationsRequest {
                delegator_addr: delegator.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Staking::new(channel)
                        .max_decoding_message_size(MAX_ANSWER)
                        .delegator_delegations(query)
                        .await
                })
                .await?;
            Ok((answer.delegation_responses, answer.pagination))
        })
        .await
    }

    /// What of it is on its way back.
    pub async fn unbondings(&self, delegator: &str) -> Result<Vec<UnbondingDelegation>> {
        pages::all(|page| async move {
            let query = QueryDelegatorUnbondingDelegationsRequest {
                delegator_addr: delegator.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Staking::new(channel).delegator_unbonding_delegations(query).await
                })
                .await?;
            Ok((answer.unbonding_responses, answer.pagination))
        })
        .await
    }

    /// What of it was moved between validators a short time ago.
    pub async fn redelegations(&self, delegator: &str) -> Result<Vec<RedelegationResponse>> {
        pages::all(|page| async move {
            let query = QueryRedelegationsRequest {
                delegator_addr: delegator.into(),
                pagination: Some(page),
                ..Default::default()
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Staking::new(channel).redelegations(query).await
                })
                .await?;
            Ok((answer.redelegation_responses, answer.pagination))
        })
        .await
    }

    /// Tokens that are bonded and that are not.
    pub async fn staking_pool(&self) -> Result<Pool> {
        let answer = self
            .ask(QueryPoolRequest {}, |channel, query| async move {
                Staking::new(channel).pool(query).await
            })
            .await?;
        answer.pool.ok_or_else(|| Error::BadAnswer("the staking pool is empty".into()))
    }

    /// What an account's delegations have earned and it has not withdrawn.
    pub async fn rewards(&self, delegator: &str) -> Result<QueryDelegationTotalRewardsResponse> {
        let query = QueryDelegationTotalRewardsRequest { delegator_address: delegator.into() };
        self.ask(query, |channel, query| async move {
            Distribution::new(channel).delegation_total_rewards(query).await
        })
        .await
    }

    /// A validator's commission that was not withdrawn.
    pub async fn commission(&self, operator: &str) -> Result<Vec<DecCoin>> {
        let query = QueryValidatorCommissionRequest { validator_address: operator.into() };
        let answer = self
            .ask(query, |channel, query| async move {
                Distribution::new(channel).validator_commission(query).await
            })
            .await?;
        Ok(answer.commission.unwrap_or_default().commission)
    }

    /// Yearly inflation: the integer × 10^-18.
    pub async fn inflation(&self) -> Result<String> {
        let answer = self
            .ask(QueryInflationRequest {}, |channel, query| async move {
                Mint::new(channel).inflation(query).await
            })
            .await?;
        String::from_utf8(answer.inflation)
            .map_err(|_| Error::BadAnswer("the inflation is no number".into()))
    }

    /// Which of the last blocks each validator missed.
    pub async fn signing_infos(&self) -> Result<Vec<ValidatorSigningInfo>> {
        pages::all(|page| async move {
            let query = QuerySigningInfosRequest { pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Slashing::new(channel).signing_infos(query).await
                })
                .await?;
            Ok((answer.info, answer.pagination))
        })
        .await
    }
}
