//! Proposals, upgrades, grants and fee allowances.

use stoa_proto::cosmos::{
    authz::v1beta1::{
        query_client::QueryClient as Authz, GrantAuthorization, QueryGranteeGrantsRequest,
        QueryGranterGrantsRequest,
    },
    feegrant::v1beta1::{
        query_client::QueryClient as Feegrant, Grant, QueryAllowancesByGranterRequest,
        QueryAllowancesRequest,
    },
    gov::v1::{
        query_client::QueryClient as Gov, Proposal, QueryProposalRequest, QueryProposalsRequest,
        QueryTallyResultRequest, TallyResult,
    },
    upgrade::v1beta1::{query_client::QueryClient as Upgrade, Plan, QueryCurrentPlanRequest},
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{Error, Result};

impl QueryClient {
    /// All proposals that are still in the state.
    pub async fn proposals(&self) -> Result<Vec<Proposal>> {
        pages::all(|page| async move {
            let query = QueryProposalsRequest { pagination: Some(page), ..Default::default() };
            let answer = self
                .ask(query, |channel, query| async move {
                    Gov::new(channel).max_decoding_message_size(MAX_ANSWER).proposals(query).await
                })
                .await?;
            Ok((answer.proposals, answer.pagination))
        })
        .await
    }

    /// One proposal.
    pub async fn proposal(&self, proposal_id: u64) -> Result<Proposal> {
        let query = QueryProposalRequest { proposal_id };
        let answer = self
            .ask(query, |channel, query| async move { Gov::new(channel).proposal(query).await })
            .await?;
        answer.proposal.ok_or_else(|| Error::BadAnswer("the proposal is empty".into()))
    }

    /// How a proposal would end now.
    pub async fn tally(&self, proposal_id: u64) -> Result<TallyResult> {
        let query = QueryTallyResultRequest { proposal_id };
        let answer = self
            .ask(query, |channel, query| async move { Gov::new(channel).tally_result(query).await })
            .await?;
        answer.tally.ok_or_else(|| Error::BadAnswer("the tally is empty".into()))
    }

    /// The upgrade that is planned.
    pub async fn upgrade_plan(&self) -> Result<Option<Plan>> {
        let answer = self
            .ask(QueryCurrentPlanRequest {}, |channel, query| async move {
                Upgrade::new(channel).current_plan(query).await
            })
            .await?;
        Ok(answer.plan)
    }

    /// What others may do in an account's name.
    pub async fn grants_of(&self, granter: &str) -> Result<Vec<GrantAuthorization>> {
        pages::all(|page| async move {
            let query =
                QueryGranterGrantsRequest { granter: granter.into(), pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Authz::new(channel).granter_grants(query).await
                })
                .await?;
            Ok((answer.grants, answer.pagination))
        })
        .await
    }

    /// What an account may do in others' names.
    pub async fn grants_to(&self, grantee: &str) -> Result<Vec<GrantAuthorization>> {
        pages::all(|page| async move {
            let query =
                QueryGranteeGrantsRequest { grantee: grantee.into(), pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Authz::new(channel).grantee_grants(query).await
                })
                .await?;
            Ok((answer.grants, answer.pagination))
        })
        .await
    }

    /// Whose fees an account pays.
    pub async fn allowances_of(&self, granter: &str) -> Result<Vec<Grant>> {
        pages::all(|page| async move {
            let query =
                QueryAllowancesByGranterRequest { granter: granter.into(), pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Feegrant::new(channel).allowances_by_granter(query).await
                })
                .await?;
            Ok((answer.allowances, answer.pagination))
        })
        .await
    }

    /// Who pays an account's fees.
    pub async fn allowances_to(&self, grantee: &str) -> Result<Vec<Grant>> {
        pages::all(|page| async move {
            let query = QueryAllowancesRequest { grantee: grantee.into(), pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Feegrant::new(channel).allowances(query).await
                })
                .await?;
            Ok((answer.allowances, answer.pagination))
        })
        .await
    }
}
