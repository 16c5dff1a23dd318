//! Escrow accounts and the community pool.

use stoa_proto::{
    cosmos::base::v1beta1::DecCoin,
    escrow::v1::{
        query_client::QueryClient as Client, Account, AccountState, Params, QueryAccountRequest,
        QueryAccountResponse, QueryAccountsRequest, QueryCommunityPoolRequest, QueryParamsRequest,
    },
    types::v1::DeploymentId,
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{Error, Result};

impl QueryClient {
    /// A deployment's escrow account, and its balance now.
    pub async fn escrow(&self, id: &DeploymentId) -> Result<QueryAccountResponse> {
        let query = QueryAccountRequest { id: Some(id.clone()) };
        self.ask(query, |channel, query| async move { Client::new(channel).account(query).await })
            .await
    }

    /// Escrow accounts; UNSPECIFIED is any state.
    pub async fn escrows(&self, state: AccountState) -> Result<Vec<Account>> {
        pages::all(|page| async move {
            let query = QueryAccountsRequest { state: state.into(), pagination: Some(page) };
            let answer = self
                .ask(query, |channel, query| async move {
                    Client::new(channel).max_decoding_message_size(MAX_ANSWER).accounts(query).await
                })
                .await?;
            Ok((answer.accounts, answer.pagination))
        })
        .await
    }

    /// The escrow module's parameters.
    pub async fn escrow_params(&self) -> Result<Params> {
        let answer = self
            .ask(QueryParamsRequest {}, |channel, query| async move {
                Client::new(channel).params(query).await
            })
            .await?;
        answer.params.ok_or_else(|| Error::BadAnswer("the escrow parameters are empty".into()))
    }

    /// What fees, takes and forfeits have brought together.
    pub async fn community_pool(&self) -> Result<Vec<DecCoin>> {
        let answer = self
            .ask(QueryCommunityPoolRequest {}, |channel, query| async move {
                Client::new(channel).community_pool(query).await
            })
            .await?;
        Ok(answer.pool)
    }
}
